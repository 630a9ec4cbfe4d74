//! The write half: a client that takes nothing is disconnected, and a refusal replaces actix-http's own.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use actix_rt::time::sleep;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{ResetOnClose, refusal::NoRequest, stream::ClientStream};

/// The most bytes that rustls buffers: a flush that had to wait has sent as many.
const TLS_BUFFER: usize = 64 * 1024;

impl<T> ClientStream<T> {
    /// Ends a write that waits too long for the client.
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

impl<T: AsyncRead + AsyncWrite + Unpin> ClientStream<T> {
    /// Sends a refusal after the responses before it, and waits until the client has it.
    pub(super) fn poll_refusal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // It may be evicted meanwhile.
        self.connection.register_reader(cx);
        match &mut self.refusal {
            Some(_) if self.connection.unflushed.get() => Poll::Pending,
            Some(refusal) => refusal.poll_end(&mut self.stream, cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl<T: AsyncRead + AsyncWrite + ResetOnClose + Unpin> AsyncWrite for ClientStream<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.check_evicted()?;
        if this.refusal.is_none()
            && this.connection.writes_for_no_request()
            && this.requests.has_begun()
            && let Some(fault) = NoRequest::of_actix_response(buf)
        {
            // The buffer has nothing of the refused request any more, only of those after it.
            this.buffer.clear();
            this.refuse(fault);
        }
        if this.refusal.is_some() && !this.connection.unflushed.get() {
            // The flush that follows sends the gateway's refusal instead.
            return Poll::Ready(Ok(buf.len()));
        }
        this.before_write()?;
        let outcome = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.poll_stall(cx, outcome, |count| *count)
    }

    // With TLS a flush may wait for the client too: rustls has a buffer of its own.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.check_evicted()?;
        if this.refusal.is_none() || this.connection.unflushed.get() {
            let outcome = Pin::new(&mut this.stream).poll_flush(cx);
            let sent = if this.stall.is_some() { TLS_BUFFER } else { 0 };
            ready!(this.poll_stall(cx, outcome, |()| sent))?;
            this.connection.flushed();
        }
        if this.refusal.is_some() {
            ready!(this.poll_refusal(cx))?;
            // Wakes the read half, which then ends the connection.
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.check_evicted()?;
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
        connection::{ConnectionConfig, ConnectionLimiter},
        stall_budget::StallBudget,
        telemetry::Metrics,
    };

    #[actix_rt::test]
    async fn a_connection_whose_client_is_taking_a_refusal_can_be_evicted() {
        let second = Duration::from_secs(1);
        let config = Rc::new(ConnectionConfig {
            head_timeout: second,
            write_budget: StallBudget::new(second, 1),
            limiter: ConnectionLimiter::new(1, 1000, Metrics::new().unwrap()),
            refuse: Box::new(|_, _| b"refused".to_vec()),
        });
        let (mut client, stream) = duplex(100);
        let mut client_stream = ClientStream::new(stream, None, false, &config).unwrap();
        client.write_all(b"\x16\x03\x01 no request").await.unwrap();
        let reading = actix_rt::spawn(poll_fn(move |cx| {
            let mut space = [0; 100];
            Pin::new(&mut client_stream)
                .poll_read(cx, &mut ReadBuf::new(&mut space))
                .map_err(|error| error.kind())
        }));
        let mut response = [0; 7];
        client.read_exact(&mut response).await.unwrap();
        assert_eq!(&response, b"refused");
        let (_other, stream) = duplex(100);
        assert!(ClientStream::new(stream, None, false, &config).is_some());
        let end = tokio::time::timeout(second, reading).await.expect("it was not woken").unwrap();
        assert_eq!(end, Err(io::ErrorKind::ConnectionAborted));
    }
}
