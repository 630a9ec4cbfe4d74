//! What surrounds every request, whoever answers it: its place on the client's connection, its exchange, its id. Nothing
//! is decided here.

use actix_web::{
    Error, HttpResponse,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    http::ConnectionType,
    middleware::Next,
    web::Data,
};

use super::Gateway;
use crate::{connection::Connection, exchange::Exchange, telemetry::X_REQUEST_ID};

/// The outermost middleware.
///
/// # Errors
/// Those of what it surrounds.
pub async fn observe(
    gateway: Data<Gateway>,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let connection = Connection::of(request.request());
    let under_way = connection.map(|connection| connection.begin(request.head()));
    if matches!(under_way, Some(None)) {
        let nothing = HttpResponse::BadRequest().force_close().finish();
        return Ok(request.into_response(nothing));
    }
    let exchange = Exchange::begin(&request, gateway.client(request.request()), &gateway.sinks);
    let mut response = next.call(request).await?;
    let request_id = exchange.context().request_id_value().clone();
    response.headers_mut().insert(X_REQUEST_ID, request_id);
    if Connection::of(response.request()).is_some_and(|connection| connection.is_last()) {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    exchange.response_began(response.status());
    Ok(response)
}
