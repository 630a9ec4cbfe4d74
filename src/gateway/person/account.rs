//! `/account`: who the sender is, and what the key may do.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, http::header::CACHE_CONTROL, web::Data};
use jiff::Timestamp;

use crate::{
    auth::Principal,
    client_ip::Client,
    error::GatewayError,
    exchange::Exchange,
    gateway::{Gateway, admit::refuse},
    pages::{self, Account},
    policy,
    session::browser,
};

/// `GET /account`: a page for a person, JSON for a program.
pub async fn account(gateway: Data<Gateway>, exchange: Exchange, request: HttpRequest) -> HttpResponse {
    let principal = match holder(&gateway, &request, &exchange).await {
        Ok(principal) => principal,
        Err(error) => return refuse(&gateway, &error, &request, &exchange),
    };
    let live = gateway.shared.live.load();
    let account = Account {
        principal: &principal,
        may: policy::classes_of(&live.policy, &principal),
        limits: gateway.shared.limiter.left(&principal),
    };
    match browser::opens(request.head()) {
        Some(_) => pages::account(&account, &tracking_uri(&request, exchange.client())),
        None => HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(account),
    }
}

async fn holder(
    gateway: &Gateway,
    request: &HttpRequest,
    exchange: &Exchange,
) -> Result<Arc<Principal>, GatewayError> {
    let credential = gateway.credential(request.head(), exchange.client())?;
    let principal = gateway.authenticate(&credential, exchange.client(), Some(exchange)).await?;
    let sent_as = credential.source();
    policy::must_be_in_force(Timestamp::now(), &principal)
        .map_err(|error| GatewayError::Denied { error, sent_as })?;
    Ok(principal)
}

/// What MLflow's client is told.
fn tracking_uri(request: &HttpRequest, client: Client) -> String {
    let scheme = if client.secure { "https" } else { "http" };
    let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    format!("{scheme}://{host}/api/mlflow")
}
