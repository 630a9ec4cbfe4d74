//! A connection to a server, with one exchange on it at a time.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
    time::Instant,
};

use actix_web::web::{Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWrite as _, ReadBuf};

use super::stream::Stream;

/// A connection, and what was received and not read yet.
pub(super) struct Wire {
    stream: Stream,
    pub(super) received: BytesMut,
    pub(super) since: Instant,
}

/// Bytes that are read at once while a head is awaited; with most of them comes the whole response.
pub(super) const SMALL: usize = 4 * 1024;

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, received: BytesMut::new(), since: Instant::now() }
    }

    /// Reads what there is, with room for `room` bytes; 0 at the end of the connection. What is behind a body can come with
    /// it.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        if self.received.is_empty() && self.received.capacity() < room {
            self.received = BytesMut::with_capacity(room);
        } else {
            self.received.reserve(SMALL.min(room));
        }
        pin!(self.stream.read_buf(&mut self.received)).poll(cx)
    }

    /// Writes what it can of these.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &mut Bytes) -> Poll<io::Result<()>> {
        while !bytes.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            drop(bytes.split_to(written));
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Whether nothing has come of an idle one: not its end, and nothing that nobody asked for.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.received.is_empty()
            && self.poll_fill(&mut Context::from_waker(Waker::noop()), SMALL).is_pending()
    }

    /// The same, without room for what is not to come: for one that stays idle.
    pub(super) fn is_open(&mut self) -> bool {
        let mut byte = [0];
        let read = Pin::new(&mut self.stream)
            .poll_read(&mut Context::from_waker(Waker::noop()), &mut ReadBuf::new(&mut byte));
        self.received.is_empty() && read.is_pending()
    }

    /// A server that writes head and body apart, and has Nagle's algorithm on (uvicorn with several workers), sends the body
    /// only when the head is acknowledged, which the kernel puts off for 40 ms: it is asked to do it now.
    pub(super) fn acknowledge(&self) {
        acknowledge(&self.stream);
    }
}

/// Acknowledges what was received at once.
pub(super) fn acknowledge(stream: &Stream) {
    #[cfg(target_os = "linux")]
    if let Err(error) = SockRef::from(stream.tcp()).set_tcp_quickack(true) {
        tracing::debug!(%error, "a head is acknowledged later");
    }
}
