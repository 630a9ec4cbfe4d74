//! MLflow's body on its way to the client.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use actix_rt::time::{Sleep, sleep};
use actix_web::{
    HttpResponse, HttpResponseBuilder,
    body::{self, BodyStream, SizedStream},
    dev::Payload,
    error::PayloadError,
    http::{Method, StatusCode, header::CONTENT_LENGTH},
    web::Bytes,
};
use futures_core::Stream;
use tokio::sync::OwnedSemaphorePermit;
use tracing::Span;

/// Why a response's body broke off. The client's connection is then closed without the end of the body.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyFault {
    #[error("MLflow's response broke off: {0}")]
    Broken(#[from] PayloadError),
    #[error("MLflow sent nothing for {0:?} in the middle of its response")]
    Silent(Duration),
}

/// A body that is read as fast as the client takes it, with a deadline on MLflow's silence.
pub(super) struct Download {
    // Dropped before the permit: the connection is back in its pool before the next request may want it.
    payload: Payload,
    _permit: OwnedSemaphorePermit,
    idle: Duration,
    /// Runs while MLflow is waited for. Made at the first wait, for most bodies arrive with their head.
    silence: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    span: Span,
    bytes: u64,
}

impl Download {
    pub(super) fn new(payload: Payload, idle: Duration, permit: OwnedSemaphorePermit) -> Self {
        Self {
            payload,
            _permit: permit,
            idle,
            silence: None,
            waiting: false,
            span: Span::current(),
            bytes: 0,
        }
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
                if let Some(Ok(chunk)) = &next {
                    self.bytes += chunk.len() as u64;
                }
                Poll::Ready(next.map(|chunk| chunk.map_err(BodyFault::from)))
            }
            Poll::Pending => self.poll_silence(cx).map(|()| Some(Err(BodyFault::Silent(self.idle)))),
        }
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        self.span.record("bytes_out", self.bytes);
    }
}

/// Puts the body behind its head, framed as MLflow framed it: a length stays one, and nothing is invented for
/// responses that have no body (RFC 9110 §6.4.1, §8.6).
pub(super) fn attach(
    method: &Method,
    length: Option<u64>,
    mut response: HttpResponseBuilder,
    body: Download,
) -> HttpResponse {
    let mut head = response.finish();
    match (head.status(), length) {
        (StatusCode::NO_CONTENT, _) => head.set_body(body::None::new()).map_into_boxed_body(),
        (StatusCode::NOT_MODIFIED, length) => {
            if let Some(length) = length {
                head.headers_mut().insert(CONTENT_LENGTH, length.into());
            }
            head.set_body(body::None::new()).map_into_boxed_body()
        }
        // To HEAD, actix writes the framing of this body and none of its bytes.
        (_, Some(length)) => head.set_body(SizedStream::new(length, body)).map_into_boxed_body(),
        (_, None) if method == Method::HEAD => head.set_body(body::None::new()).map_into_boxed_body(),
        (_, None) => head.set_body(BodyStream::new(body)).map_into_boxed_body(),
    }
}
