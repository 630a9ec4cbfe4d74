//! Why the auth service gave no verdict.

use actix_web::http::StatusCode;

use crate::{auth::call_limiter::CallOutcome, code::Code};

/// Why there is no verdict. It holds nothing of the answer's text, which could be a key.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ServiceFault {
    #[error("it failed several times in a row and is not called for a moment")]
    BreakerOpen,
    #[error(
        "the gateway's own limit on calls to it (auth.service.max_in_flight, max_per_second) left no room in time"
    )]
    Busy,
    #[error("the call to it was aborted, or the key was revoked meanwhile")]
    Abandoned,
    #[error("no answer in time")]
    Timeout,
    #[error("the call to it failed: {0}")]
    Send(String),
    #[error("it answered with status {0}")]
    Status(StatusCode),
    #[error("it answered {} with {content}, which is not how a key is refused", status.as_u16())]
    NotAgreed { status: StatusCode, content: &'static str },
    #[error("its answer could not be read: {0}")]
    Body(String),
    #[error("its answer for a valid key cannot be read, at line {line}, column {column}")]
    Unreadable { line: usize, column: usize },
    #[error("its answer is for {answered}, and the gateway asked for the service `{asked}`")]
    OtherService { asked: String, answered: OtherServiceId },
    #[error("it answered 200 with {content}, which is not JSON at line {line}, column {column}")]
    NotJson { content: &'static str, line: usize, column: usize },
}

/// The service id in an answer for another service.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OtherServiceId {
    #[error("the service `{0}`")]
    Valid(String),
    /// Not shown: it could be anything, even a key.
    #[error("another service, without a valid id")]
    Invalid,
}

impl ServiceFault {
    /// Whether the service failed or could not be reached. Not an outage: our own limits, its rate limit, which any client can
    /// exhaust, and a verdict for another service.
    pub(in crate::auth) fn is_outage(&self) -> bool {
        !matches!(
            self,
            Self::Busy
                | Self::Abandoned
                | Self::OtherService { .. }
                | Self::Status(StatusCode::TOO_MANY_REQUESTS)
        )
    }

    /// The code for operators.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::OtherService { .. } => Code::ServiceIdMismatch,
            Self::Busy | Self::Status(StatusCode::TOO_MANY_REQUESTS) => Code::AuthBusy,
            Self::Status(status) if status.is_redirection() => Code::AuthRedirects,
            Self::NotAgreed { content: "application/json" | "no content type", .. } => Code::BareRefusals,
            Self::NotAgreed { .. } | Self::NotJson { .. } | Self::Unreadable { .. } => Code::NotAuthService,
            Self::Status(status) if !status.is_server_error() => Code::NotAuthService,
            Self::BreakerOpen
            | Self::Abandoned
            | Self::Timeout
            | Self::Send(_)
            | Self::Status(_)
            | Self::Body(_) => Code::AuthServiceFailing,
        }
    }

    /// What it means for the circuit breaker and the limit on failures.
    pub(in crate::auth) fn outcome(&self) -> CallOutcome {
        match self {
            Self::Unreadable { .. } | Self::OtherService { .. } => CallOutcome::Unreadable,
            Self::NotAgreed { .. } | Self::NotJson { .. } => CallOutcome::NotTheService,
            Self::Status(StatusCode::TOO_MANY_REQUESTS) => CallOutcome::Throttled,
            Self::Status(status) if status.is_redirection() || status.is_client_error() => {
                CallOutcome::NotTheService
            }
            _ => CallOutcome::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_service_did_or_did_not_do_is_an_outage() {
        for (fault, outage) in [
            (ServiceFault::BreakerOpen, true),
            (ServiceFault::Timeout, true),
            (ServiceFault::Send(String::new()), true),
            (ServiceFault::Status(StatusCode::BAD_GATEWAY), true),
            (ServiceFault::NotAgreed { status: StatusCode::NOT_FOUND, content: "text/html" }, true),
            (ServiceFault::Busy, false),
            (ServiceFault::Status(StatusCode::TOO_MANY_REQUESTS), false),
            (ServiceFault::Abandoned, false),
            (ServiceFault::OtherService { asked: String::new(), answered: OtherServiceId::Invalid }, false),
        ] {
            assert_eq!(fault.is_outage(), outage, "{fault}");
        }
    }
}
