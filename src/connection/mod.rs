//! A client's connection: its bytes as they pass, and what they and the requests on it know of each other.
//!
//! actix-http has no deadline for a head after the first, none for a client that reads nothing, no bound on what frames
//! a body, drops a raw `#` from a target, and cannot read some that MLflow reads. It reads pipelined heads ahead, and then frames a response by the head that
//! was read last; and it serves what was pipelined behind a response that closes. So it is given one head at a time here,
//! and the next one when that is answered. It also keeps 128 KiB of a head that does not end, and of a body that nobody
//! reads yet: it gets a head when it is whole, and a body when somebody wants it.

mod crowd;
mod framing;
#[cfg(fuzzing)]
mod fuzzing;
mod head;
mod inbound;
mod mending;
mod no_length;
mod outbound;
mod refusal;
mod set_aside;
mod until_close;
mod waiting;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Waker},
    time::{Duration, Instant},
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

pub(crate) use crowd::Crowd;
#[cfg(fuzzing)]
pub use fuzzing::{fuzz_chunked_body, fuzz_inbound_head};
pub(crate) use inbound::{Deadlines, Inbound, Terms};
pub(crate) use refusal::NoRequest;
pub(crate) use refusal::Sender;
pub(crate) use until_close::Resettable;
use until_close::UntilClose;

/// How long the rest of a body may come that nobody reads, as long as actix-http waits for one with a length; and how long a
/// client may take over a refusal.
pub(crate) const LINGER: Duration = Duration::from_secs(5);

/// A target as a client wrote it, as the gateway reads it: encoded where it must be. `None` for what is refused.
///
/// # Errors
/// It is too long.
pub(crate) fn read_target(raw: &[u8]) -> Result<Option<PathAndQuery>, NoRequest> {
    Ok(set_aside::encoded(raw)?)
}

/// What is known of a connection; shared by its stream and the requests on it.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Whether the client speaks TLS to us.
    secure: bool,
    /// Requests that were begun so far, and those that are under way.
    begun: Cell<u64>,
    under_way: Cell<u32>,
    /// Bytes of the last request's body that may still come; chunks have no number ([`CHUNKED`]).
    body_left: Cell<u64>,
    /// The last request said that there is none behind it.
    is_last: Cell<bool>,
    /// The head that was read last has a `#` in its target.
    fragment: Cell<bool>,
    /// Its target, if actix-http read a stand-in for it.
    target: RefCell<Option<PathAndQuery>>,
    /// Bytes of what follows were read already, and wait to be handed over.
    has_ahead: Cell<bool>,
    /// The last response said that it closes: what is read behind that is nobody's request (RFC 9112 §9.6).
    closing: Cell<bool>,
    /// Somebody wants the body of the last request.
    is_wanted: Cell<bool>,
    /// Bytes received, and bytes of bodies among them, since an upload began.
    upload: Cell<Option<(u64, u64)>>,
    /// Not all of the last response was written yet.
    unflushed: Cell<bool>,
    /// When the first byte of the last head came, or the connection itself.
    since: Cell<Instant>,
    /// Bytes that it holds of an unfinished head.
    held: Cell<usize>,
    /// Bytes of the large head that it has had: it ends behind the response to that.
    large: Cell<usize>,
    /// The last response's body, if that ends with the connection.
    until_close: Cell<UntilClose>,
    /// Its place among the connections of its worker, and whether it has to go for another.
    index: Cell<usize>,
    given_up: Cell<bool>,
    /// Who reads, and waits for one of the above to change.
    reader: RefCell<Option<Waker>>,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            secure: false,
            begun: Cell::default(),
            under_way: Cell::default(),
            body_left: Cell::default(),
            is_last: Cell::default(),
            fragment: Cell::default(),
            target: RefCell::default(),
            has_ahead: Cell::default(),
            closing: Cell::default(),
            is_wanted: Cell::default(),
            upload: Cell::default(),
            unflushed: Cell::default(),
            since: Cell::new(Instant::now()),
            held: Cell::default(),
            large: Cell::default(),
            until_close: Cell::default(),
            index: Cell::default(),
            given_up: Cell::default(),
            reader: RefCell::default(),
        }
    }
}

