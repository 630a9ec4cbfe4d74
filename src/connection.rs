//! A client's connection: its bytes as they pass, and what they and the requests on it know of each other.
//!
//! actix-http has no deadline for a head after the first, none for a client that reads nothing, no bound on what frames
//! a body, and drops a raw `#` from a target. It reads pipelined heads ahead, and then frames a response by the head that
//! was read last; and it serves what was pipelined behind a response that closes. So it is given one head at a time here,
//! and the next one when that is answered.

use std::{
    cell::{Cell, RefCell},
    future::Future as _,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};

use actix_rt::time::{Sleep, sleep, sleep_until};
use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING},
    middleware::Next,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::patience::Patience;

/// Bytes that a body's framing may have beyond [`FRAMING_RATIO`] for each byte of the body: what actix buffers, and more
/// than any honest chunking needs.
const FRAMING_SLACK: u64 = 512 * 1024;
/// A chunk of one byte has five bytes of framing.
const FRAMING_RATIO: u64 = 8;
/// Bytes of pipelined requests that are kept until they may be read.
const MAX_AHEAD: usize = 16 * 1024;

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
    /// Bytes of the last request's body that may still come; chunks have no number.
    body_left: Cell<u64>,
    /// The head that was read last has a `#` in its target.
    fragment: Cell<bool>,
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

    /// The body has come to its end, also where its length was not told.
    pub(crate) fn body_ended(&self) {
        self.body_left.set(0);
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
        self.0.under_way.set(self.0.under_way.get() - 1);
        self.0.wake_reader();
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
    connection.body_left.set(body_length(request.headers()));
    connection.wake_reader();
    let _under_way = connection.serve();
    Ok(next.call(request).await?.map_into_left_body())
}

fn body_length(headers: &HeaderMap) -> u64 {
    if headers.contains_key(TRANSFER_ENCODING) {
        return u64::MAX;
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.trim().parse().ok());
    length.unwrap_or(0)
}

/// A client's stream under actix-http.
#[derive(Debug)]
pub(crate) struct Inbound<T> {
    stream: T,
    connection: Rc<Connection>,
    deadlines: Deadlines,
    /// What was read, and may not be handed over yet.
    ahead: Vec<u8>,
    /// The head that is being read, or was read last.
    head: Option<Head>,
    /// Runs while the rest of a head is waited for.
    head_timer: Option<Pin<Box<Sleep>>>,
    /// Runs while the client takes nothing.
    stall: Option<(Instant, Pin<Box<Sleep>>)>,
}

/// A request's head as it is read.
#[derive(Debug, Clone, Copy)]
struct Head {
    /// The number of requests before it.
    before: u64,
    /// When its first byte came.
    since: Instant,
    part: Part,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Empty lines before the request line (RFC 9112 §2.2).
    Before,
    RequestLine,
    /// The fields; whether a line has just begun.
    Fields {
        at_line_start: bool,
    },
    Complete,
}

/// What may be handed over now.
enum Allowed {
    Head,
    Body(u64),
    /// Nothing, until a request is begun or answered.
    Wait,
    /// Whatever comes: it is thrown away.
    All,
}

impl<T> Inbound<T> {
    pub(crate) fn new(stream: T, secure: bool, deadlines: Deadlines) -> Self {
        let connection = Rc::new(Connection { secure, ..Connection::default() });
        Self { stream, connection, deadlines, ahead: Vec::new(), head: None, head_timer: None, stall: None }
    }

    pub(crate) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    fn allowed(&self) -> Allowed {
        let Connection { begun, under_way, body_left, closing, .. } = &*self.connection;
        match self.head {
            _ if closing.get() => Allowed::All,
            Some(Head { part: Part::Complete, before, .. }) if before == begun.get() => Allowed::Wait,
            Some(Head { part: Part::Complete, .. }) if body_left.get() > 0 => Allowed::Body(body_left.get()),
            Some(Head { part: Part::Complete, .. }) if under_way.get() > 0 => Allowed::Wait,
            _ => Allowed::Head,
        }
    }

    /// How many of these bytes may be handed over.
    fn take(&mut self, allowed: &Allowed, bytes: &[u8]) -> io::Result<usize> {
        match allowed {
            Allowed::Head => return Ok(self.take_head(bytes)),
            Allowed::Body(left) => {
                let count = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                if *left < u64::MAX {
                    self.connection.body_left.set(left - count as u64);
                }
                self.bound_framing(count)?;
                return Ok(count);
            }
            Allowed::Wait | Allowed::All => {}
        }
        Ok(bytes.len())
    }

