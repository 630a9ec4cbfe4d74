//! A connection that tells awc the truth about where a response ends.
//!
//! By itself awc (3.11, client/h1proto.rs) takes
//! - the end of the connection for the end of a body,
//! - an interim response (1xx) for the final one, so that the final one answers the next request on the connection,
//! - a response without framing for an empty one,
//! - and reads no answer before it has written the whole request, also where the server reads no more of it.
//!
//! The guard reads the head of each response as it passes, knows where the response ends, and turns the first three into
//! errors (RFC 9112 §6.3, §8). Behind the last byte the connection goes back to the idle ones, or is closed if more has come.
//! A guard stands for one exchange: awc's pool gets an empty one back.

use std::{
    fmt, io, mem,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use actix_rt::net::{ActixStream, Ready};
use actix_web::web::{Buf as _, BufMut as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::{
    fault::TransportFault,
    idle::{IdleConnections, Open, Reuse},
    stream::acknowledge,
};
use crate::http1::{Piece, ResponseReader};

pub(super) struct Guarded {
    /// Gone when the response is over.
    open: Option<Open>,
    /// How long the connection was idle before this exchange; `None` for a new one.
    was_idle: Option<Duration>,
    idle: Rc<IdleConnections>,
    /// Whether the connection may be used again.
    keeps: bool,
    /// Whether the request is a HEAD; `None` before it is written.
    to_head: Option<bool>,
    response: ResponseReader,
    /// What has come of a response before the end of its request, and was not read yet.
    early: BytesMut,
    /// The server has begun to answer, and reads no more: the rest of the request is dropped.
    answered_early: bool,
    /// What was read of a large body beyond what awc asked for: awc reads 8 KiB at a time.
    ahead: BytesMut,
    reads_ahead: bool,
}

/// Bytes of a body that are read at once when there is much of it.
const LARGE: usize = 256 * 1024;
/// Bytes that are kept of an answer that comes before the end of its request.
const EARLY: usize = 4 * 1024;

impl Guarded {
    /// A new connection, or one that was idle for so long.
    pub(super) fn new(
        open: Open,
        was_idle: Option<Duration>,
        idle: Rc<IdleConnections>,
        reuse: Reuse,
    ) -> Self {
        Self {
            open: Some(open),
            was_idle,
            idle,
            keeps: reuse != Reuse::Never,
            to_head: None,
            response: ResponseReader::default(),
            early: BytesMut::new(),
            answered_early: false,
            ahead: BytesMut::new(),
            reads_ahead: false,
        }
    }

    /// Follows the response as its bytes come. How many of them belong to it.
    fn follow(&mut self, bytes: &[u8]) -> Result<usize, TransportFault> {
        let Piece { count, head } = self.response.take(bytes, self.to_head.unwrap_or_default())?;
        if let Some((head, is_alone)) = head {
            self.keeps &= head.keeps_alive && !self.answered_early;
            if let Some(timeout) = head.idle_timeout {
                self.idle.server_timeout.announced(timeout, Instant::now());
            }
            if let Some(open) = self.open.as_ref().filter(|_| is_alone) {
                acknowledge(&open.stream);
            }
        }
        if self.response.is_over() {
            // Bytes that nobody asked for would be taken for the next response.
            self.keeps &= count == bytes.len();
            if let Some(open) = self.open.take().filter(|_| self.keeps) {
                self.idle.keep(open);
            }
        }
        Ok(count)
    }

    /// The server has closed the connection.
    fn closed(&mut self) -> Result<(), TransportFault> {
        if self.response.close() {
            self.open = None;
            return Ok(());
        }
        Err(self.broke(None))
    }

    /// Why there is no more of a response, which the connection ended before; by an error, or properly.
    fn broke(&self, error: Option<&io::Error>) -> TransportFault {
        match (self.was_idle, error) {
            _ if self.response.has_begun() => TransportFault::ClosedInResponse,
            (Some(idle), _) => {
                self.idle.server_timeout.observe_closed(idle, Instant::now());
                TransportFault::ClosedIdle
            }
            (None, Some(error)) => TransportFault::Broken(error.kind()),
            (None, None) => TransportFault::ClosedBeforeHead,
        }
    }

    /// Whether the server has answered while its request is still being written.
    fn poll_early(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportFault>> {
        let Some(open) = &mut self.open else { return Poll::Pending };
        let mut piece = (&mut self.early).limit(EARLY);
        match ready!(pin!(open.stream.read_buf(&mut piece)).poll(cx)) {
            Ok(1..) => {
                self.answered_early = true;
                Poll::Ready(Ok(()))
            }
            Ok(_) => Poll::Ready(Err(self.broke(None))),
            Err(error) => Poll::Ready(Err(self.broke(Some(&error)))),
        }
    }

    /// No more of a request can be written, by an error or for now: a server that reads no more, or has closed, has perhaps
    /// answered.
    fn poll_stopped(&mut self, cx: &mut Context<'_>, error: Option<io::Error>) -> Poll<io::Result<()>> {
        use io::ErrorKind::{BrokenPipe, ConnectionReset};
        match (self.poll_early(cx), error) {
            (Poll::Ready(early), _) => Poll::Ready(early.map_err(io::Error::from)),
            // The answer may be in the kernel already; the runtime wakes whoever wants to read a closed connection.
            (Poll::Pending, Some(error)) if ![BrokenPipe, ConnectionReset].contains(&error.kind()) => {
                Poll::Ready(Err(self.broke(Some(&error)).into()))
            }
            (Poll::Pending, _) => Poll::Pending,
        }
    }

    /// Reads more of a body than awc has room for.
    fn poll_ahead(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<Result<(), TransportFault>> {
        let Some(open) = self.open.as_mut().filter(|_| self.response.is_in_body()) else {
            self.reads_ahead = false;
            return Poll::Ready(Ok(()));
        };
        self.ahead.reserve(LARGE);
        let read = ready!(pin!(open.stream.read_buf(&mut self.ahead)).poll(cx));
        let count = read.map_err(|error| self.broke(Some(&error)))?;
        if count == 0 {
            return Poll::Ready(self.closed());
        }
        self.reads_ahead = count > room;
        let mut ahead = mem::take(&mut self.ahead);
        let count = self.follow(&ahead)?;
        ahead.truncate(count);
        self.ahead = ahead;
        Poll::Ready(Ok(()))
    }

    /// awc's pool keeps a guard whose response is over until the next request.
    fn free_if_over(&mut self) {
        if self.ahead.is_empty() && self.open.is_none() {
            self.ahead = BytesMut::new();
        }
    }
}

/// Its bytes are MLflow's and its clients'.
impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").finish_non_exhaustive()
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.ahead.is_empty() && this.reads_ahead {
            ready!(this.poll_ahead(cx, buf.remaining()))?;
        }
        if !this.ahead.is_empty() {
            let count = this.ahead.len().min(buf.remaining());
            buf.put_slice(&this.ahead[..count]);
            this.ahead.advance(count);
            this.free_if_over();
            return Poll::Ready(Ok(()));
        }
        let (before, room) = (buf.filled().len(), buf.remaining());
        if !this.early.is_empty() {
            let count = this.early.len().min(room);
            buf.put_slice(&this.early.split_to(count));
        } else if let Some(open) = &mut this.open {
            let read = ready!(Pin::new(&mut open.stream).poll_read(cx, buf));
            read.map_err(|error| this.broke(Some(&error)))?;
        }
        let came = &buf.filled()[before..];
        if came.is_empty() {
            return Poll::Ready(this.closed().map_err(io::Error::from));
        }
        this.reads_ahead = came.len() == room;
        let count = this.follow(came)?;
        buf.set_filled(before + count);
        this.free_if_over();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.answered_early {
            return Poll::Ready(Ok(buf.len()));
        }
        let Some(open) = &mut this.open else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        this.to_head.get_or_insert_with(|| buf.starts_with(b"HEAD "));
        match Pin::new(&mut open.stream).poll_write(cx, buf) {
            Poll::Ready(Ok(count)) => Poll::Ready(Ok(count)),
            Poll::Ready(Err(error)) => this.poll_stopped(cx, Some(error)).map_ok(|()| buf.len()),
            Poll::Pending => this.poll_stopped(cx, None).map_ok(|()| buf.len()),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(open) = this.open.as_mut().filter(|_| !this.answered_early) else {
            return Poll::Ready(Ok(()));
        };
        // TLS keeps bytes of its own: it may be here that a server is found to read no more.
        match Pin::new(&mut open.stream).poll_flush(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => this.poll_stopped(cx, Some(error)),
            Poll::Pending => this.poll_stopped(cx, None),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.open {
            Some(open) => Pin::new(&mut open.stream).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

/// What awc's connector asks of a stream, and h1 does not use.
impl ActixStream for Guarded {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.open.as_ref().map_or(Poll::Pending, |open| ActixStream::poll_read_ready(open.stream.tcp(), cx))
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.open.as_ref().map_or(Poll::Pending, |open| ActixStream::poll_write_ready(open.stream.tcp(), cx))
    }
}

#[cfg(test)]
mod tests;
