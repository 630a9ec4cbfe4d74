//! MLflow's response body on its way to the client.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use actix_rt::time::{Sleep, sleep};
use actix_web::{
    HttpResponse, HttpResponseBuilder,
    body::{self, BodyStream, SizedStream},
    error::PayloadError,
    http::{Method, StatusCode, header::CONTENT_LENGTH},
    web::Bytes,
};
use awc::ClientResponse;
use futures_core::Stream;

use super::fair_queue::Permit;
use crate::{
    connection::ActiveRequest,
    exchange::Exchange,
    http_client::TransportFault,
    http1::content_length,
    limits::Meter,
    upstream::InFlight,
    vocabulary::{Reason, UpstreamOutcome},
};

/// Why a response's body broke off. The client's connection is closed before the end of the body.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyFault {
    #[error("MLflow's response broke off: it {0}")]
    Broken(TransportFault),
    #[error("MLflow sent nothing for {0:?} in the middle of its response")]
    Silent(Duration),
}

/// Held until the last byte of a response: the permit for a connection to MLflow, and the places of the request at the server and on
/// the client's connection.
pub(super) type Held = ((Permit, InFlight), Option<ActiveRequest>);

/// A body that is read as fast as the client takes it, with a deadline on MLflow's silence.
pub(super) struct ResponseBody {
    // Dropped before the permit, so that the next request finds the connection idle.
    payload: ClientResponse,
    _held: Held,
    idle: Duration,
    /// Runs while MLflow is waited for. Made at the first wait: most bodies arrive with their head.
    silence: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    meter: Meter,
    exchange: Exchange,
    /// Bytes to come; `None` if there is no length.
    left: Option<u64>,
    ended: bool,
}

impl ResponseBody {
    pub(super) fn new(
        payload: ClientResponse,
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

    /// The status is already sent; the request's line still tells that the body broke off.
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

impl Stream for ResponseBody {
    type Item = Result<Bytes, BodyFault>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == Some(0) {
            // awc is not asked for more: at the end of a body it would keep the guard, whose connection is idle already.
            return Poll::Ready(None);
        }
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
                let broken = |error: PayloadError| BodyFault::Broken(TransportFault::from(&error));
                Poll::Ready(next.map(|chunk| chunk.map_err(broken)))
            }
            Poll::Pending => {
                ready!(self.poll_silence(cx));
                self.broke_off(Reason::UpstreamTimeout, UpstreamOutcome::Timeout);
                Poll::Ready(Some(Err(BodyFault::Silent(self.idle))))
            }
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if !self.ended && self.left != Some(0) {
            self.exchange.upstream_broke_off(UpstreamOutcome::ClientAborted);
        }
    }
}

/// The framing of a response's body: MLflow's own, and none where MLflow sent none (RFC 9110 §6.4.1, §8.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponseFraming {
    None,
    /// A 304: no body, but the length that it would have.
    Declared(u64),
    /// A body of this length; in the answer to a HEAD, only the length.
    Length(u64),
    Chunked,
}

/// The framing of the answer to a request with this method.
pub(super) fn framing(method: &Method, upstream: &ClientResponse) -> ResponseFraming {
    match (upstream.status(), content_length(upstream.headers())) {
        (StatusCode::NO_CONTENT, _) | (StatusCode::NOT_MODIFIED, None) => ResponseFraming::None,
        (StatusCode::NOT_MODIFIED, Some(length)) => ResponseFraming::Declared(length),
        (_, Some(length)) => ResponseFraming::Length(length),
        (_, None) if method == Method::HEAD => ResponseFraming::None,
        (_, None) => ResponseFraming::Chunked,
    }
}

/// How many bytes the client takes; `None` if there is no length.
pub(super) fn expected(framing: ResponseFraming, method: &Method) -> Option<u64> {
    match framing {
        ResponseFraming::Length(length) if method != Method::HEAD => Some(length),
        ResponseFraming::Chunked => None,
        ResponseFraming::None | ResponseFraming::Declared(_) | ResponseFraming::Length(_) => Some(0),
    }
}

/// The response with its body.
pub(super) fn attach(
    framing: ResponseFraming,
    mut response: HttpResponseBuilder,
    body: ResponseBody,
) -> HttpResponse {
    let mut head = response.finish();
    match framing {
        ResponseFraming::None => head.set_body(body::None::new()).map_into_boxed_body(),
        ResponseFraming::Declared(length) => {
            head.headers_mut().insert(CONTENT_LENGTH, length.into());
            head.set_body(body::None::new()).map_into_boxed_body()
        }
        // To HEAD, actix writes the framing of this body and none of its bytes.
        ResponseFraming::Length(length) => {
            head.set_body(SizedStream::new(length, body)).map_into_boxed_body()
        }
        ResponseFraming::Chunked => head.set_body(BodyStream::new(body)).map_into_boxed_body(),
    }
}
