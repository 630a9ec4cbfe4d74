//! Why there is no response of MLflow's to pass on: what happened, whose fault it is, and whether a retry is safe.

use std::{error::Error, fmt};

use actix_web::{error::PayloadError, http::StatusCode};

use super::deadlines::WaitingFor;
use crate::{
    code::Code,
    http_client::{ConnectFault, SendError, TransportFault},
    policy::WorkspaceViolation,
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
    #[error("MLflow {0}")]
    Transport(TransportFault),
    #[error("MLflow took too long {0}")]
    UpstreamTimeout(Late),
    #[error("MLflow answered {0} when asked for a logged model")]
    LookupFailed(StatusCode),
    #[error("MLflow's answer could not be rewritten: {0}")]
    NotRewritten(NotRewritten),
    #[error("the client stalled in the middle of its body")]
    ClientStalled,
    #[error("the client's body is larger than server.max_body")]
    BodyTooLarge,
    #[error("the client's body broke off: {0}")]
    ClientGone(Box<dyn Error>),
    #[error("the response is large and has no length, and the client speaks HTTP/1.0 over TLS")]
    NeedsHttp11,
    /// With the message on which MLflow's client falls back.
    #[error("{0}")]
    DirectTransfer(&'static str),
    #[error(transparent)]
    OutsideWorkspace(#[from] WorkspaceViolation),
    #[error("{0}")]
    Internal(String),
}

/// What MLflow was too late to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    TakeBody,
    Answer,
    ContinueBody,
}

/// Why an answer that must be rewritten was not.
#[derive(Debug, thiserror::Error)]
pub enum NotRewritten {
    #[error("its status is {0}")]
    Status(StatusCode),
    #[error("its body cannot be read: {0}")]
    Body(PayloadError),
    #[error("its body is no JSON object: {0}")]
    Json(serde_json::Error),
}

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtFault {
    Client,
    Gateway,
    Upstream,
}

/// Whether the request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    Never,
    /// To another server: this one has not seen it.
    Elsewhere,
    /// If MLflow may be sent it twice: it may have seen it.
    IfRepeatable,
}

impl ProxyError {
    pub(crate) fn at_fault(&self) -> AtFault {
        match self {
            Self::ClientStalled
            | Self::BodyTooLarge
            | Self::ClientGone(_)
            | Self::NeedsHttp11
            | Self::DirectTransfer(_)
            | Self::OutsideWorkspace(_) => AtFault::Client,
            Self::Busy | Self::Internal(_) => AtFault::Gateway,
            Self::Ejected
            | Self::Connect(_)
            | Self::Transport(_)
            | Self::UpstreamTimeout(_)
            | Self::LookupFailed(_)
            | Self::NotRewritten(_) => AtFault::Upstream,
        }
    }

    pub(super) fn retry(&self) -> Retry {
        match self {
            Self::Connect(_) => Retry::Elsewhere,
            Self::Transport(fault) if fault.is_unanswered() => Retry::IfRepeatable,
            _ => Retry::Never,
        }
    }

    /// The cause for an operator; `None` for what a client does.
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            _ if self.at_fault() == AtFault::Client => None,
            Self::Busy => Some(Code::MlflowBusy),
            Self::Ejected => Some(Code::MlflowEjected),
            Self::Connect(fault) => Some(fault.code()),
            Self::UpstreamTimeout(_) => Some(Code::MlflowSlow),
            Self::Transport(_) | Self::LookupFailed(_) | Self::NotRewritten(_) => Some(Code::MlflowProtocol),
            _ => Some(Code::Defect),
        }
    }

    /// How the call to MLflow ended.
    pub(super) fn outcome(&self) -> UpstreamOutcome {
        match self {
            Self::Connect(_) => UpstreamOutcome::Connect,
            Self::Transport(fault) if fault.is_closed() => UpstreamOutcome::Reset,
            Self::UpstreamTimeout(_) => UpstreamOutcome::Timeout,
            _ if self.at_fault() == AtFault::Client => UpstreamOutcome::ClientAborted,
            _ => UpstreamOutcome::Protocol,
        }
    }

    /// Whether it counts against the server. A slow one may be slow for this request only, one that closes idle connections
    /// is well, and the prober finds one that answers nothing at all.
    pub(super) fn counts_against_server(&self) -> bool {
        match self {
            Self::Connect(_) => true,
            Self::Transport(fault) => fault.is_closed() && *fault != TransportFault::ClosedIdle,
            _ => false,
        }
    }
}

impl From<WaitingFor> for ProxyError {
    fn from(waiting: WaitingFor) -> Self {
        match waiting {
            WaitingFor::Client => Self::ClientStalled,
            WaitingFor::UpstreamWrite => Self::UpstreamTimeout(Late::TakeBody),
            WaitingFor::Response => Self::UpstreamTimeout(Late::Answer),
        }
    }
}

impl From<SendError> for ProxyError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Connect(fault) => Self::Connect(fault),
            SendError::Transport(fault) => Self::Transport(fault),
            SendError::Body(error) => match cause::<WorkspaceViolation>(&*error) {
                Some(outside) => Self::OutsideWorkspace(outside.clone()),
                None if matches!(cause(&*error), Some(PayloadError::Overflow)) => Self::BodyTooLarge,
                None => Self::ClientGone(error),
            },
            SendError::Request(error) => Self::Internal(error.to_string()),
        }
    }
}

/// The error of this type among an error and its sources: awc wraps those of a body.
fn cause<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    match error.downcast_ref() {
        Some(PayloadError::Io(io)) => cause(io.get_ref()?),
        _ => cause(error.source()?),
    }
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TakeBody => "to take the request's body",
            Self::Answer => "to answer",
            Self::ContinueBody => "in the middle of its response",
        })
    }
}
