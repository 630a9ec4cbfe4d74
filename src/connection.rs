//! A client's connection: its bytes as they pass, and what they and the requests on it know of each other.
//!
//! actix-http has no deadline for a head after the first, none for a client that reads nothing, no bound on what frames
//! a body, drops a raw `#` from a target, and serves what was pipelined behind a response that closes. All of that is
//! seen here.

use std::{
    cell::Cell,
    future::Future as _,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use actix_rt::time::{Sleep, sleep, sleep_until};
use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::patience::Patience;

/// Bytes that a body's framing may have beyond [`FRAMING_RATIO`] for each byte of the body: what actix buffers, and more
/// than any honest chunking needs.
const FRAMING_SLACK: u64 = 512 * 1024;
/// A chunk of one byte has five bytes of framing.
const FRAMING_RATIO: u64 = 8;

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    /// For a request's head, from its first byte.
    pub(crate) head: Duration,
    /// To take a piece of a response.
    pub(crate) write: Patience,
}

/// What is known of a connection; shared by its stream and the requests on it.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    /// Whether the client speaks TLS to us.
    secure: bool,
    /// Requests that were begun so far, and those that are under way.
    begun: Cell<u64>,
    under_way: Cell<u32>,
    /// The request that is read next has a `#` in its target.
    fragment: Cell<bool>,
    /// Its last response said that it closes: what is read behind that is nobody's request (RFC 9112 §9.6).
    closing: Cell<bool>,
    /// Bytes received, and bytes of bodies among them, since an upload began.
    upload: Cell<Option<(u64, u64)>>,
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
    }

    /// Whether the request whose head was just read had a raw `#` in its target; told once.
    pub(crate) fn had_fragment(&self) -> bool {
        self.fragment.take()
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
}

/// A request that is under way.
#[derive(Debug)]
pub(crate) struct UnderWay(Rc<Connection>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get() - 1);
    }
}

/// Tells the connection of every request on it, and serves none behind a response that closes it.
///
/// # Errors
/// Those of the wrapped service.
pub(crate) async fn count<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let Some(connection) = Connection::of(request.request()).cloned() else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    if connection.closing.get() {
        let nothing = HttpResponse::BadRequest().force_close().finish();
        return Ok(request.into_response(nothing).map_into_right_body());
    }
    connection.begun.set(connection.begun.get() + 1);
    let _under_way = connection.serve();
    Ok(next.call(request).await?.map_into_left_body())
}

/// A client's stream under actix-http.
#[derive(Debug)]
pub(crate) struct Inbound<T> {
    stream: T,
    connection: Rc<Connection>,
    deadlines: Deadlines,
    /// The number of requests before the head that is being read, and when its first byte came.
    head: Option<(u64, Instant)>,
    /// Runs while the rest of a head is waited for.
    head_timer: Option<Pin<Box<Sleep>>>,
    /// Whether the request line is still being read.
    in_request_line: bool,
    /// Runs while the client takes nothing.
    stall: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<T> Inbound<T> {
    pub(crate) fn new(stream: T, secure: bool, deadlines: Deadlines) -> Self {
        let connection = Rc::new(Connection { secure, ..Connection::default() });
        Self {
            stream,
            connection,
            deadlines,
            head: None,
            head_timer: None,
            in_request_line: false,
            stall: None,
        }
    }

    pub(crate) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    fn received(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some((received, of_body)) = self.connection.upload.get() {
            let received = received + bytes.len() as u64;
            if received > FRAMING_SLACK + FRAMING_RATIO * of_body {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a body is all framing"));
            }
            self.connection.upload.set(Some((received, of_body)));
        }
        if self.connection.under_way.get() == 0 && !bytes.is_empty() {
            let begun = self.connection.begun.get();
            if self.head.is_none_or(|(before, _)| before != begun) {
                self.head = Some((begun, Instant::now()));
                self.head_timer = None;
                self.in_request_line = true;
            }
            self.scan_request_line(bytes);
        }
        Ok(())
    }

    /// actix-http drops a fragment without a word (RFC 9112 §3.2: a target has none).
    fn scan_request_line(&mut self, bytes: &[u8]) {
        if !self.in_request_line {
            return;
        }
        // A line end before the request line is no part of it (RFC 9112 §2.2).
        let bytes = bytes.trim_ascii_start();
        let end = bytes.iter().position(|byte| *byte == b'\n');
        if bytes[..end.unwrap_or(bytes.len())].contains(&b'#') {
            self.connection.fragment.set(true);
        }
        self.in_request_line = end.is_none();
    }

    /// Ends the wait for the rest of a head.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let begun = self.connection.begun.get();
        let Some((_, since)) = self.head.filter(|(before, _)| *before == begun) else {
            self.head_timer = None;
            return Poll::Pending;
        };
        let deadline = since + self.deadlines.head;
        let timer = self.head_timer.get_or_insert_with(|| Box::pin(sleep_until(deadline.into())));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the head of a request did not arrive in time",
        )))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Inbound<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if Pin::new(&mut self.stream).poll_read(cx, buf)?.is_pending() {
            return self.poll_head(cx);
        }
        self.received(&buf.filled()[before..])?;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Inbound<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if let Poll::Ready(outcome) = Pin::new(&mut this.stream).poll_write(cx, buf) {
            if let (Ok(count), Some((since, _))) = (&outcome, this.stall.take()) {
                this.deadlines.write.rewarded(*count, since.elapsed());
            }
            return Poll::Ready(outcome);
        }
        let left = this.deadlines.write.left();
        let (_, stall) = this.stall.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not take the response")))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
