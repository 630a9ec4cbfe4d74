//! A client's connection: its bytes as they pass, and what they and the requests on it know of each other.
//!
//! actix-http has no deadline for a head after the first, none for a client that reads nothing, no bound on what frames
//! a body, and drops a raw `#` from a target. It reads pipelined heads ahead, and then frames a response by the head that
//! was read last; and it serves what was pipelined behind a response that closes. So it is given one head at a time here,
//! and the next one when that is answered.

mod chunks;
mod inbound;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Waker},
};

use actix_web::{
    HttpRequest,
    dev::RequestHead,
    http::{
        ConnectionType,
        header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING},
    },
};

pub(crate) use chunks::Chunks;
pub(crate) use inbound::{Deadlines, Inbound, LINGER};

/// What is known of a connection; shared by its stream and the requests on it.
#[derive(Debug, Default)]
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
    /// Bytes of what follows were read already, and wait to be handed over.
    has_ahead: Cell<bool>,
    /// The last response said that it closes: what is read behind that is nobody's request (RFC 9112 §9.6).
    closing: Cell<bool>,
    /// Bytes received, and bytes of bodies among them, since an upload began.
    upload: Cell<Option<(u64, u64)>>,
    /// Who reads, and waits for one of the above to change.
    reader: RefCell<Option<Waker>>,
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

    /// Whether the request whose head was read last has a raw `#` in its target.
    pub(crate) fn had_fragment(&self) -> bool {
        self.fragment.get()
    }

    /// A request begins, and is under way until the guard is dropped; `None` where it stands behind a response that
    /// closes the connection.
    pub(crate) fn begin(self: &Rc<Self>, head: &RequestHead) -> Option<UnderWay> {
        if self.closing.get() {
            return None;
        }
        self.begun.set(self.begun.get() + 1);
        self.body_left.set(body_length(head.headers()));
        self.is_last.set(head.connection_type() == ConnectionType::Close);
        if self.body_left.get() > 0 {
            self.wake_reader();
        }
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
    }

    fn wake_reader(&self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Remembers whom to wake.
    fn wait(&self, cx: &Context<'_>) {
        self.reader.replace(Some(cx.waker().clone()));
    }
}

/// A request that is under way.
#[derive(Debug)]
pub(crate) struct UnderWay(Rc<Connection>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let connection = &self.0;
        connection.under_way.set(connection.under_way.get() - 1);
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
