//! What is read of a connection while actix-http is to have nothing of it.

use std::{
    future::Future as _,
    io,
    mem::{self, MaybeUninit},
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_rt::time::sleep;
use tokio::io::{AsyncRead, ReadBuf};

use super::{Connection, LINGER, framing::Allowed, inbound::Inbound};

/// Bytes that are read ahead of what may be handed over, to notice if the client goes.
const MAX_AHEAD: usize = 4 * 1024;

impl<T: AsyncRead + Unpin> Inbound<T> {
    /// Ends the wait for the rest of a body that nobody reads; what comes of it does not prolong it.
    pub(super) fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Connection { body_left, closing, .. } = &*self.connection;
        if !self.framing.is_answered(&self.connection) || (body_left.get() == 0 && !closing.get()) {
            self.linger = None;
            return Poll::Pending;
        }
        let linger = self.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        ready!(linger.as_mut().poll(cx));
        Poll::Ready(io::Error::new(
            io::ErrorKind::TimedOut,
            "the rest of an unwanted body did not end in time",
        ))
    }

    /// Waits for a request to be begun or answered, and notices meanwhile if the client goes.
    pub(super) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.wait(cx);
        while self.ahead.len() < MAX_AHEAD {
            let mut piece = [MaybeUninit::uninit(); MAX_AHEAD];
            let mut piece = ReadBuf::uninit(&mut piece);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
            if piece.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.keep(piece.filled());
        }
        Poll::Pending
    }

    /// Throws the rest of a body away that nobody reads, for actix-http would gather it first; behind it the connection ends.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.wait(cx);
        let (kept, already) = (mem::take(&mut self.ahead), mem::take(&mut self.ready));
        let mut rest = &kept[already..];
        let mut piece = [MaybeUninit::uninit(); MAX_AHEAD];
        let mut piece = ReadBuf::uninit(&mut piece);
        loop {
            let left = self.connection.body_left.get();
            if left == 0 {
                return Poll::Ready(Ok(()));
            }
            if rest.is_empty() {
                piece.clear();
                ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
                rest = piece.filled();
                if rest.is_empty() {
                    return Poll::Ready(Ok(()));
                }
            }
            self.framing.take(&self.connection, Allowed::Body(left), rest)?;
            rest = &[];
        }
    }
}
