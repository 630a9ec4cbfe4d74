//! The stream of a client's connection, as actix-http writes it.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use actix_rt::time::sleep;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{inbound::Inbound, refusal::NoRequest};

/// What rustls holds at most, in bytes: a flush that waited has sent that much.
const TLS_BUFFER: usize = 64 * 1024;

impl<T> Inbound<T> {
    /// Ends the wait for a client that takes nothing.
    fn poll_stall<R>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<R>>,
        written: impl FnOnce(&R) -> usize,
    ) -> Poll<io::Result<R>> {
        if let Poll::Ready(outcome) = outcome {
            if let Ok(result) = &outcome {
                let waited = self.stall.take().map_or(Duration::ZERO, |(since, _)| since.elapsed());
                self.write_patience.rewarded(written(result), waited);
            }
            return Poll::Ready(outcome);
        }
        let left = self.write_patience.left();
        let (_, stall) = self.stall.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not take the response")))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Inbound<T> {
    /// Sends a refusal, behind what was to be sent before it, and waits until the client has it.
    pub(super) fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.last_words {
            Some(_) if self.connection.unflushed.get() => {
                self.connection.wait(cx);
                Poll::Pending
            }
            Some(words) => words.poll_end(&mut self.stream, cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Inbound<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.stay()?;
        if this.last_words.is_none()
            && this.connection.is_unasked()
            && this.framing.has_begun()
            && let Some(fault) = NoRequest::of_actix(buf)
        {
            this.refuse(fault);
        }
        if this.last_words.is_some() && !this.connection.unflushed.get() {
            // These are said in its place, by the flush that follows.
            return Poll::Ready(Ok(buf.len()));
        }
        let outcome = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.poll_stall(cx, outcome, |count| *count)
    }

    // TLS keeps bytes of its own, and then it is here that the client is waited for.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.stay()?;
        if this.last_words.is_none() || this.connection.unflushed.get() {
            let outcome = Pin::new(&mut this.stream).poll_flush(cx);
            let sent = if this.stall.is_some() { TLS_BUFFER } else { 0 };
            ready!(this.poll_stall(cx, outcome, |()| sent))?;
            this.connection.flushed();
        }
        if this.last_words.is_some() {
            ready!(this.poll_last_words(cx))?;
            // Whoever reads is to hear of the end.
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.stay()?;
        let outcome = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.poll_stall(cx, outcome, |()| 0)
    }
}
