//! The client's body on its way to MLflow.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_web::{
    error::PayloadError,
    http::header::{HeaderMap, TRANSFER_ENCODING},
    web::{Bytes, Payload},
};
use futures_core::Stream;

use super::deadlines::{Progress, WaitingFor};
use crate::{connection::Connection, exchange::Exchange, http1::content_length, limits::Meter};

/// The framing of a request's body, which is kept on the way to MLflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestFraming {
    /// Neither a length nor chunks: no body.
    None,
    /// A length, which may be 0.
    Length(u64),
    Chunked,
}

/// The framing of a request's body. actix-http refuses any other (RFC 9112 §6).
pub(super) fn framing(headers: &HeaderMap) -> RequestFraming {
    if headers.contains_key(TRANSFER_ENCODING) {
        return RequestFraming::Chunked;
    }
    content_length(headers).map_or(RequestFraming::None, RequestFraming::Length)
}

/// A payload that counts its bytes, and notes who is waited for.
pub(super) struct RequestBody {
    /// Taken when there is a connection to send it on: before that, another server can be tried.
    unsent: Rc<Cell<Option<Payload>>>,
    payload: Option<Payload>,
    progress: Rc<Progress>,
    connection: Option<Rc<Connection>>,
    bytes: u64,
    max_bytes: u64,
    meter: Meter,
    exchange: Exchange,
}

impl RequestBody {
    pub(super) fn new(
        unsent: Rc<Cell<Option<Payload>>>,
        progress: Rc<Progress>,
        connection: Option<Rc<Connection>>,
        max_bytes: u64,
        meter: Meter,
        exchange: Exchange,
    ) -> Self {
        let body = Self { unsent, payload: None, progress, connection, bytes: 0, max_bytes, meter, exchange };
        body.tell_connection(Some(0));
        body
    }

    fn tell_connection(&self, uploaded: Option<u64>) {
        if let Some(connection) = &self.connection {
            connection.uploaded(uploaded);
        }
    }
}

impl Stream for RequestBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.progress.wait_for(WaitingFor::Client);
        if self.payload.is_none() {
            self.payload = self.unsent.take();
        }
        let Some(payload) = &mut self.payload else { return Poll::Ready(None) };
        let next = ready!(Pin::new(payload).poll_next(cx));
        match &next {
            Some(Ok(chunk)) => {
                self.bytes += chunk.len() as u64;
                if self.bytes > self.max_bytes {
                    return Poll::Ready(Some(Err(PayloadError::Overflow)));
                }
                self.meter.count(chunk.len());
                self.exchange.received(chunk.len() as u64);
                self.tell_connection(Some(self.bytes));
                self.progress.client_sent(chunk.len());
            }
            Some(Err(_)) => {}
            None => self.progress.restart(WaitingFor::Response),
        }
        Poll::Ready(next)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.tell_connection(None);
    }
}
