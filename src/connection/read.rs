//! The read half: one head at a time, when it is complete, and a body when it is wanted.

use std::{
    io, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    refusal::NoRequest,
    request_reader::{NextPart, ReadOutcome},
    stream::ClientStream,
};

/// Bytes of a head after whose response the connection closes: actix-http keeps as much memory as the head has until then.
const LARGE_HEAD: usize = 16 * 1024;

impl<T: AsyncRead + AsyncWrite + Unpin> ClientStream<T> {
    /// Reads into `buf`, and leaves there what may be handed over at once, most often all. `Some` if bytes were handed over, or none
    /// will come.
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        next: NextPart,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Option<()>>> {
        let before = buf.filled().len();
        if Pin::new(&mut self.stream).poll_read(cx, buf)?.is_pending() {
            self.connection.register_reader(cx);
            let fault = ready!(self.poll_head_timeout(cx));
            self.refuse(fault);
            return Poll::Ready(Ok(None));
        }
        let bytes = &buf.filled()[before..];
        if bytes.is_empty() {
            return Poll::Ready(Ok(Some(())));
        }
        let mut handed = None;
        if !self.buffer.is_empty() || self.requests.begins_with_empty_line(next, bytes) {
            self.buffer(bytes);
        } else {
            let outcome = self.requests.read(&self.connection, next, bytes)?;
            match outcome {
                ReadOutcome::Ready(count) if self.needs_rewrite(next, &bytes[..count]) => {
                    self.buffer(bytes);
                    self.ready = count;
                    self.rewrite_head(next);
                }
                ReadOutcome::Ready(count) => {
                    handed = Some(count);
                    self.buffer(&bytes[count..]);
                }
                _ => self.buffer(bytes),
            }
            self.settle(outcome);
        }
        buf.set_filled(before + handed.unwrap_or(0));
        Poll::Ready(Ok(handed.map(drop)))
    }

    /// Reads on in the buffer. `max` bounds the bytes of a body.
    fn read_buffered(&mut self, next: NextPart, max: usize) -> io::Result<()> {
        if self.requests.begins_with_empty_line(next, &self.buffer[self.incomplete..]) {
            // Dropped at once (RFC 9112 §2.2): it begins no head, and no head timeout.
            let blank = self.buffer.iter().position(|byte| !b"\r\n".contains(byte));
            self.consume(blank.unwrap_or(self.buffer.len()));
            return Ok(());
        }
        let buffer = mem::take(&mut self.buffer);
        let new = &buffer[self.incomplete..];
        let new = if matches!(next, NextPart::Body(_)) { &new[..new.len().min(max)] } else { new };
        let outcome = self.requests.read(&self.connection, next, new);
        self.buffer = buffer;
        let outcome = outcome?;
        if let ReadOutcome::Ready(count) = outcome {
            self.ready = self.incomplete + count;
        }
        let is_large = matches!(next, NextPart::Head) && self.ready > LARGE_HEAD;
        self.settle(outcome);
        if is_large && !self.permit.limiter.reserve_large_head(&self.connection, self.ready) {
            self.refuse(NoRequest::NoRoom);
        }
        if matches!(outcome, ReadOutcome::Ready(_)) && self.refusal.is_none() {
            self.rewrite_head(next);
        }
        Ok(())
    }

    /// Counts the bytes of an incomplete head, and refuses it as soon as it is malformed.
    fn settle(&mut self, outcome: ReadOutcome) {
        match outcome {
            ReadOutcome::Ready(_) => self.set_incomplete(0),
            ReadOutcome::IncompleteHead => {
                self.set_incomplete(self.buffer.len());
                // A client that speaks TLS, say, gets its answer at once. Validated again only at twice the length.
                if self.incomplete >= 2 * self.validated {
                    self.validated = self.incomplete;
                    if let Some(fault) = NoRequest::in_incomplete_head(&self.buffer) {
                        self.refuse(fault);
                    }
                }
            }
            ReadOutcome::Refused(fault) => self.refuse(fault),
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for ClientStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.check_evicted()?;
        loop {
            if this.refusal.is_some() {
                ready!(this.poll_refusal(cx))?;
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            if let Poll::Ready(error) = this.poll_linger(cx) {
                return Poll::Ready(Err(error));
            }
            if this.requests.is_answered(&this.connection) && this.connection.body_left.get() > 0 {
                return this.poll_discard(cx);
            }
            if this.ready > 0 {
                let count = this.ready.min(buf.remaining());
                buf.put_slice(&this.buffer[..count]);
                this.ready -= count;
                this.consume(count);
                return Poll::Ready(Ok(()));
            }
            let next = this.requests.next_part(&this.connection);
            if matches!(next, NextPart::Nothing) {
                return this.poll_wait(cx);
            }
            if this.buffer.len() == this.incomplete && ready!(this.poll_fill(cx, next, buf))?.is_some() {
                return Poll::Ready(Ok(()));
            }
            if this.ready == 0 && this.buffer.len() > this.incomplete {
                this.read_buffered(next, buf.remaining())?;
            }
        }
    }
}
