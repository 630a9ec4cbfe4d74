//! The stream of a client's connection, which actix-http reads and writes.

use std::{
    future::Future as _,
    io,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use actix_rt::time::{Sleep, sleep_until};
use actix_web::web::{Buf as _, BytesMut};

use super::{
    Connection,
    limiter::{ConnectionLimiter, ConnectionPermit},
    refusal::{NoRequest, RefusalWriter, Refuse, RefusedInput},
    request_reader::RequestReader,
};
use crate::stall_budget::StallBudget;

/// What all connections of a worker share.
pub(crate) struct ConnectionConfig {
    /// For a request's head, from its first byte.
    pub(crate) head_timeout: Duration,
    /// For a client that does not take a response.
    pub(crate) write_budget: StallBudget,
    pub(crate) limiter: Rc<ConnectionLimiter>,
    pub(crate) refuse: Refuse,
}

/// A client's stream under actix-http.
pub(crate) struct ClientStream<T> {
    pub(super) stream: T,
    pub(super) connection: Rc<Connection>,
    pub(super) permit: ConnectionPermit,
    config: Rc<ConnectionConfig>,
    peer: Option<SocketAddr>,
    pub(super) write_budget: StallBudget,
    /// Bytes that were read and not handed over.
    pub(super) buffer: BytesMut,
    /// How many of them belong to an incomplete head, and how many may be handed over.
    pub(super) incomplete: usize,
    pub(super) ready: usize,
    /// How much of the incomplete head was validated.
    pub(super) validated: usize,
    pub(super) requests: RequestReader,
    /// Runs while a head is incomplete.
    head_timer: Option<Pin<Box<Sleep>>>,
    /// Runs while the rest of an unread body is discarded, from the response on.
    pub(super) linger: Option<Pin<Box<Sleep>>>,
    /// Runs while the client takes nothing.
    pub(super) stall: Option<(Instant, Pin<Box<Sleep>>)>,
    /// The last response on this connection, for bytes that are no request.
    pub(super) refusal: Option<Box<RefusalWriter>>,
}

impl<T> ClientStream<T> {
    /// `None` if the limit of connections is reached and none can be evicted.
    pub(crate) fn new(
        stream: T,
        peer: Option<SocketAddr>,
        secure: bool,
        config: &Rc<ConnectionConfig>,
    ) -> Option<Self> {
        let connection = Connection::new(secure);
        Some(Self {
            stream,
            permit: config.limiter.admit(&connection)?,
            connection,
            config: Rc::clone(config),
            peer,
            write_budget: config.write_budget,
            buffer: BytesMut::new(),
            incomplete: 0,
            ready: 0,
            validated: 0,
            requests: RequestReader::default(),
            head_timer: None,
            linger: None,
            stall: None,
            refusal: None,
        })
    }

    pub(crate) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    pub(super) fn buffer(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        self.connection.has_buffered.set(!self.buffer.is_empty());
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.buffer.advance(count);
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        self.connection.has_buffered.set(!self.buffer.is_empty());
    }

    /// Sets how many of the first buffered bytes belong to an incomplete head.
    pub(super) fn set_incomplete(&mut self, bytes: usize) {
        if self.incomplete != bytes {
            self.incomplete = bytes;
            self.validated = self.validated.min(bytes);
            self.permit.limiter.set_head_bytes(&self.connection, bytes);
        }
    }

    /// Answers bytes that are no request; nothing after them is served.
    pub(super) fn refuse(&mut self, fault: NoRequest) {
        let input = RefusedInput { peer: self.peer, secure: self.connection.secure, begin: &self.buffer };
        let response = (self.config.refuse)(fault, input);
        self.set_incomplete(0);
        self.buffer = BytesMut::new();
        self.connection.closing.set(true);
        self.refusal = Some(Box::new(RefusalWriter::new(response)));
    }

    /// # Errors
    /// The connection was evicted.
    pub(super) fn check_evicted(&self) -> io::Result<()> {
        if self.connection.evicted.get() {
            return Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "closed to make room for another connection",
            ));
        }
        Ok(())
    }

    /// Ready when the head took too long.
    pub(super) fn poll_head_timeout(&mut self, cx: &mut Context<'_>) -> Poll<NoRequest> {
        let Some(since) = self.requests.incomplete_since() else {
            self.head_timer = None;
            return Poll::Pending;
        };
        let deadline = (since + self.config.head_timeout).into();
        let timer = self.head_timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx).map(|()| NoRequest::TooSlow)
    }
}