    fn bound_framing(&self, count: usize) -> io::Result<()> {
        if let Some((received, of_body)) = self.connection.upload.get() {
            let received = received + count as u64;
            if received > FRAMING_SLACK + FRAMING_RATIO * of_body {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a body is all framing"));
            }
            self.connection.upload.set(Some((received, of_body)));
        }
        Ok(())
    }

    /// Reads on in the head, or in the next one, up to its end.
    fn take_head(&mut self, bytes: &[u8]) -> usize {
        let mut head = self.head.filter(|head| head.part != Part::Complete).unwrap_or_else(|| {
            self.head_timer = None;
            self.connection.fragment.set(false);
            Head { before: self.connection.begun.get(), since: Instant::now(), part: Part::Before }
        });
        let mut end = bytes.len();
        for (at, byte) in bytes.iter().enumerate() {
            head.part = match (head.part, byte) {
                (Part::Before, b'\r' | b'\n') => Part::Before,
                // actix-http drops a fragment without a word (RFC 9112 §3.2: a target has none).
                (Part::RequestLine, b'#') => {
                    self.connection.fragment.set(true);
                    Part::RequestLine
                }
                (Part::RequestLine, b'\n') => Part::Fields { at_line_start: true },
                (Part::Before | Part::RequestLine, _) => Part::RequestLine,
                (Part::Fields { at_line_start: true }, b'\n') => {
                    end = at + 1;
                    Part::Complete
                }
                (part @ Part::Fields { .. }, b'\r') => part,
                (Part::Fields { .. }, byte) => Part::Fields { at_line_start: *byte == b'\n' },
                (Part::Complete, _) => break,
            };
        }
        self.head = Some(head);
        end
    }

    /// Ends the wait for the rest of a head.
    fn poll_head_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(head) = self.head.filter(|head| head.part != Part::Complete) else {
            self.head_timer = None;
            return Poll::Pending;
        };
        let deadline = head.since + self.deadlines.head;
        let timer = self.head_timer.get_or_insert_with(|| Box::pin(sleep_until(deadline.into())));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the head of a request did not arrive in time",
        )))
    }

    /// Ends the wait for a client that takes nothing.
    fn poll_stall<R>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<R>>,
        written: impl FnOnce(&R) -> usize,
    ) -> Poll<io::Result<R>> {
        if let Poll::Ready(outcome) = outcome {
            if let (Ok(result), Some((since, _))) = (&outcome, self.stall.take()) {
                self.deadlines.write.rewarded(written(result), since.elapsed());
            }
            return Poll::Ready(outcome);
        }
        let left = self.deadlines.write.left();
        let (_, stall) = self.stall.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not take the response")))
    }
}

impl<T: AsyncRead + Unpin> Inbound<T> {
    /// Waits for a request to be begun or answered, and notices meanwhile if the client goes.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.wait(cx);
        while self.ahead.len() < MAX_AHEAD {
            let mut piece = [0; 4096];
            let mut piece = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
            if piece.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.ahead.extend_from_slice(piece.filled());
        }
        Poll::Pending
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Inbound<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let allowed = this.allowed();
        if matches!(allowed, Allowed::Wait) {
            return this.poll_wait(cx);
        }
        if !this.ahead.is_empty() {
            let ahead = std::mem::take(&mut this.ahead);
            let fits = ahead.len().min(buf.remaining());
            let count = this.take(&allowed, &ahead[..fits])?;
            buf.put_slice(&ahead[..count]);
            this.ahead = ahead[count..].to_vec();
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        if Pin::new(&mut this.stream).poll_read(cx, buf)?.is_pending() {
            return this.poll_head_deadline(cx);
        }
        let bytes = &buf.filled()[before..];
        let count = this.take(&allowed, bytes)?;
        this.ahead = bytes[count..].to_vec();
        buf.set_filled(before + count);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Inbound<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.poll_stall(cx, outcome, |count| *count)
    }

    // TLS keeps bytes of its own, and then it is here that the client is waited for.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.poll_stall(cx, outcome, |()| TLS_BUFFER)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.poll_stall(cx, outcome, |()| 0)
    }
}

/// What rustls holds at most, in bytes: a flush that waited has sent that much.
const TLS_BUFFER: usize = 64 * 1024;
