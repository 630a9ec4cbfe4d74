//! What a server does that no client may take for a response.

use std::io;

use actix_http::error::{ParseError, PayloadError};
use awc::error::SendRequestError;

use super::ConnectFault;
use crate::http1::HeadFault;

/// How a server ended an exchange. Carried inside an [`io::Error`] through awc.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransportFault {
    /// No byte of a response was received.
    #[error("closed the connection without a response")]
    ClosedBeforeHead,
    /// The same on an idle connection: the server was closing it as it was used again.
    #[error("closed an idle connection as it was used again")]
    ClosedIdle,
    #[error("broke the connection: {0}")]
    Broken(io::ErrorKind),
    #[error("closed the connection in the middle of a response")]
    ClosedInResponse,
    #[error("sent an interim response ({0}) that was not asked for")]
    Interim(u16),
    #[error("sent a response whose end cannot be told")]
    Unframed,
    #[error("sent something that is not an HTTP response")]
    NotHttp,
}

impl TransportFault {
    /// Whether no byte of a response came.
    pub(crate) fn is_unanswered(self) -> bool {
        matches!(self, Self::ClosedBeforeHead | Self::ClosedIdle | Self::Broken(_))
    }

    /// Whether the connection ended before the response did.
    pub(crate) fn is_closed(self) -> bool {
        self.is_unanswered() || self == Self::ClosedInResponse
    }

    /// The fault inside an error of awc's; any other error is one of the connection.
    fn of(error: &io::Error) -> Self {
        Self::inside(error).unwrap_or(Self::Broken(error.kind()))
    }

    fn inside(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl From<HeadFault> for TransportFault {
    fn from(fault: HeadFault) -> Self {
        match fault {
            HeadFault::Interim(status) => Self::Interim(status),
            HeadFault::Unframed => Self::Unframed,
            HeadFault::NotHttp => Self::NotHttp,
        }
    }
}

impl From<TransportFault> for io::Error {
    fn from(fault: TransportFault) -> Self {
        Self::new(io::ErrorKind::InvalidData, fault)
    }
}

/// The fault behind an error in the middle of a body.
impl From<&PayloadError> for TransportFault {
    fn from(error: &PayloadError) -> Self {
        match error {
            // Any other error of a guarded connection is one of awc's decoder: a chunk that is none.
            PayloadError::Io(error) | PayloadError::Incomplete(Some(error)) => {
                Self::inside(error).unwrap_or(Self::NotHttp)
            }
            PayloadError::Incomplete(None) => Self::ClosedInResponse,
            _ => Self::NotHttp,
        }
    }
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("{0}")]
    Connect(ConnectFault),
    #[error("{0}")]
    Transport(TransportFault),
    /// The request's own body could not be had.
    #[error("the request's body broke off: {0}")]
    Body(Box<dyn std::error::Error>),
    #[error("the request could not be made: {0}")]
    Request(SendRequestError),
}

impl From<SendRequestError> for SendError {
    fn from(error: SendRequestError) -> Self {
        match error {
            SendRequestError::Connect(error) => Self::Connect(error.into()),
            SendRequestError::Send(error) | SendRequestError::Response(ParseError::Io(error)) => {
                Self::Transport(TransportFault::of(&error))
            }
            SendRequestError::Response(_) => Self::Transport(TransportFault::NotHttp),
            SendRequestError::Body(error) => Self::Body(error),
            error => Self::Request(error),
        }
    }
}
