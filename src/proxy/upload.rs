//! The client's body on its way to MLflow.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_web::{
    HttpRequest,
    error::PayloadError,
    http::header::TRANSFER_ENCODING,
    web::{Bytes, Payload},
};
use futures_core::Stream;
use tracing::Span;

use super::{
    deadlines::{Overdue, Progress},
    headers,
};
use crate::limits::Meter;

/// How the request's body is framed, and how it is therefore sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Neither a length nor chunks: no body.
    None,
    /// A length, which may be 0.
    Length(u64),
    Chunked,
}

/// actix-http has refused every other framing before (RFC 9112 §6).
pub(super) fn framing(request: &HttpRequest) -> Framing {
    if request.headers().contains_key(TRANSFER_ENCODING) {
        return Framing::Chunked;
    }
    headers::content_length(request.headers()).map_or(Framing::None, Framing::Length)
}

/// A payload that keeps account of who is waited for, and of how much came.
pub(super) struct Upload {
    payload: Payload,
    progress: Rc<Progress>,
    span: Span,
    bytes: u64,
    meter: Meter,
}

impl Upload {
    pub(super) fn new(payload: Payload, progress: Rc<Progress>, meter: Meter) -> Self {
        Self { payload, progress, span: Span::current(), bytes: 0, meter }
    }
}

impl Stream for Upload {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.progress.wait_for(Overdue::Client);
        let next = ready!(Pin::new(&mut self.payload).poll_next(cx));
        match &next {
            Some(Ok(chunk)) => {
                self.bytes += chunk.len() as u64;
                self.meter.count(chunk.len());
                self.progress.restart(Overdue::UpstreamWrite);
            }
            Some(Err(_)) => {}
            None => self.progress.restart(Overdue::Response),
        }
        Poll::Ready(next)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.span.record("bytes_in", self.bytes);
    }
}
