//! A response's body, as it comes.

use std::{
    fmt,
    future::poll_fn,
    io, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_web::web::{Bytes, BytesMut};
use futures_core::Stream;

use super::{fault::TransportFault, origin::Origin, response::Framing, wire::Wire};
use crate::http1::Chunks;

/// The body of a response. At its end the connection can be used again.
pub(crate) struct ResponseBody {
    framing: Left,
    /// Gone at the end.
    wire: Option<Wire>,
    /// Where it goes then; `None`: nowhere, it is closed.
    kept: Option<Origin>,
}

/// How a body goes on behind what was read of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It was read whole, and may be empty.
    Whole,
    /// There is more, which nobody reads.
    Longer,
    /// The connection ended before it, or its framing makes no sense.
    BrokeOff,
}

enum Left {
    Bytes(u64),
    Chunks(Chunks),
    UntilClose,
}

impl Left {
    fn new(framing: Framing) -> Self {
        match framing {
            Framing::None => Self::Bytes(0),
            Framing::Length(length) => Self::Bytes(length),
            Framing::Chunked => Self::Chunks(Chunks::default()),
            Framing::UntilClose => Self::UntilClose,
        }
    }
}

/// Bytes of a body that are read at once: of a large one as many as make its system calls few.
const LARGE: usize = 256 * 1024;

impl ResponseBody {
    /// What comes behind a head on `wire`, which goes back to `kept`.
    pub(super) fn new(framing: Framing, wire: Wire, kept: Option<Origin>) -> Self {
        let mut body = Self { framing: Left::new(framing), wire: Some(wire), kept };
        body.end_if_over();
        body
    }

    /// All of it, if it has no more than `limit` bytes.
    ///
    /// # Errors
    /// One that breaks off, or is larger.
    pub(crate) async fn read(mut self, limit: usize) -> io::Result<Bytes> {
        let mut read = BytesMut::new();
        if self.gather(&mut read, limit).await? {
            return Ok(read.freeze());
        }
        Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too large"))
    }

    /// Its first `limit` bytes, or a few more, and how it goes on. The connection of a longer one is closed.
    pub(crate) async fn beginning(mut self, limit: usize) -> (Bytes, End) {
        let mut read = BytesMut::new();
        let end = match self.gather(&mut read, limit).await {
            Ok(true) => End::Whole,
            Ok(false) => End::Longer,
            Err(_) => End::BrokeOff,
        };
        (read.freeze(), end)
    }

    /// Whether it has no more than `limit` bytes.
    async fn gather(&mut self, into: &mut BytesMut, limit: usize) -> io::Result<bool> {
        while let Some(piece) = poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await {
            into.extend_from_slice(&piece?);
            if into.len() > limit {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Lets go of the connection behind the last byte, for the next request.
    fn end_if_over(&mut self) {
        if matches!(self.framing, Left::Bytes(0)) {
            self.end();
        }
    }

    fn end(&mut self) {
        if let (Some(mut wire), Some(origin)) = (self.wire.take(), self.kept.take())
            // What comes behind a response that nobody asked for would be taken for the next one.
            && wire.received.is_empty()
        {
            wire.received = BytesMut::new();
            origin.keep(wire);
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, TransportFault>> {
        let closed = TransportFault::ClosedInResponse;
        loop {
            let Some(wire) = &mut self.wire else { return Poll::Ready(Ok(None)) };
            let mut fill = |wire: &mut Wire, room| wire.poll_fill(cx, room).map_err(|_| closed);
            match &mut self.framing {
                Left::Bytes(left) => {
                    if wire.received.is_empty() {
                        let room = usize::try_from(*left).unwrap_or(LARGE).min(LARGE);
                        if ready!(fill(wire, room))? == 0 {
                            return Poll::Ready(Err(closed));
                        }
                    }
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(wire.received.len());
                    *left -= here as u64;
                    let piece = wire.received.split_to(here).freeze();
                    self.end_if_over();
                    return Poll::Ready(Ok(Some(piece)));
                }
                Left::Chunks(chunks) => {
                    let data = chunks.data_in(&mut wire.received).map_err(|_| TransportFault::NotHttp)?;
                    if data.is_some() {
                        return Poll::Ready(Ok(data));
                    }
                    if chunks.is_over() {
                        self.end();
                    } else if ready!(fill(wire, LARGE))? == 0 {
                        return Poll::Ready(Err(closed));
                    }
                }
                Left::UntilClose => {
                    if wire.received.is_empty() && ready!(fill(wire, LARGE))? == 0 {
                        self.wire = None;
                        continue;
                    }
                    return Poll::Ready(Ok(Some(mem::take(&mut wire.received).freeze())));
                }
            }
        }
    }
}

impl Stream for ResponseBody {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_piece(cx).map(|piece| piece.map_err(io::Error::from).transpose())
    }
}

/// Its bytes are MLflow's and its clients'.
impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}
