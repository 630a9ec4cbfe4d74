//! From what went wrong to what the client is told: the only place that chooses a status.
//!
//! Every error of a step maps to one [`Reason`], the same word in the log, in the metrics and in the body. MLflow's
//! client prints `error_code: message` for a definite denial, and retries 408, 429, 500, 502, 503 and 504 on every
//! method (mlflow/utils/rest_utils.py): a denial is therefore never one of those, and a 503 says when to come again.

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

use crate::{
    audit::NotKept,
    auth::AuthError,
    connection::{Connection, NoRequest},
    credentials::{CredentialError, Source},
    head::{self, HeadError},
    limits::{Allowance, Of, TooMany},
    policy::{BodyError, Denied, NoRoom},
    proxy::{self, ProxyError},
    routing::RouteError,
    telemetry::{Exchange, X_REQUEST_ID},
};

/// Marks a response as the gateway's own; MLflow's responses never carry it.
pub const ERROR_SOURCE: HeaderName = HeaderName::from_static("x-hokusai-error-source");

/// Seconds after which a client may try again what failed for a while.
const RETRY_SECONDS: u64 = 1;

/// Whatever ends a request before MLflow's answer does.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error(transparent)]
    NoRequest(#[from] NoRequest),
    #[error(transparent)]
    Head(#[from] HeadError),
    #[error(transparent)]
    Route(#[from] RouteError),
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error("not authenticated")]
    Auth {
        #[source]
        error: AuthError,
        sent_as: Source,
    },
    #[error("not authorized")]
    Denied {
        #[source]
        error: Denied,
        sent_as: Source,
    },
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Limited(#[from] TooMany),
    #[error(transparent)]
    Audit(#[from] NotKept),
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error("a request reached the handler without a grant")]
    Ungranted,
    #[error("a handler panicked")]
    Panicked,
    #[error("the metrics cannot be written")]
    Metrics(#[from] prometheus::Error),
}

/// The stable word for a kind of refusal or failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    CredentialMissing,
    CredentialRejected,
    CredentialAmbiguous,
    BadRequest,
    UpgradeRefused,
    ExpectationFailed,
    FieldsTooLarge,
    LineTooLong,
    HeadTooSlow,
    BadPath,
    AmbiguousBody,
    ScopeMissing,
    Loop,
    RouteUnknown,
    MethodNotAllowed,
    BodyTimeout,
    BodyTooLarge,
    RateLimited,
    AuthUnavailable,
    AuditUnavailable,
    DirectTransfer,
    UpstreamUnavailable,
    UpstreamBusy,
    UpstreamProtocol,
    UpstreamTimeout,
    Internal,
}

impl Reason {
    /// Its word, its status, and MLflow's error code (mlflow/protos/databricks.proto).
    const fn parts(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::CredentialMissing => ("credential_missing", StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
            Self::CredentialRejected => ("credential_rejected", StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
            Self::CredentialAmbiguous => ("credential_ambiguous", StatusCode::BAD_REQUEST, "BAD_REQUEST"),
            Self::BadRequest => ("bad_request", StatusCode::BAD_REQUEST, "BAD_REQUEST"),
            Self::UpgradeRefused => ("bad_request", StatusCode::NOT_IMPLEMENTED, "BAD_REQUEST"),
            Self::ExpectationFailed => ("bad_request", StatusCode::EXPECTATION_FAILED, "BAD_REQUEST"),
            Self::FieldsTooLarge => {
                ("bad_request", StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "BAD_REQUEST")
            }
            Self::LineTooLong => ("bad_request", StatusCode::URI_TOO_LONG, "BAD_REQUEST"),
            Self::HeadTooSlow => ("bad_request", StatusCode::REQUEST_TIMEOUT, "BAD_REQUEST"),
            Self::BadPath => ("bad_path", StatusCode::BAD_REQUEST, "BAD_REQUEST"),
            Self::AmbiguousBody => ("ambiguous_body", StatusCode::BAD_REQUEST, "BAD_REQUEST"),
            Self::ScopeMissing => ("scope_missing", StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
            Self::Loop => ("loop_detected", StatusCode::LOOP_DETECTED, "INTERNAL_ERROR"),
            Self::RouteUnknown => ("route_unknown", StatusCode::NOT_FOUND, "ENDPOINT_NOT_FOUND"),
            Self::MethodNotAllowed => ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED, "BAD_REQUEST"),
            Self::BodyTimeout => ("body_timeout", StatusCode::REQUEST_TIMEOUT, "BAD_REQUEST"),
            Self::BodyTooLarge => ("body_too_large", StatusCode::PAYLOAD_TOO_LARGE, "BAD_REQUEST"),
            Self::RateLimited => ("rate_limited", StatusCode::TOO_MANY_REQUESTS, "REQUEST_LIMIT_EXCEEDED"),
            Self::AuthUnavailable => {
                ("auth_unavailable", StatusCode::SERVICE_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE")
            }
            Self::AuditUnavailable => {
                ("audit_unavailable", StatusCode::SERVICE_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE")
            }
            Self::UpstreamUnavailable => {
                ("upstream_unavailable", StatusCode::BAD_GATEWAY, "TEMPORARILY_UNAVAILABLE")
            }
            Self::UpstreamBusy => {
                ("upstream_unavailable", StatusCode::SERVICE_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE")
            }
            Self::DirectTransfer => {
                ("direct_transfer_denied", StatusCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED")
            }
            Self::UpstreamProtocol => ("upstream_protocol", StatusCode::BAD_GATEWAY, "INTERNAL_ERROR"),
            Self::UpstreamTimeout => {
                ("upstream_timeout", StatusCode::GATEWAY_TIMEOUT, "TEMPORARILY_UNAVAILABLE")
            }
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR"),
        }
    }
}

impl GatewayError {
    /// The one reason for this error.
    pub fn reason(&self) -> Reason {
        match self {
            Self::NoRequest(NoRequest::LineTooLong) => Reason::LineTooLong,
            Self::NoRequest(NoRequest::FieldsTooLarge | NoRequest::TooManyFields) => Reason::FieldsTooLarge,
            Self::NoRequest(NoRequest::TooSlow) => Reason::HeadTooSlow,
            Self::NoRequest(NoRequest::NoRoom) => Reason::UpstreamBusy,
            Self::NoRequest(NoRequest::Malformed) => Reason::BadRequest,
            Self::Head(HeadError::Underscore | HeadError::Host | HeadError::OtherHost | HeadError::Body) => {
                Reason::BadRequest
            }
            Self::Head(HeadError::Loop) => Reason::Loop,
            Self::Head(HeadError::Method) => Reason::MethodNotAllowed,
            Self::Head(HeadError::Upgrade) => Reason::UpgradeRefused,
            Self::Head(HeadError::Expectation) => Reason::ExpectationFailed,
            Self::Route(RouteError::BadPath(_)) => Reason::BadPath,
            Self::Route(RouteError::Unknown | RouteError::UnknownParameter) => Reason::RouteUnknown,
            Self::Credential(CredentialError::Missing) => Reason::CredentialMissing,
            Self::Credential(CredentialError::Ambiguous) => Reason::CredentialAmbiguous,
            Self::Credential(CredentialError::Malformed(_) | CredentialError::UnknownScheme) => {
                Reason::CredentialRejected
            }
            Self::Auth { error: AuthError::Rejected(_), .. } => Reason::CredentialRejected,
            Self::Auth { error: AuthError::TooManyFailures { .. }, .. } | Self::Limited(_) => {
                Reason::RateLimited
            }
            Self::Auth { error: AuthError::Unavailable(_), .. } => Reason::AuthUnavailable,
            Self::Audit(NotKept) => Reason::AuditUnavailable,
            Self::Denied { error: Denied::Expired(_), .. } => Reason::CredentialRejected,
            Self::Denied { error: Denied::Scope(_) | Denied::Workspace(_), .. }
            | Self::Body(BodyError::Scope(_) | BodyError::Workspace(_))
            | Self::Proxy(ProxyError::Outside(_)) => Reason::ScopeMissing,
            Self::Body(BodyError::Ambiguous(_) | BodyError::GraphQl(_) | BodyError::NotJson(_)) => {
                Reason::AmbiguousBody
            }
            Self::Body(BodyError::Path(_)) => Reason::BadPath,
            Self::Body(BodyError::TooLarge(_)) => Reason::BodyTooLarge,
            Self::Body(BodyError::NoRoom(NoRoom::ForKey)) => Reason::RateLimited,
            Self::Body(BodyError::NoRoom(NoRoom::ForAll)) => Reason::UpstreamBusy,
            Self::Body(BodyError::Stalled) => Reason::BodyTimeout,
            Self::Body(BodyError::Broken(_)) => Reason::BadRequest,
            Self::Proxy(ProxyError::Busy | ProxyError::Ejected) => Reason::UpstreamBusy,
            Self::Proxy(ProxyError::Connect(_) | ProxyError::Unanswered(_) | ProxyError::Closed(_)) => {
                Reason::UpstreamUnavailable
            }
            Self::Proxy(ProxyError::Direct(_)) => Reason::DirectTransfer,
            Self::Proxy(ProxyError::Protocol(_)) => Reason::UpstreamProtocol,
            Self::Proxy(ProxyError::UpstreamTimeout(_)) => Reason::UpstreamTimeout,
            Self::Proxy(ProxyError::ClientStalled) => Reason::BodyTimeout,
            Self::Proxy(ProxyError::BodyTooLarge) => Reason::BodyTooLarge,
            Self::Proxy(ProxyError::ClientGone(_) | ProxyError::NeedsHttp11) => Reason::BadRequest,
            Self::Proxy(ProxyError::Internal(_)) | Self::Ungranted | Self::Panicked | Self::Metrics(_) => {
                Reason::Internal
            }
        }
    }

    /// What became of the key, for log, audit and operators alone.
    pub(crate) fn key_state(&self) -> Option<&'static str> {
        match self {
            Self::Auth { error: AuthError::Rejected(rejection), .. } => Some(rejection.word()),
            Self::Denied { error: Denied::Expired(_), .. } => Some("expired"),
            _ => None,
        }
    }

    /// The stable word for what it is.
    pub fn word(&self) -> &'static str {
        self.reason().parts().0
    }

    /// Its status, its reason, and what the client is told.
    pub(crate) fn told(&self) -> (StatusCode, &'static str, String) {
        let (word, status, _) = self.reason().parts();
        (status, word, self.message())
    }

    /// When to come again, in whole seconds, at least 1.
    fn retry_after(&self, status: StatusCode) -> Option<u64> {
        match self {
            Self::Auth { error: AuthError::TooManyFailures { retry_after }, .. }
            | Self::Limited(TooMany { retry_after, .. }) => Some(retry_after.as_secs() + 1),
            _ => [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS]
                .contains(&status)
                .then_some(RETRY_SECONDS),
        }
    }

    /// What the client is told. Never a source, and one text for all keys that are refused.
    fn message(&self) -> String {
        match self {
            Self::Route(error @ RouteError::BadPath(_)) => {
                format!("{error}; the gateway does not forward it to MLflow")
            }
            Self::NoRequest(error) => error.to_string(),
            Self::Head(error) => error.to_string(),
            Self::Route(error) => error.to_string(),
            Self::Credential(CredentialError::Missing) => {
                "no API key was sent: set MLFLOW_TRACKING_TOKEN, or send `Authorization: Bearer KEY`".to_owned()
            }
            Self::Credential(CredentialError::Ambiguous) => {
                "more than one credential was sent: send the API key once, in one header".to_owned()
            }
            Self::Credential(CredentialError::UnknownScheme) => {
                "the scheme of the Authorization header is not supported: use `Bearer KEY`, `Basic` with the key as \
                 the password, or `ApiKey KEY`"
                    .to_owned()
            }
            Self::Credential(CredentialError::Malformed(sent_as))
            | Self::Auth { error: AuthError::Rejected(_), sent_as }
            | Self::Denied { error: Denied::Expired(_), sent_as } => {
                format!("the API key, sent as {sent_as}, is not valid: it is unknown, expired or revoked")
            }
            Self::Auth { error: AuthError::TooManyFailures { .. }, .. } => {
                "too many API keys from this address were refused; try again later".to_owned()
            }
            Self::Auth { error: AuthError::Unavailable(_), .. } => {
                "API keys cannot be checked at the moment; the key itself may be fine, try again".to_owned()
            }
            Self::Denied { error: Denied::Scope(missing), .. } | Self::Body(BodyError::Scope(missing)) => {
                missing.to_string()
            }
            Self::Denied { error: Denied::Workspace(outside), .. } | Self::Proxy(ProxyError::Outside(outside)) => {
                outside.to_string()
            }
            Self::Audit(NotKept) => {
                "changes cannot be recorded at the moment, and are refused until they can: nothing was changed, try again"
                    .to_owned()
            }
            Self::Body(error) => error.to_string(),
            Self::Limited(TooMany { of: Of::Requests(limit), .. }) => {
                format!("this API key may make {limit} requests an hour and has made them")
            }
            Self::Limited(TooMany { of: Of::ArtifactBytes(limit), .. }) => {
                format!("this API key may move {limit} bytes of artifacts an hour and has moved them")
            }
            Self::Proxy(ProxyError::Direct(words)) => (*words).to_owned(),
            Self::Proxy(ProxyError::Busy) => "too many requests are under way to MLflow; try again".to_owned(),
            Self::Proxy(
                ProxyError::Ejected
                | ProxyError::Connect(_)
                | ProxyError::Unanswered(_)
                | ProxyError::Closed(_),
            ) => "MLflow cannot be reached".to_owned(),
            Self::Proxy(ProxyError::Protocol(_)) => "MLflow answered in a way that cannot be passed on".to_owned(),
            Self::Proxy(ProxyError::UpstreamTimeout(_)) => "MLflow did not answer in time".to_owned(),
            Self::Proxy(ProxyError::ClientStalled) => "the request's body did not arrive in time".to_owned(),
            Self::Proxy(ProxyError::BodyTooLarge) => "the request's body is larger than this gateway takes".to_owned(),
            Self::Proxy(ProxyError::ClientGone(_)) => "the request's body broke off".to_owned(),
            Self::Proxy(ProxyError::NeedsHttp11) => {
                "this response has no length, and HTTP/1.0 cannot tell a whole body from a truncated one: use HTTP/1.1 \
                 (nginx: proxy_http_version 1.1)"
                    .to_owned()
            }
            Self::Proxy(ProxyError::Internal(_)) | Self::Ungranted | Self::Panicked | Self::Metrics(_) => "the gateway failed".to_owned(),
        }
    }
}

/// The response for `error`. Logs it, once, with its sources.
pub fn respond(error: &GatewayError, request: &HttpRequest) -> HttpResponse {
    let exchange = Exchange::of(request);
    let request_id = exchange.as_ref().map_or("", |exchange| exchange.context().request_id());
    let mut response = response(error, request_id);
    if is_malformed(error.reason()) || head::has_body(request.headers()) {
        // What follows could be this request's body to one reader and a request to another; and no body is waited for
        // that is not wanted.
        response.head_mut().set_connection_type(ConnectionType::Close);
        if let Some(connection) = Connection::of(request) {
            connection.close();
        }
    }
    response
}

/// As [`respond`] for what never became a request, to be sent as it is.
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
    let (word, status, error_code) = error.reason().parts();
    log(error, status, word, request_id);
    let message = error.message();
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
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.insert_header((ALLOW, "GET, HEAD, POST, PUT, PATCH, DELETE"));
    }
    let mut response = response.json(json!({
        "error_code": error_code,
        "message": message,
        "detail": message,
        "reason": word,
        "request_id": request_id,
    }));
    if let GatewayError::Limited(TooMany { allowance, .. }) = error {
        tell_allowance(*allowance, response.headers_mut());
    }
    response
}

/// Limit, remaining, reset; each with its elder.
static ALLOWANCE_FIELDS: [[HeaderName; 2]; 3] = [
    [HeaderName::from_static("ratelimit-limit"), HeaderName::from_static("x-ratelimit-limit")],
    [HeaderName::from_static("ratelimit-remaining"), HeaderName::from_static("x-ratelimit-remaining")],
    [HeaderName::from_static("ratelimit-reset"), HeaderName::from_static("x-ratelimit-reset")],
];

/// Tells a client what is left to it, under the names of draft-ietf-httpapi-ratelimit-headers-07 and their elders.
pub fn tell_allowance(Allowance { limit, remaining, reset }: Allowance, headers: &mut HeaderMap) {
    for ([name, elder], value) in
        ALLOWANCE_FIELDS.iter().zip([u64::from(limit), u64::from(remaining), reset].map(HeaderValue::from))
    {
        headers.insert(name.clone(), value.clone());
        headers.insert(elder.clone(), value);
    }
}

/// Whether the request is not one that a client of MLflow's sends.
fn is_malformed(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::BadRequest
            | Reason::BadPath
            | Reason::CredentialAmbiguous
            | Reason::ExpectationFailed
            | Reason::FieldsTooLarge
            | Reason::MethodNotAllowed
            | Reason::UpgradeRefused
    )
}

fn log(error: &GatewayError, status: StatusCode, reason: &str, request_id: &str) {
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        chain = format!("{chain}: {cause}");
        source = cause.source();
    }
    if status.is_server_error() {
        tracing::warn!(request_id, reason, error = chain, "request failed");
    } else {
        tracing::debug!(request_id, reason, error = chain, "request refused");
    }
}
