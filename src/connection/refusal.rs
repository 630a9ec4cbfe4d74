//! Refuses bytes that are no request: the reasons, and the last response on a connection.

use std::{
    fmt,
    future::Future as _,
    io,
    mem::MaybeUninit,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_rt::time::{Sleep, sleep};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::LINGER;
use crate::http1::{HeadTooLarge, target};

/// Bytes that are discarded while a refused client still sends. A close before that would reset the connection, and the client might
/// lose the refusal.
const MAX_DISCARDED: usize = 1024 * 1024;

/// Why received bytes did not become a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRequest {
    #[error("the target is longer than 128 KiB, or its path than 60 KiB")]
    LineTooLong,
    #[error("the headers come to more than 32 KiB")]
    FieldsTooLarge,
    #[error("the request has more than 96 headers")]
    TooManyFields,
    #[error("the request's head did not arrive in time")]
    TooSlow,
    #[error("too many requests with large heads are in progress; try again")]
    NoRoom,
    #[error("this is not an HTTP/1.1 request: the request line, a header or the framing is malformed")]
    Malformed,
}

impl From<HeadTooLarge> for NoRequest {
    fn from(part: HeadTooLarge) -> Self {
        match part {
            HeadTooLarge::RequestLine => Self::LineTooLong,
            HeadTooLarge::Fields => Self::FieldsTooLarge,
        }
    }
}

impl NoRequest {
    /// Why a head cannot become valid, if its beginning tells.
    pub(super) fn in_incomplete_head(begin: &[u8]) -> Option<Self> {
        let with_placeholder = match target::with_placeholder(begin) {
            Ok(head) => head,
            Err(too_large) => return Some(too_large.into()),
        };
        let mut headers = [httparse::EMPTY_HEADER; 96];
        match httparse::Request::new(&mut headers).parse(with_placeholder.as_deref().unwrap_or(begin)) {
            Ok(_) => None,
            Err(httparse::Error::TooManyHeaders) => Some(Self::TooManyFields),
            Err(_) => Some(Self::Malformed),
        }
    }

    /// The reason behind a response that actix-http writes by itself, which has a status only.
    pub(super) fn of_actix_response(response: &[u8]) -> Option<Self> {
        let status = response.strip_prefix(b"HTTP/1.")?.get(2..5)?;
        match status {
            b"400" => Some(Self::Malformed),
            b"408" => Some(Self::TooSlow),
            b"431" => Some(Self::TooManyFields),
            _ => None,
        }
    }
}

/// Bytes that were refused, for the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefusedInput<'a> {
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) secure: bool,
    /// The first bytes, if they are still buffered.
    pub(crate) begin: &'a [u8],
}

/// Logs a refusal, and returns the whole response.
pub(crate) type Refuse = Box<dyn Fn(NoRequest, RefusedInput<'_>) -> Vec<u8>>;

/// Writes the last response on a connection, and waits for the client to take it.
pub(super) struct RefusalWriter {
    response: Vec<u8>,
    sent: usize,
    is_shut: bool,
    discarded: usize,
    linger: Pin<Box<Sleep>>,
}

impl fmt::Debug for RefusalWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefusalWriter({} of {})", self.sent, self.response.len())
    }
}

impl RefusalWriter {
    pub(super) fn new(response: Vec<u8>) -> Self {
        Self { response, sent: 0, is_shut: false, discarded: 0, linger: Box::pin(sleep(LINGER)) }
    }

    /// Sends the response, then waits until the client closes, for [`LINGER`] at most.
    pub(super) fn poll_end<T>(&mut self, stream: &mut T, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        if self.linger.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut stream = Pin::new(stream);
        while self.sent < self.response.len() {
            let count = ready!(stream.as_mut().poll_write(cx, &self.response[self.sent..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += count;
        }
        if !self.is_shut {
            ready!(stream.as_mut().poll_shutdown(cx))?;
            self.is_shut = true;
        }
        while self.discarded < MAX_DISCARDED {
            let mut piece = [MaybeUninit::uninit(); 4096];
            let mut piece = ReadBuf::uninit(&mut piece);
            ready!(stream.as_mut().poll_read(cx, &mut piece))?;
            if piece.filled().is_empty() {
                break;
            }
            self.discarded += piece.filled().len();
        }
        Poll::Ready(Ok(()))
    }
}
