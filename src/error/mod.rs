//! From what went wrong to what the client is told: the only place that chooses a status.
//!
//! Every error of a step maps to one [`Reason`], the same word in the log, in the metrics and in the body. MLflow's
//! client prints `error_code: message` for a definite denial, and retries 408, 429, 500, 502, 503 and 504 on every
//! method (mlflow/utils/rest_utils.py): a denial is therefore never one of those, and a 503 says when to come again.

mod reason;
mod response;

use actix_web::http::StatusCode;

pub use reason::Reason;
pub(crate) use response::respond_in_bytes;
pub use response::{ERROR_SOURCE, respond, tell_allowance};

use crate::{
    audit::NotKept,
    auth::AuthError,
    code::Code,
    connection::NoRequest,
    credentials::{CredentialError, Source},
    head::{self, HeadError},
    limits::{Of, TooMany},
    policy::{BodyError, Denied, NoRoom},
    proxy::ProxyError,
    routing::RouteError,
};

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
            Self::Head(HeadError::Method) | Self::Route(RouteError::Method(_)) => Reason::MethodNotAllowed,
            Self::Head(HeadError::Upgrade) => Reason::UpgradeRefused,
            Self::Head(HeadError::Expectation) => Reason::ExpectationFailed,
            Self::Route(RouteError::BadPath(_)) => Reason::BadPath,
            Self::Route(RouteError::BodyOfGet) => Reason::BadRequest,
            Self::Route(RouteError::Unknown | RouteError::UnknownParameter) => Reason::RouteUnknown,
            Self::Credential(CredentialError::Missing) => Reason::CredentialMissing,
            Self::Credential(CredentialError::Ambiguous) => Reason::CredentialAmbiguous,
            Self::Credential(CredentialError::Malformed(..) | CredentialError::UnknownScheme) => {
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
            Self::Proxy(
                ProxyError::Connect(_)
                | ProxyError::Unanswered(_)
                | ProxyError::ClosedIdle(_)
                | ProxyError::Closed(_),
            ) => Reason::UpstreamUnavailable,
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

    /// The cause that an operator is told of; `None` where it is the client's doing.
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Self::Head(HeadError::Loop) => Some(Code::Loop),
            Self::Auth { error: AuthError::Unavailable(fault), .. } => Some(fault.code()),
            Self::Audit(NotKept) => Some(Code::AuditFailing),
            Self::NoRequest(NoRequest::NoRoom) | Self::Body(BodyError::NoRoom(NoRoom::ForAll)) => {
                Some(Code::MlflowBusy)
            }
            Self::Proxy(error) => error.code(),
            Self::Ungranted | Self::Panicked | Self::Metrics(_) => Some(Code::Defect),
            _ => None,
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

    /// The methods that there are instead.
    fn allowed(&self) -> Option<String> {
        match self {
            Self::Route(RouteError::Method(methods)) => Some(methods.to_string()),
            Self::Head(HeadError::Method) => Some(head::METHODS.map(|method| method.to_string()).join(", ")),
            _ => None,
        }
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
            Self::Credential(error @ CredentialError::Malformed(..)) => error.to_string(),
            Self::Auth { error: AuthError::Rejected(_), sent_as }
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
                | ProxyError::ClosedIdle(_)
                | ProxyError::Closed(_),
            ) => "MLflow cannot be reached".to_owned(),
            Self::Proxy(ProxyError::Protocol(_)) => "MLflow answered in a way that cannot be passed on".to_owned(),
            Self::Proxy(ProxyError::UpstreamTimeout(_)) => "MLflow did not answer in time".to_owned(),
            Self::Proxy(ProxyError::ClientStalled) => "the request's body did not arrive in time".to_owned(),
            Self::Proxy(ProxyError::BodyTooLarge) => "the request's body is larger than this gateway takes".to_owned(),
            Self::Proxy(ProxyError::ClientGone(_)) => "the request's body broke off".to_owned(),
            Self::Proxy(ProxyError::NeedsHttp11) => {
                "this response has no length, and in HTTP/1.0 over TLS a truncated one could be taken for whole: use HTTP/1.1 \
                 (nginx: proxy_http_version 1.1)"
                    .to_owned()
            }
            Self::Proxy(ProxyError::Internal(_)) | Self::Ungranted | Self::Panicked | Self::Metrics(_) => "the gateway failed".to_owned(),
        }
    }
}
