//! The response for an error.

use std::error::Error as _;

use actix_web::{
    HttpRequest, HttpResponse,
    body::MessageBody as _,
    http::{
        ConnectionType, StatusCode,
        header::{
            ALLOW, CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
        },
    },
};
use serde_json::json;

use super::GatewayError;
use crate::{
    connection::Connection,
    exchange::Exchange,
    head,
    limits::{Allowance, LimitExceeded},
    proxy,
    telemetry::X_REQUEST_ID,
    vocabulary::Reason,
};

pub use crate::upstream::ERROR_SOURCE;

/// The response for `error`. Logs it, once, with its sources.
pub fn respond(error: &GatewayError, request: &HttpRequest) -> HttpResponse {
    let exchange = Exchange::of(request);
    let request_id = exchange.as_ref().map_or("", |exchange| exchange.context().request_id());
    let mut response = response(error, request_id);
    let is_foreign = !head::METHODS.contains(request.method());
    if is_foreign || is_malformed(error.reason()) || head::has_body(request.headers()) {
        // The bytes that follow could be read as this request's body or as another request; and the gateway does not wait
        // for a body that it does not need.
        response.head_mut().set_connection_type(ConnectionType::Close);
        if let Some(connection) = Connection::of(request) {
            connection.close();
        }
    }
    response
}

/// As [`respond`], for bytes that never became a request: the whole response.
pub(crate) fn respond_in_bytes(error: &GatewayError, request_id: &HeaderValue) -> Vec<u8> {
    let response = response(error, request_id.to_str().unwrap_or_default());
    let status = response.status();
    let mut bytes =
        format!("HTTP/1.1 {} {}\r\n", status.as_u16(), status.canonical_reason().unwrap_or_default());
    for (name, value) in response.headers().iter().chain([(&X_REQUEST_ID, request_id)]) {
        bytes.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap_or_default()));
    }
    let body = response.into_body().try_into_bytes().unwrap_or_default();
    bytes.push_str(&format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len()));
    [bytes.as_bytes(), &body].concat()
}

fn response(error: &GatewayError, request_id: &str) -> HttpResponse {
    let (reason, status, message) = (error.reason(), error.status(), error.message());
    log(error, reason);
    let mut response = HttpResponse::build(status);
    response.insert_header((CACHE_CONTROL, "no-store")).insert_header((VARY, proxy::VARYING));
    response.insert_header((ERROR_SOURCE, "gateway"));
    if status == StatusCode::UNAUTHORIZED {
        response.append_header((WWW_AUTHENTICATE, "Bearer realm=\"hokusai-gateway\""));
        response.append_header((WWW_AUTHENTICATE, "Basic realm=\"hokusai-gateway\", charset=\"UTF-8\""));
    }
    if let Some(seconds) = error.retry_after(status) {
        response.insert_header((RETRY_AFTER, seconds));
    }
    if let Some(methods) = error.allowed() {
        response.insert_header((ALLOW, methods));
    }
    let mut response = response.json(json!({
        "error_code": error.error_code(),
        "message": message,
        "detail": message,
        "reason": reason,
        "request_id": request_id,
    }));
    if let GatewayError::Limited(LimitExceeded { allowance, .. }) = error {
        tell_allowance(*allowance, response.headers_mut());
    }
    response
}

/// Limit, remaining, reset; each with its older name.
static ALLOWANCE_FIELDS: [[HeaderName; 2]; 3] = [
    [HeaderName::from_static("ratelimit-limit"), HeaderName::from_static("x-ratelimit-limit")],
    [HeaderName::from_static("ratelimit-remaining"), HeaderName::from_static("x-ratelimit-remaining")],
    [HeaderName::from_static("ratelimit-reset"), HeaderName::from_static("x-ratelimit-reset")],
];

/// Sets the rate limit headers: the names of draft-ietf-httpapi-ratelimit-headers-07, and the older ones.
pub fn tell_allowance(Allowance { limit, remaining, reset }: Allowance, headers: &mut HeaderMap) {
    for ([name, older], value) in
        ALLOWANCE_FIELDS.iter().zip([limit, remaining, reset].map(HeaderValue::from))
    {
        headers.insert(name.clone(), value.clone());
        headers.insert(older.clone(), value);
    }
}

/// Whether no client of MLflow sends such a request.
fn is_malformed(reason: Reason) -> bool {
    matches!(reason, Reason::BadRequest | Reason::BadPath | Reason::CredentialAmbiguous)
}

fn log(error: &GatewayError, reason: Reason) {
    let reason = reason.word();
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        chain = format!("{chain}: {cause}");
        source = cause.source();
    }
    // The client's mistakes are not the operator's concern, even if the status is 501.
    match error.code() {
        Some(code) => tracing::warn!(code = code.text(), reason, error = chain, "request failed"),
        None => tracing::debug!(reason, error = chain, "request refused"),
    }
}
