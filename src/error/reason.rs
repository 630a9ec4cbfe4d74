//! The words for refusals and failures, each with its status.

use actix_web::http::StatusCode;

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
    pub(super) const fn parts(self) -> (&'static str, StatusCode, &'static str) {
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
