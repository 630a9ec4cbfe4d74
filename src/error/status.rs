//! The status of each error, MLflow's error code, and the headers that go with them.

use actix_web::http::StatusCode;

use super::GatewayError;
use crate::{
    auth::AuthError,
    connection::NoRequest,
    head::{self, HeadError},
    limits::LimitExceeded,
    ownership::OwnershipError,
    policy::{BodyError, BodyMemoryFull},
    proxy::ProxyError,
    routing::RouteError,
    vocabulary::Reason,
};

/// Seconds after which a client may retry a temporary failure.
const RETRY_SECONDS: u64 = 1;

/// The usual status of a reason, and MLflow's error code (mlflow/protos/databricks.proto).
const fn usual(reason: Reason) -> (StatusCode, &'static str) {
    match reason {
        Reason::CredentialMissing | Reason::CredentialRejected => {
            (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED")
        }
        Reason::BadRequest | Reason::BadPath | Reason::CredentialAmbiguous | Reason::AmbiguousBody => {
            (StatusCode::BAD_REQUEST, "BAD_REQUEST")
        }
        Reason::ScopeMissing
        | Reason::NotOwner
        | Reason::OutsideFence
        | Reason::NoRule
        | Reason::CrossOrigin => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
        Reason::RouteUnknown => (StatusCode::NOT_FOUND, "ENDPOINT_NOT_FOUND"),
        Reason::NotFound => (StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST"),
        Reason::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "BAD_REQUEST"),
        Reason::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, "BAD_REQUEST"),
        Reason::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "BAD_REQUEST"),
        Reason::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "REQUEST_LIMIT_EXCEEDED"),
        Reason::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR"),
        Reason::DirectTransferDenied => (StatusCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED"),
        Reason::UpstreamUnavailable => (StatusCode::BAD_GATEWAY, "TEMPORARILY_UNAVAILABLE"),
        Reason::UpstreamProtocol => (StatusCode::BAD_GATEWAY, "INTERNAL_ERROR"),
        Reason::AuthUnavailable | Reason::AuditUnavailable => {
            (StatusCode::SERVICE_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE")
        }
        Reason::UpstreamTimeout => (StatusCode::GATEWAY_TIMEOUT, "TEMPORARILY_UNAVAILABLE"),
        Reason::LoopDetected => (StatusCode::LOOP_DETECTED, "INTERNAL_ERROR"),
    }
}

impl GatewayError {
    /// Some errors have a status of their own; others, that of their reason.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NoRequest(NoRequest::TooSlow) => StatusCode::REQUEST_TIMEOUT,
            Self::NoRequest(NoRequest::LineTooLong) => StatusCode::URI_TOO_LONG,
            Self::NoRequest(NoRequest::FieldsTooLarge | NoRequest::TooManyFields) => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Self::Head(HeadError::Expectation) => StatusCode::EXPECTATION_FAILED,
            Self::Head(HeadError::Upgrade) => StatusCode::NOT_IMPLEMENTED,
            // MLflow was not asked.
            Self::NoRequest(NoRequest::NoRoom)
            | Self::Body(BodyError::MemoryFull(BodyMemoryFull::ForAll))
            | Self::Ownership(OwnershipError::Unanswered(_))
            | Self::Proxy(ProxyError::Busy | ProxyError::Ejected) => StatusCode::SERVICE_UNAVAILABLE,
            _ => usual(self.reason()).0,
        }
    }

    pub(super) fn error_code(&self) -> &'static str {
        usual(self.reason()).1
    }

    /// For `Allow`.
    pub(super) fn allowed(&self) -> Option<String> {
        match self {
            Self::Route(RouteError::Method(methods)) => Some(methods.to_string()),
            Self::Head(HeadError::Method) => Some(head::METHODS.map(|method| method.to_string()).join(", ")),
            _ => None,
        }
    }

    /// For `Retry-After`: whole seconds, at least 1.
    pub(super) fn retry_after(&self, status: StatusCode) -> Option<u64> {
        match self {
            Self::Auth { error: AuthError::TooManyFailures { retry_after }, .. }
            | Self::Limited(LimitExceeded { retry_after, .. }) => {
                Some((retry_after.as_secs_f64().ceil() as u64).max(RETRY_SECONDS))
            }
            _ => [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS]
                .contains(&status)
                .then_some(RETRY_SECONDS),
        }
    }
}
