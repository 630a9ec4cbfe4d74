//! What the stream of a connection and the requests on it share.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Waker},
    time::Instant,
};

use actix_http::Request;
use actix_web::{
    HttpRequest,
    dev::RequestHead,
    http::{
        ConnectionType,
        header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING},
        uri::PathAndQuery,
    },
};

use super::close_delimited::CloseDelimited;

/// The state of a connection; shared by its stream and the requests on it.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Whether the client speaks TLS to the gateway.
    pub(super) secure: bool,
    /// How many requests were begun, and how many of them are in flight.
    pub(super) begun: Cell<u64>,
    pub(super) in_flight: Cell<u32>,
    /// Bytes of the last request's body that have not arrived; [`CHUNKED`] where their number is unknown.
    pub(super) body_left: Cell<u64>,
    /// The last request said that no other follows.
    pub(super) is_last: Cell<bool>,
    /// The target of the last head has a `#`.
    pub(super) has_fragment: Cell<bool>,
    /// The target of the last head, if actix-http read a placeholder instead.
    pub(super) target: RefCell<Option<PathAndQuery>>,
    /// Bytes were read that may not be handed over yet.
    pub(super) has_buffered: Cell<bool>,
    /// The last response said that it closes: nothing after it is read as a request (RFC 9112 §9.6).
    pub(super) closing: Cell<bool>,
    /// The body of the last request is being read.
    pub(super) body_wanted: Cell<bool>,
    /// Bytes received, and bytes of bodies among them, since an upload began.
    pub(super) upload: Cell<Option<(u64, u64)>>,
    /// The last response is not all written.
    pub(super) unflushed: Cell<bool>,
    /// When the first byte of the last head came, or the connection itself.
    pub(super) waiting_since: Cell<Instant>,
    /// Bytes of an incomplete head that are buffered.
    pub(super) head_bytes: Cell<usize>,
    /// Bytes of a large head; the connection closes after the response to it.
    pub(super) large_head_bytes: Cell<usize>,
    pub(super) close_delimited: Cell<CloseDelimited>,
    /// Its index in the worker's list of connections, and whether it must close to make room.
    pub(super) index: Cell<usize>,
    pub(super) evicted: Cell<bool>,
    /// The reading task, which waits for a change of one of the above.
    reader: RefCell<Option<Waker>>,
}

impl Connection {
    pub(super) fn new(secure: bool) -> Rc<Self> {
        Rc::new(Self {
            secure,
            begun: Cell::default(),
            in_flight: Cell::default(),
            body_left: Cell::default(),
            is_last: Cell::default(),
            has_fragment: Cell::default(),
            target: RefCell::default(),
            has_buffered: Cell::default(),
            closing: Cell::default(),
            body_wanted: Cell::default(),
            upload: Cell::default(),
            unflushed: Cell::default(),
            waiting_since: Cell::new(Instant::now()),
            head_bytes: Cell::default(),
            large_head_bytes: Cell::default(),
            close_delimited: Cell::default(),
            index: Cell::default(),
            evicted: Cell::default(),
            reader: RefCell::default(),
        })
    }

    /// The connection of a request; `None` in tests without a socket.
    pub(crate) fn of(request: &HttpRequest) -> Option<&Rc<Self>> {
        request.conn_data()
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// Serves nothing more on this connection.
    pub(crate) fn close(&self) {
        self.closing.set(true);
        self.wake_reader();
    }

    /// Whether the response to the last request is the last one. It is also where the request's body was not read to its end:
    /// the rest is discarded, and the connection closes.
    pub(crate) fn is_last(&self) -> bool {
        self.is_last.get() || self.body_left.get() > 0
    }

    /// Whether the target of the last head has a raw `#`.
    pub(crate) fn had_fragment(&self) -> bool {
        self.has_fragment.get()
    }

    /// Replaces the placeholder in a request by its own target. Call it before anything looks at the request.
    pub(crate) fn restore_target(request: &mut Request) {
        let target = request.conn_data::<Rc<Self>>().and_then(|connection| connection.target.take());
        if let Some(target) = target {
            request.head_mut().uri = target.into();
        }
    }

    /// Begins a request, which is in flight until the guard is dropped; `None` after a response that closes the connection.
    pub(crate) fn begin(self: &Rc<Self>, head: &RequestHead) -> Option<ActiveRequest> {
        if self.closing.get() {
            return None;
        }
        self.begun.set(self.begun.get() + 1);
        self.body_left.set(body_length(head.headers()));
        self.is_last.set(self.large_head_bytes.get() > 0 || head.connection_type() == ConnectionType::Close);
        self.body_wanted.set(false);
        Some(self.serve())
    }

    /// Counts a request as in flight until the guard is dropped.
    pub(crate) fn serve(self: &Rc<Self>) -> ActiveRequest {
        self.in_flight.set(self.in_flight.get() + 1);
        ActiveRequest(Rc::clone(self))
    }

    /// An upload has begun (`Some(0)`), has brought bytes, or has ended (`None`).
    pub(crate) fn uploaded(&self, bytes: Option<u64>) {
        let received = self.upload.get().map_or(0, |(received, _)| received);
        self.upload.set(bytes.map(|bytes| (received, bytes)));
        if !self.body_wanted.replace(true) && self.body_left.get() > 0 {
            self.wake_reader();
        }
    }

    /// Whether it may be closed to make room for another connection.
    pub(super) fn is_evictable(&self) -> bool {
        self.in_flight.get() == 0 && !self.evicted.get()
    }

    /// Whether a response that is being written is actix-http's own, for what it could not parse.
    pub(super) fn writes_for_no_request(&self) -> bool {
        self.in_flight.get() == 0 && !self.unflushed.get() && !self.closing.get()
    }

    /// All responses so far are written.
    pub(super) fn flushed(&self) {
        if self.in_flight.get() == 0 {
            self.unflushed.set(false);
        }
    }

    pub(super) fn wake_reader(&self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Has this task woken by [`Self::wake_reader`].
    pub(super) fn register_reader(&self, cx: &Context<'_>) {
        let mut reader = self.reader.borrow_mut();
        if !reader.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *reader = Some(cx.waker().clone());
        }
    }
}

/// A request in flight.
#[derive(Debug)]
pub(crate) struct ActiveRequest(Rc<Connection>);

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        let connection = &self.0;
        connection.in_flight.set(connection.in_flight.get() - 1);
        connection.unflushed.set(true);
        // In all other cases the reader has nothing to do before the next bytes arrive, which wake it.
        if connection.has_buffered.get() || connection.body_left.get() > 0 || connection.closing.get() {
            connection.wake_reader();
        }
    }
}

/// The length of a chunked body.
pub(super) const CHUNKED: u64 = u64::MAX;

fn body_length(headers: &HeaderMap) -> u64 {
    if headers.contains_key(TRANSFER_ENCODING) {
        return CHUNKED;
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.trim().parse().ok());
    length.unwrap_or(0)
}
