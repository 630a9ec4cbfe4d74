//! Why there is no response of MLflow's, and whose fault it is.

use actix_web::error::PayloadError;

use super::deadlines::Overdue;
use crate::{
    code::Code,
    http_client::{ConnectFault, SendError, TransportFault},
    policy::Outside,
    vocabulary::UpstreamOutcome,
};

/// Why MLflow's response could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    #[error("no connection to MLflow became free in time")]
    Busy,
    #[error("MLflow has not answered for a while")]
    Ejected,
    #[error("MLflow could not be connected to: {0}")]
    Connect(ConnectFault),
    /// Not a byte of a response came.
    #[error("MLflow {0}")]
    Unanswered(String),
    /// The same on a connection that MLflow was closing, for nobody had used it for a while.
    #[error("MLflow {0}")]
    ClosedIdle(String),
    #[error("MLflow {0}")]
    Closed(String),
    #[error("MLflow {0}")]
    Protocol(String),
    #[error("MLflow took too long {0}")]
    UpstreamTimeout(&'static str),
    #[error("the client stalled in the middle of its body")]
    ClientStalled,
    #[error("the client's body is larger than server.max_body")]
    BodyTooLarge,
    #[error("the client's body broke off: {0}")]
    ClientGone(String),
    #[error("the response is large and has no length, and the client speaks HTTP/1.0 over TLS")]
    NeedsHttp11,
    /// With the words that make MLflow's client fall back.
    #[error("{0}")]
    Direct(&'static str),
    #[error(transparent)]
    Outside(#[from] Outside),
    #[error("{0}")]
    Internal(String),
}

impl ProxyError {
    /// The cause that an operator is told of; `None` for what a client does.
    pub(crate) fn code(&self) -> Option<Code> {
        Some(match self {
            Self::Busy => Code::MlflowBusy,
            Self::Ejected => Code::MlflowEjected,
            Self::Connect(fault) => fault.code(),
            Self::Unanswered(_) | Self::ClosedIdle(_) | Self::Closed(_) | Self::Protocol(_) => {
                Code::MlflowProtocol
            }
            Self::UpstreamTimeout(_) => Code::MlflowSlow,
            Self::Internal(_) => Code::Defect,
            Self::ClientStalled
            | Self::BodyTooLarge
            | Self::ClientGone(_)
            | Self::NeedsHttp11
            | Self::Direct(_)
            | Self::Outside(_) => return None,
        })
    }

    /// How the call ended that ended like this.
    pub(super) fn call(&self) -> UpstreamOutcome {
        match self {
            Self::Connect(_) => UpstreamOutcome::Connect,
            Self::Unanswered(_) | Self::ClosedIdle(_) | Self::Closed(_) => UpstreamOutcome::Reset,
            Self::UpstreamTimeout(_) => UpstreamOutcome::Timeout,
            Self::ClientStalled | Self::ClientGone(_) | Self::BodyTooLarge | Self::Outside(_) => {
                UpstreamOutcome::ClientAborted
            }
            _ => UpstreamOutcome::Protocol,
        }
    }

    /// Whether it tells that the server is gone. One that is slow may be so for this request only, and one that answers
    /// nothing at all is for the prober to find; one that closes idle connections is well.
    pub(super) fn is_upstreams(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::Unanswered(_) | Self::Closed(_))
    }
}

pub(super) fn overdue(awaited: Overdue) -> ProxyError {
    match awaited {
        Overdue::Client => ProxyError::ClientStalled,
        Overdue::UpstreamWrite => ProxyError::UpstreamTimeout("to take the request's body"),
        Overdue::Response => ProxyError::UpstreamTimeout("to answer"),
    }
}

pub(super) fn failed(error: SendError) -> ProxyError {
    match error {
        SendError::Connect(what) => ProxyError::Connect(what),
        SendError::Server(fault @ TransportFault::ClosedBeforeHead) => {
            ProxyError::Unanswered(fault.to_string())
        }
        SendError::Server(fault @ TransportFault::ClosedIdle) => ProxyError::ClosedIdle(fault.to_string()),
        SendError::Server(fault @ TransportFault::ClosedInResponse) => ProxyError::Closed(fault.to_string()),
        SendError::Server(fault) => ProxyError::Protocol(fault.to_string()),
        SendError::Broken(error) => ProxyError::Unanswered(format!("broke the connection: {error}")),
        SendError::Body(PayloadError::Overflow) => ProxyError::BodyTooLarge,
        SendError::Body(error) => {
            let refusal = match &error {
                PayloadError::Io(io) => io.get_ref().and_then(|refusal| refusal.downcast_ref::<Outside>()),
                _ => None,
            };
            match refusal {
                Some(outside) => ProxyError::Outside(outside.clone()),
                None => ProxyError::ClientGone(error.to_string()),
            }
        }
    }
}
