//! One worker's way to one server: its idle connections, and an exchange of a request for a response.
//!
//! Written for what MLflow is sent and answers, which passes through here as it comes: no redirects, no decoding, no
//! interim responses, and no body that ends early and looks whole (RFC 9112 §6.3, §8).

use std::{
    fmt,
    future::poll_fn,
    io,
    rc::Rc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use actix_web::{error::PayloadError, http::Uri, web::Bytes};
use futures_core::Stream;
use tokio::time::timeout;
use url::Url;

use super::{
    Connections, Tls,
    body::ResponseBody,
    connect::Connecting,
    connect_fault::ConnectFault,
    fault::TransportFault,
    idle::Idle,
    request::{Body, Outgoing, Piece, Request},
    response::{Framing, MAX_HEAD, ResponseHead},
    wire::{SMALL, Wire},
};

/// A server, and the connections to it that nobody uses at the moment.
#[derive(Clone)]
pub(crate) struct Origin(Rc<Inner>);

struct Inner {
    uri: Uri,
    connecting: Connecting,
    connect_timeout: Duration,
    idle: Rc<Idle>,
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("{0}")]
    Connect(ConnectFault),
    #[error(transparent)]
    Server(#[from] TransportFault),
    /// The connection broke before anything of a response.
    #[error("{0}")]
    Broken(io::Error),
    /// It was the request's body that could not be had.
    #[error("{0}")]
    Body(PayloadError),
}

/// A response whose head is there.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) head: ResponseHead,
    pub(crate) body: ResponseBody,
}

impl Origin {
    /// `tls` is used if the scheme is https.
    pub(crate) fn new(url: &Url, tls: Option<&Tls>, connections: Connections) -> Self {
        let tls = tls.filter(|_| url.scheme() == "https").cloned();
        Self(Rc::new(Inner {
            uri: super::uri(url),
            connecting: Connecting::new(tls),
            connect_timeout: connections.connect_timeout,
            idle: Idle::new(connections.keep_alive),
        }))
    }

    /// Sends a request, and waits for the head of the response. The head of the request goes with the first piece of its
    /// body.
    ///
    /// # Errors
    /// Whatever ends the exchange before there is a response; its connection is then closed.
    pub(crate) async fn send<S>(&self, request: Request, body: Body<S>) -> Result<Response, SendError>
    where
        S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
    {
        let Request { to_head, alone, is_repeated, .. } = request;
        let idle = if alone { None } else { self.0.idle.take(is_repeated) };
        let (mut wire, was_idle) = match idle {
            Some((wire, was_idle)) => (wire, Some(was_idle)),
            // Apart, for what is seldom needed would make every exchange's future three times as large.
            None => (Box::pin(self.connect()).await?, None),
        };
        let head = request.into_bytes(&body).freeze();
        let mut upload = Upload {
            body: body.into(),
            started: false,
            is_answered: false,
            pieces: [head, Bytes::new(), Bytes::new(), Bytes::new()],
        };
        let is_sent = poll_fn(|cx| upload.poll(&mut wire, cx)).await;
        let is_sent = is_sent.map_err(|error| self.of_idle(error, was_idle))?;
        drop(upload);
        let head = poll_fn(|cx| poll_head(&mut wire, cx, to_head)).await;
        let head = head.map_err(|error| self.of_idle(error, was_idle))?;
        if wire.received.is_empty() && head.framing != Framing::None {
            wire.acknowledge();
        }
        if let Some(timeout) = head.keep_alive {
            self.0.idle.patience.announced(timeout, Instant::now());
        }
        let kept = (is_sent && head.keeps_alive && !alone).then(|| self.clone());
        let body = ResponseBody::new(head.framing, wire, kept);
        Ok(Response { head, body })
    }

    /// What an error tells on a connection that had been idle for so long.
    fn of_idle(&self, error: SendError, was_idle: Option<Duration>) -> SendError {
        match (error, was_idle) {
            (SendError::Server(TransportFault::ClosedBeforeHead) | SendError::Broken(_), Some(idle)) => {
                self.0.idle.patience.saw_closed(idle, Instant::now());
                TransportFault::ClosedIdle.into()
            }
            (error, _) => error,
        }
    }

    /// For the next request.
    pub(super) fn keep(&self, wire: Wire) {
        self.0.idle.keep(wire);
    }

