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

use super::{Resettable, inbound::Inbound, refusal::NoRequest};

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
                self.write_budget.credit(written(result), waited);
            }
            return Poll::Ready(outcome);
        }
        let left = self.write_budget.left();
        let (_, stall) = self.stall.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not take the response")))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Inbound<T> {
    /// Sends a refusal, behind what was to be sent before it, and waits until the client has it.
    pub(super) fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // It may have to go for another one meanwhile.
        self.connection.wait(cx);
        match &mut self.last_words {
            Some(_) if self.connection.unflushed.get() => Poll::Pending,
            Some(words) => words.poll_end(&mut self.stream, cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Resettable + Unpin> AsyncWrite for Inbound<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.stay()?;
        if this.last_words.is_none()
            && this.connection.is_unasked()
            && this.framing.has_begun()
            && let Some(fault) = NoRequest::of_actix(buf)
        {
            // What is kept is not of that request any more, but of one behind it.
            this.ahead.clear();
            this.refuse(fault);
        }
        if this.last_words.is_some() && !this.connection.unflushed.get() {
            // These are said in its place, by the flush that follows.
            return Poll::Ready(Ok(buf.len()));
        }
        this.before_write()?;
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
        this.before_shutdown()?;
        let outcome = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.poll_stall(cx, outcome, |()| 0)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, rc::Rc};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadBuf, duplex};

    use super::*;
    use crate::{
        connection::{Crowd, Deadlines, Terms},
        stall_budget::StallBudget,
        telemetry::Metrics,
    };

    #[actix_rt::test]
    async fn one_that_waits_for_its_last_words_to_be_taken_hears_that_it_has_to_go() {
        let second = Duration::from_secs(1);
        let terms = Rc::new(Terms {
            deadlines: Deadlines { head: second, write: StallBudget::new(second, 1) },
            crowd: Crowd::new(1, 1000, Metrics::new().unwrap()),
            refuse: Box::new(|_, _| b"refused".to_vec()),
        });
        let (mut client, stream) = duplex(100);
        let mut inbound = Inbound::new(stream, None, false, &terms).unwrap();
        client.write_all(b"\x16\x03\x01 no request").await.unwrap();
        let reading = actix_rt::spawn(poll_fn(move |cx| {
            let mut space = [0; 100];
            Pin::new(&mut inbound).poll_read(cx, &mut ReadBuf::new(&mut space)).map_err(|error| error.kind())
        }));
        let mut words = [0; 7];
        client.read_exact(&mut words).await.unwrap();
        assert_eq!(&words, b"refused");
        let (_other, stream) = duplex(100);
        assert!(Inbound::new(stream, None, false, &terms).is_some());
        let end = tokio::time::timeout(second, reading).await.expect("it was not woken").unwrap();
        assert_eq!(end, Err(io::ErrorKind::ConnectionAborted));
    }
}
