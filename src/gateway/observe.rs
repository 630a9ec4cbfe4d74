//! What surrounds every request, whoever answers it: its place on the client's connection, its exchange, its id. Nothing
//! is decided here.

use actix_web::{
    Error, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{ConnectionType, header::SET_COOKIE},
    middleware::Next,
    web::Data,
};

use super::Gateway;
use crate::{connection::Connection, exchange::Exchange, telemetry::X_REQUEST_ID};

/// The middleware that takes a request's turn on the client's connection, and closes it behind the last one.
///
/// # Errors
/// Those of what it surrounds.
pub async fn connection<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let connection = Connection::of(request.request());
    let under_way = connection.map(|connection| connection.begin(request.head()));
    if matches!(under_way, Some(None)) {
        let nothing = HttpResponse::BadRequest().force_close().finish();
        return Ok(request.into_response(nothing).map_into_right_body());
    }
    let mut response = next.call(request).await?;
    if Connection::of(response.request()).is_some_and(|connection| connection.is_last()) {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response.map_into_left_body())
}

/// The middleware that gives a request its [`Exchange`], and its response the id and what the exchange wants set.
///
/// # Errors
/// Those of what it surrounds.
pub async fn exchange<B: MessageBody>(
    gateway: Data<Gateway>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let exchange = Exchange::begin(&request, gateway.client(request.request()), &gateway.sinks);
    let mut response = next.call(request).await?;
    let request_id = exchange.context().request_id_value().clone();
    response.headers_mut().insert(X_REQUEST_ID, request_id);
    if let Some(cookie) = exchange.take_cookie() {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    exchange.response_began(response.status());
    Ok(response)
}