impl Connection {
    /// That of a request; none in tests without a socket.
    pub(crate) fn of(request: &HttpRequest) -> Option<&Rc<Self>> {
        request.conn_data()
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// Nothing more is served on it.
    pub(crate) fn close(&self) {
        self.closing.set(true);
        self.wake_reader();
    }

    /// Whether the response to the last request is to be the last one. It is, too, where nobody has read its request's body
    /// to the end: the rest of that is thrown away, and the connection ends.
    pub(crate) fn is_last(&self) -> bool {
        self.is_last.get() || self.body_left.get() > 0
    }

    /// Whether the request whose head was read last has a raw `#` in its target.
    pub(crate) fn had_fragment(&self) -> bool {
        self.fragment.get()
    }

    /// Puts the target of a request back, if it was set aside ([`set_aside`]): before anything looks at it.
    pub(crate) fn put_target_back(request: &mut Request) {
        let target = request.conn_data::<Rc<Self>>().and_then(|connection| connection.target.take());
        if let Some(target) = target {
            request.head_mut().uri = target.into();
        }
    }

    /// A request begins, and is under way until the guard is dropped; `None` where it stands behind a response that
    /// closes the connection.
    pub(crate) fn begin(self: &Rc<Self>, head: &RequestHead) -> Option<UnderWay> {
        if self.closing.get() {
            return None;
        }
        self.begun.set(self.begun.get() + 1);
        self.body_left.set(body_length(head.headers()));
        self.is_last.set(self.large.get() > 0 || head.connection_type() == ConnectionType::Close);
        self.is_wanted.set(false);
        Some(self.serve())
    }

    /// Counts a request as under way until the guard is dropped.
    pub(crate) fn serve(self: &Rc<Self>) -> UnderWay {
        self.under_way.set(self.under_way.get() + 1);
        UnderWay(Rc::clone(self))
    }

    /// An upload begins (`Some(0)`), has brought more, or is over (`None`).
    pub(crate) fn uploaded(&self, bytes: Option<u64>) {
        let received = self.upload.get().map_or(0, |(received, _)| received);
        self.upload.set(bytes.map(|bytes| (received, bytes)));
        if !self.is_wanted.replace(true) && self.body_left.get() > 0 {
            self.wake_reader();
        }
    }

    /// Whether nobody on it is being served.
    fn waits(&self) -> bool {
        self.under_way.get() == 0 && !self.given_up.get()
    }

    /// Whether what is written now is no response of ours, but actix-http's own.
    fn is_unasked(&self) -> bool {
        self.under_way.get() == 0 && !self.unflushed.get() && !self.closing.get()
    }

    /// All that was to be written is.
    fn flushed(&self) {
        if self.under_way.get() == 0 {
            self.unflushed.set(false);
        }
    }

    fn wake_reader(&self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Remembers whom to wake.
    fn wait(&self, cx: &Context<'_>) {
        let mut reader = self.reader.borrow_mut();
        if !reader.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *reader = Some(cx.waker().clone());
        }
    }
}

/// A request that is under way.
#[derive(Debug)]
pub(crate) struct UnderWay(Rc<Connection>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let connection = &self.0;
        connection.under_way.set(connection.under_way.get() - 1);
        connection.unflushed.set(true);
        // Else the reader is woken by the next bytes that come, and has nothing to do before: every body that was begun is
        // read to its end, or its response closes the connection.
        if connection.has_ahead.get() || connection.body_left.get() > 0 || connection.closing.get() {
            connection.wake_reader();
        }
    }
}

/// The length of a body whose end only its chunks tell.
const CHUNKED: u64 = u64::MAX;

fn body_length(headers: &HeaderMap) -> u64 {
    if headers.contains_key(TRANSFER_ENCODING) {
        return CHUNKED;
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.trim().parse().ok());
    length.unwrap_or(0)
}
