//! What a server does that no client may take for a response.

use std::io;

/// What a server did that ends the exchange. Carried inside an [`io::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TransportFault {
    /// Not a byte of a response was received: the server may have closed an idle connection.
    #[error("closed the connection without a response")]
    ClosedBeforeHead,
    /// The same on a connection that had been idle, which it was closing.
    #[error("closed an idle connection as it was used again")]
    ClosedIdle,
    #[error("closed the connection in the middle of a response")]
    ClosedInResponse,
    #[error("sent an interim response ({0}) that was not asked for")]
    Interim(u16),
    #[error("sent a response whose end cannot be told")]
    Unframed,
    #[error("sent something that is not an HTTP response")]
    NotHttp,
}

impl From<TransportFault> for io::Error {
    fn from(fault: TransportFault) -> Self {
        let kind = match fault {
            TransportFault::ClosedBeforeHead
            | TransportFault::ClosedIdle
            | TransportFault::ClosedInResponse => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, fault)
    }
}
