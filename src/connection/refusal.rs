//! What is refused before there is a request, and the last words on a connection.

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

use super::{LINGER, head::Excess, set_aside};

/// Bytes that are thrown away while a refused client still sends: closed under them, the connection would be reset, and
/// the refusal with it.
const MAX_UNREAD: usize = 1024 * 1024;

/// Why what came is not a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRequest {
    #[error("the target is longer than 128 KiB, or its path than 60 KiB")]
    LineTooLong,
    #[error("the headers come to more than 32 KiB")]
    FieldsTooLarge,
    #[error("the request has more than 96 headers")]
    TooManyFields,
    #[error("the head of the request did not arrive in time")]
    TooSlow,
    #[error("too many requests with a large head are under way; try again")]
    NoRoom,
    #[error(
        "what was sent is not a request of HTTP/1.1: its request line, a header or its framing is malformed"
    )]
    Malformed,
}

impl From<Excess> for NoRequest {
    fn from(excess: Excess) -> Self {
        match excess {
            Excess::RequestLine => Self::LineTooLong,
            Excess::Fields => Self::FieldsTooLarge,
        }
    }
}

impl NoRequest {
    /// Whether the beginning of a head can have no good end.
    pub(super) fn already(begin: &[u8]) -> Option<Self> {
        let readable = match set_aside::readable(begin) {
            Ok(readable) => readable,
            Err(excess) => return Some(excess.into()),
        };
        let mut headers = [httparse::EMPTY_HEADER; 96];
        match httparse::Request::new(&mut headers).parse(readable.as_deref().unwrap_or(begin)) {
            Ok(_) => None,
            Err(httparse::Error::TooManyHeaders) => Some(Self::TooManyFields),
            Err(_) => Some(Self::Malformed),
        }
    }

    /// What actix-http says by itself, with a status and nothing else.
    pub(super) fn of_actix(response: &[u8]) -> Option<Self> {
        let status = response.strip_prefix(b"HTTP/1.")?.get(2..5)?;
        match status {
            b"400" => Some(Self::Malformed),
            b"408" => Some(Self::TooSlow),
            b"431" => Some(Self::TooManyFields),
            _ => None,
        }
    }
}

/// Where it came from, for the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender<'a> {
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) secure: bool,
    /// The beginning of what was sent, if it is still there.
    pub(crate) begin: &'a [u8],
}

/// Tells of a refusal, and returns the whole response.
pub(crate) type Refuse = Box<dyn Fn(NoRequest, Sender<'_>) -> Vec<u8>>;

/// The last response on a connection, and the wait for the client to take it.
pub(super) struct LastWords {
    words: Vec<u8>,
    sent: usize,
    is_shut: bool,
    unread: usize,
    linger: Pin<Box<Sleep>>,
}

impl fmt::Debug for LastWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LastWords({} of {})", self.sent, self.words.len())
    }
}

impl LastWords {
    pub(super) fn new(words: Vec<u8>) -> Self {
        Self { words, sent: 0, is_shut: false, unread: 0, linger: Box::pin(sleep(LINGER)) }
    }

    /// Sends them, and waits until the client is gone, for as long as it may take. Ready when nothing more is to be done.
    pub(super) fn poll_end<T>(&mut self, stream: &mut T, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        if self.linger.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut stream = Pin::new(stream);
        while self.sent < self.words.len() {
            let count = ready!(stream.as_mut().poll_write(cx, &self.words[self.sent..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += count;
        }
        if !self.is_shut {
            ready!(stream.as_mut().poll_shutdown(cx))?;
            self.is_shut = true;
        }
        while self.unread < MAX_UNREAD {
            let mut piece = [MaybeUninit::uninit(); 4096];
            let mut piece = ReadBuf::uninit(&mut piece);
            ready!(stream.as_mut().poll_read(cx, &mut piece))?;
            if piece.filled().is_empty() {
                break;
            }
            self.unread += piece.filled().len();
        }
        Poll::Ready(Ok(()))
    }
}
