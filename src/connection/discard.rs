//! Reading while actix-http may get nothing: little ahead of a request, and the rest of a body that is not read.

use std::{
    future::Future as _,
    io,
    mem::{self, MaybeUninit},
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_rt::time::sleep;
use tokio::io::{AsyncRead, ReadBuf};

use super::{Connection, LINGER, request_reader::NextPart, stream::ClientStream};

/// Bytes that are read ahead, to notice that the client disconnects.
const READ_AHEAD: usize = 4 * 1024;

impl<T: AsyncRead + Unpin> ClientStream<T> {
    /// Ready when the rest of an unread body took too long. Bytes of it do not prolong the wait.
    pub(super) fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Connection { body_left, closing, .. } = &*self.connection;
        if !self.requests.is_answered(&self.connection) || (body_left.get() == 0 && !closing.get()) {
            self.linger = None;
            return Poll::Pending;
        }
        let linger = self.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        ready!(linger.as_mut().poll(cx));
        Poll::Ready(io::Error::new(
            io::ErrorKind::TimedOut,
            "the rest of a body that is not read did not arrive in time",
        ))
    }

    /// Waits until a request is begun or answered, and notices meanwhile if the client disconnects.
    pub(super) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.register_reader(cx);
        while self.buffer.len() < READ_AHEAD {
            let mut piece = [MaybeUninit::uninit(); READ_AHEAD];
            let mut piece = ReadBuf::uninit(&mut piece);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
            if piece.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.buffer(piece.filled());
        }
        Poll::Pending
    }

    /// Discards the rest of a body that is not read, which actix-http would buffer first. The connection closes after it.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.register_reader(cx);
        let (kept, already) = (mem::take(&mut self.buffer), mem::take(&mut self.ready));
        let mut rest = &kept[already..];
        let mut piece = [MaybeUninit::uninit(); READ_AHEAD];
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
            self.requests.read(&self.connection, NextPart::Body(left), rest)?;
            rest = &[];
        }
    }
}