    async fn connect(&self) -> Result<Wire, SendError> {
        let connecting = timeout(self.0.connect_timeout, self.0.connecting.connect(self.0.uri.clone()));
        let connected = connecting.await.map_err(|_| SendError::Connect(ConnectFault::late()))?;
        connected.map(Wire::new).map_err(|error| SendError::Connect(error.into()))
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").field("uri", &self.0.uri).finish_non_exhaustive()
    }
}

/// A request that is being written.
struct Upload<S> {
    body: Outgoing<S>,
    started: bool,
    /// The server has answered already: the rest goes nowhere, for a client sends all of it before it reads the answer.
    is_answered: bool,
    /// What is written next, one behind the other: the head, and a piece of the body in its frame.
    pieces: [Bytes; 4],
}

/// A piece of a body that is copied behind the head, so that both go at once.
const COPIED: usize = 16 * 1024;

impl<S: Stream<Item = Result<Bytes, PayloadError>> + Unpin> Upload<S> {
    /// Whether all of it was sent: not where the server answered before that.
    fn poll(&mut self, wire: &mut Wire, cx: &mut Context<'_>) -> Poll<Result<bool, SendError>> {
        loop {
            if self.started && !self.is_answered {
                for piece in &mut self.pieces {
                    match wire.poll_write(cx, piece) {
                        Poll::Ready(Ok(())) => {}
                        stopped => {
                            ready!(poll_early(wire, cx, stopped))?;
                            self.is_answered = true;
                            break;
                        }
                    }
                }
            }
            match ready!(self.body.poll_piece(cx)).map_err(SendError::Body)? {
                Piece::Data(before, data, behind) => {
                    self.pieces[1..].clone_from_slice(&[before, data, Bytes::from_static(behind)]);
                    if !self.started && self.pieces.iter().map(Bytes::len).sum::<usize>() <= COPIED {
                        self.pieces = [self.pieces.concat().into(), Bytes::new(), Bytes::new(), Bytes::new()];
                    }
                    self.started = true;
                }
                Piece::End if !self.started => self.started = true,
                Piece::End if self.is_answered => return Poll::Ready(Ok(false)),
                Piece::End => {
                    return match wire.poll_flush(cx) {
                        Poll::Ready(Ok(())) => Poll::Ready(Ok(true)),
                        stopped => poll_early(wire, cx, stopped).map_ok(|()| false),
                    };
                }
            }
        }
    }
}

/// A server that reads no more, or has closed, has answered perhaps: waits for it to do the one or the other.
fn poll_early(
    wire: &mut Wire,
    cx: &mut Context<'_>,
    stopped: Poll<io::Result<()>>,
) -> Poll<Result<(), SendError>> {
    match (wire.poll_fill(cx, SMALL), stopped) {
        (Poll::Ready(Ok(1..)), _) => Poll::Ready(Ok(())),
        (_, Poll::Ready(Err(error))) => Poll::Ready(Err(SendError::Broken(error))),
        (Poll::Ready(Ok(_)), _) => Poll::Ready(Err(TransportFault::ClosedBeforeHead.into())),
        (Poll::Ready(Err(error)), _) => Poll::Ready(Err(SendError::Broken(error))),
        (Poll::Pending, _) => Poll::Pending,
    }
}

fn poll_head(wire: &mut Wire, cx: &mut Context<'_>, to_head: bool) -> Poll<Result<ResponseHead, SendError>> {
    loop {
        if !wire.received.is_empty() {
            if let Some(head) = ResponseHead::take(&mut wire.received, to_head)? {
                return Poll::Ready(Ok(head));
            }
            if wire.received.len() > MAX_HEAD {
                return Poll::Ready(Err(TransportFault::NotHttp.into()));
            }
        }
        let nothing_came = wire.received.is_empty();
        match ready!(wire.poll_fill(cx, SMALL)) {
            Ok(1..) => {}
            Ok(_) if nothing_came => return Poll::Ready(Err(TransportFault::ClosedBeforeHead.into())),
            Err(error) if nothing_came => return Poll::Ready(Err(SendError::Broken(error))),
            Ok(_) | Err(_) => return Poll::Ready(Err(TransportFault::ClosedInResponse.into())),
        }
    }
}
