//! Turns errors into responses. The only place that chooses a status.
//!
//! Each error has one [`Reason`](crate::vocabulary::Reason), the same word in the log, the metrics and the body. MLflow's client
//! prints `error_code: message` for most errors, and retries 408, 429, 500, 502, 503 and 504 on every method
//! (mlflow/utils/rest_utils.py): so a definite denial has none of these, and a 503 says when to retry.

mod message;
mod reason;
mod response;
mod status;

pub(crate) use response::respond_in_bytes;
pub use response::{ERROR_SOURCE, respond, tell_allowance};

use crate::{
    audit::NotKept,
    auth::AuthError,
    code::Code,
    connection::NoRequest,
    credentials::{CredentialError, Source},
    head::HeadError,
    limits::LimitExceeded,
    ownership::OwnershipError,
    policy::{BodyError, BodyMemoryFull, Denied},
    proxy::ProxyError,
    routing::RouteError,
    session::CrossOrigin,
    vocabulary::KeyState,
};

/// Why a request is not answered by MLflow.
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
    #[error(transparent)]
    CrossOrigin(#[from] CrossOrigin),
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
    Ownership(#[from] OwnershipError),
    #[error(transparent)]
    Limited(#[from] LimitExceeded),
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
    /// The code of the operator's message; `None` where the client is the cause.
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Self::Head(HeadError::Loop) => Some(Code::Loop),
            Self::Auth { error: AuthError::Unavailable(fault), .. } => Some(fault.code()),
            Self::Auth { error: AuthError::KeysUnavailable(fault), .. } => Some(fault.code()),
            Self::Audit(NotKept) => Some(Code::AuditFailing),
            Self::NoRequest(NoRequest::NoRoom)
            | Self::Body(BodyError::MemoryFull(BodyMemoryFull::ForAll)) => Some(Code::MlflowBusy),
            Self::Proxy(error) => error.code(),
            Self::Ownership(OwnershipError::Unanswered(_)) => Some(Code::OwnersUnknown),
            Self::Ungranted | Self::Panicked | Self::Metrics(_) => Some(Code::Defect),
            _ => None,
        }
    }

    /// Never for the client.
    pub(crate) fn key_state(&self) -> Option<KeyState> {
        match self {
            Self::Auth { error: AuthError::Rejected(rejection), .. } => Some(rejection.key_state()),
            Self::Denied { error: Denied::Expired(_), .. } => Some(KeyState::Expired),
            _ => None,
        }
    }
}
