//! MLflow's body on its way to the client.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use actix_rt::time::{Sleep, sleep};
use actix_web::{
    HttpResponse, HttpResponseBuilder,
    body::{self, BodyStream, SizedStream},
    http::{Method, StatusCode, header::CONTENT_LENGTH},
    web::Bytes,
};
use futures_core::Stream;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    connection::ActiveRequest,
    exchange::Exchange,
    http_client::{ResponseBody, ResponseHead},
    limits::Meter,
    upstream::InFlight,
    vocabulary::{Reason, UpstreamOutcome},
};

/// Why a response's body broke off. The client's connection is then closed without the end of the body.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyFault {
    #[error("MLflow's response broke off: {0}")]
    Broken(#[from] io::Error),
    #[error("MLflow sent nothing for {0:?} in the middle of its response")]
    Silent(Duration),
}

/// What is kept until a response's last byte: the permit for a connection to MLflow, the request's place there, and its
/// place on the client's connection.
pub(super) type Held = ((OwnedSemaphorePermit, InFlight), Option<ActiveRequest>);

/// A body that is read as fast as the client takes it, with a deadline on MLflow's silence.
pub(super) struct Download {
    // Dropped before the permit: the connection is back in its pool before the next request may want it.
    payload: ResponseBody,
    _held: Held,
    idle: Duration,
    /// Runs while MLflow is waited for. Made at the first wait, for most bodies arrive with their head.
    silence: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    meter: Meter,
    exchange: Exchange,
    /// Bytes that are to come; `None`: until it ends.
    left: Option<u64>,
    ended: bool,
}

impl Download {
    pub(super) fn new(
        payload: ResponseBody,
        idle: Duration,
        held: Held,
        meter: Meter,
        exchange: Exchange,
        expected: Option<u64>,
    ) -> Self {
        Self {
            payload,
            _held: held,
            idle,
            silence: None,
            waiting: false,
            meter,
            exchange,
            left: expected,
            ended: false,
        }
    }

    /// The status is sent already; the request's line still says what became of the body.
    fn broke_off(&mut self, reason: Reason, outcome: UpstreamOutcome) {
        self.ended = true;
        self.exchange.set_reason(reason);
        self.exchange.upstream_broke_off(outcome);
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let silence = self.silence.get_or_insert_with(|| Box::pin(sleep(self.idle)));
        if !self.waiting {
            self.waiting = true;
            silence.as_mut().reset((Instant::now() + self.idle).into());
        }
        silence.as_mut().poll(cx)
    }
}

impl Stream for Download {
    type Item = Result<Bytes, BodyFault>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match Pin::new(&mut self.payload).poll_next(cx) {
            Poll::Ready(next) => {
                self.waiting = false;
                match &next {
                    Some(Ok(chunk)) => {
                        self.meter.count(chunk.len());
                        self.left = self.left.map(|left| left.saturating_sub(chunk.len() as u64));
                        self.exchange.sent(chunk.len() as u64);
                    }
                    Some(Err(_)) => self.broke_off(Reason::UpstreamUnavailable, UpstreamOutcome::Reset),
                    None => self.ended = true,
                }
                Poll::Ready(next.map(|chunk| chunk.map_err(BodyFault::from)))
            }
            Poll::Pending => {
                ready!(self.poll_silence(cx));
                self.broke_off(Reason::UpstreamTimeout, UpstreamOutcome::Timeout);
                Poll::Ready(Some(Err(BodyFault::Silent(self.idle))))
            }
        }
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if !self.ended && self.left != Some(0) {
            self.exchange.upstream_broke_off(UpstreamOutcome::ClientAborted);
        }
    }
}

/// How a response's body is framed: as MLflow framed it, and nothing is invented for responses that have none
/// (RFC 9110 §6.4.1, §8.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    /// No body, but the length that it would have: a 304.
    Declared(u64),
    /// A body of this length; to HEAD, the length alone.
    Length(u64),
    Chunked,
}

/// The framing of the answer to a request with this method.
pub(super) fn framing(method: &Method, upstream: &ResponseHead) -> Framing {
    match (upstream.status, upstream.length) {
        (StatusCode::NO_CONTENT, _) | (StatusCode::NOT_MODIFIED, None) => Framing::None,
        (StatusCode::NOT_MODIFIED, Some(length)) => Framing::Declared(length),
        (_, Some(length)) => Framing::Length(length),
        (_, None) if method == Method::HEAD => Framing::None,
        (_, None) => Framing::Chunked,
    }
}

/// How many bytes of a body the client is to take; `None`: as many as come.
pub(super) fn expected(framing: Framing, method: &Method) -> Option<u64> {
    match framing {
        Framing::Length(length) if method != Method::HEAD => Some(length),
        Framing::Chunked => None,
        Framing::None | Framing::Declared(_) | Framing::Length(_) => Some(0),
    }
}

/// Puts the body behind its head.
pub(super) fn attach(framing: Framing, mut response: HttpResponseBuilder, body: Download) -> HttpResponse {
    let mut head = response.finish();
    match framing {
        Framing::None => head.set_body(body::None::new()).map_into_boxed_body(),
        Framing::Declared(length) => {
            head.headers_mut().insert(CONTENT_LENGTH, length.into());
            head.set_body(body::None::new()).map_into_boxed_body()
        }
        // To HEAD, actix writes the framing of this body and none of its bytes.
        Framing::Length(length) => head.set_body(SizedStream::new(length, body)).map_into_boxed_body(),
        Framing::Chunked => head.set_body(BodyStream::new(body)).map_into_boxed_body(),
    }
}
