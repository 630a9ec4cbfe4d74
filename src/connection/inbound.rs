//! The stream of a client's connection, as actix-http reads and writes it.

use std::{
    future::Future as _,
    io,
    mem::MaybeUninit,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use actix_rt::time::{Sleep, sleep, sleep_until};
use memchr::{memchr, memchr2};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{CHUNKED, Connection, chunks::Chunks};
use crate::patience::Patience;

/// Bytes that a body's framing may have beyond [`FRAMING_RATIO`] for each byte of the body: what actix buffers, and more
/// than any honest chunking needs.
const FRAMING_SLACK: u64 = 512 * 1024;
/// A chunk of one byte has five bytes of framing.
const FRAMING_RATIO: u64 = 8;
/// How long the rest of a body may come that nobody reads; as long as actix-http waits for one with a length.
pub(crate) const LINGER: Duration = Duration::from_secs(5);
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
    /// How far a chunked body has been read.
    chunks: Chunks,
    /// Runs from the answer on while the rest of a body comes that nobody reads.
    linger: Option<Pin<Box<Sleep>>>,
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
}

impl<T> Inbound<T> {
    pub(crate) fn new(stream: T, secure: bool, deadlines: Deadlines) -> Self {
        let connection = Rc::new(Connection { secure, ..Connection::default() });
        Self {
            stream,
            connection,
            deadlines,
            ahead: Vec::new(),
            head: None,
            head_timer: None,
            chunks: Chunks::default(),
            linger: None,
            stall: None,
        }
    }

    pub(crate) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    fn allowed(&self) -> Allowed {
        let Connection { begun, under_way, body_left, is_last, closing, .. } = &*self.connection;
        match self.head {
            Some(Head { part: Part::Complete, before, .. }) if before == begun.get() => Allowed::Wait,
            Some(Head { part: Part::Complete, .. }) if body_left.get() > 0 => Allowed::Body(body_left.get()),
            Some(Head { part: Part::Complete, .. })
                if under_way.get() > 0 || is_last.get() || closing.get() =>
            {
                Allowed::Wait
            }
            _ => Allowed::Head,
        }
    }

    /// Keeps what may not be handed over yet.
    fn keep(&mut self, ahead: Vec<u8>) {
        self.connection.has_ahead.set(!ahead.is_empty());
        self.ahead = ahead;
    }

    /// How many of these bytes may be handed over.
    fn take(&mut self, allowed: &Allowed, bytes: &[u8]) -> io::Result<usize> {
        match allowed {
            Allowed::Head => return Ok(self.take_head(bytes)),
            Allowed::Body(CHUNKED) => {
                let end = self.chunks.end_in(bytes);
                if end.is_some() {
                    self.connection.body_left.set(0);
                }
                let count = end.unwrap_or(bytes.len());
                self.bound_framing(count)?;
                return Ok(count);
            }
            Allowed::Body(left) => {
                let count = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                self.connection.body_left.set(left - count as u64);
                self.bound_framing(count)?;
                return Ok(count);
            }
            Allowed::Wait => {}
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

    /// Whether these bytes are an empty line before a request's.
    fn begins_blank(&self, allowed: &Allowed, bytes: &[u8]) -> bool {
        let between = self.head.is_none_or(|head| head.part == Part::Complete);
        matches!(allowed, Allowed::Head)
            && between
            && bytes.first().is_some_and(|byte| b"\r\n".contains(byte))
    }

    /// Reads on in the head, or in the next one, up to its end.
    fn take_head(&mut self, bytes: &[u8]) -> usize {
        let mut head = self.head.filter(|head| head.part != Part::Complete).unwrap_or_else(|| {
            self.head_timer = None;
            self.chunks = Chunks::default();
            self.connection.fragment.set(false);
            Head { before: self.connection.begun.get(), since: Instant::now(), part: Part::RequestLine }
        });
        let mut at = 0;
        while at < bytes.len() && head.part != Part::Complete {
            let rest = &bytes[at..];
            at += match head.part {
                Part::RequestLine => {
                    let found = memchr2(b'#', b'\n', rest);
                    match found.map(|found| rest[found]) {
                        // actix-http drops a fragment without a word (RFC 9112 §3.2: a target has none).
                        Some(b'#') => self.connection.fragment.set(true),
                        Some(_) => head.part = Part::Fields { at_line_start: true },
                        None => {}
                    }
                    found.map_or(rest.len(), |found| found + 1)
                }
                Part::Fields { at_line_start: true } => {
                    match rest[0] {
                        b'\n' => head.part = Part::Complete,
                        b'\r' => {}
                        _ => head.part = Part::Fields { at_line_start: false },
                    }
                    1
                }
                Part::Fields { at_line_start: false } => {
                    let found = memchr(b'\n', rest);
                    head.part = Part::Fields { at_line_start: found.is_some() };
                    found.map_or(rest.len(), |found| found + 1)
                }
                Part::Complete => 0,
            };
        }
        self.head = Some(head);
        at
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

    /// Ends the wait for the rest of a body that nobody reads; what comes of it does not prolong it.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Connection { begun, under_way, body_left, closing, .. } = &*self.connection;
        let is_answered = under_way.get() == 0
            && self.head.is_some_and(|head| head.part == Part::Complete && head.before != begun.get());
        if !is_answered || (body_left.get() == 0 && !closing.get()) {
            self.linger = None;
            return Poll::Pending;
        }
        let linger = self.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        ready!(linger.as_mut().poll(cx));
        Poll::Ready(io::Error::new(
            io::ErrorKind::TimedOut,
            "the rest of an unwanted body did not end in time",
        ))
    }

    /// Ends the wait for a client that takes nothing.
    fn poll_stall<R>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<R>>,
        written: impl FnOnce(&R) -> usize,
    ) -> Poll<io::Result<R>> {
        if let Poll::Ready(outcome) = outcome {
            if let Ok(result) = &outcome {
                let waited = self.stall.take().map_or(Duration::ZERO, |(since, _)| since.elapsed());
                self.deadlines.write.rewarded(written(result), waited);
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
            let mut piece = [MaybeUninit::uninit(); 4096];
            let mut piece = ReadBuf::uninit(&mut piece);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
            if piece.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.ahead.extend_from_slice(piece.filled());
            self.connection.has_ahead.set(true);
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
        if let Poll::Ready(error) = this.poll_linger(cx) {
            return Poll::Ready(Err(error));
        }
        loop {
            let allowed = this.allowed();
            if matches!(allowed, Allowed::Wait) {
                return this.poll_wait(cx);
            }
            if this.ahead.is_empty() {
                let before = buf.filled().len();
                if Pin::new(&mut this.stream).poll_read(cx, buf)?.is_pending() {
                    return this.poll_head_deadline(cx);
                }
                let bytes = &buf.filled()[before..];
                if bytes.is_empty() || !this.begins_blank(&allowed, bytes) {
                    let count = this.take(&allowed, bytes)?;
                    this.keep(bytes[count..].to_vec());
                    buf.set_filled(before + count);
                    return Poll::Ready(Ok(()));
                }
                this.ahead = bytes.to_vec();
                buf.set_filled(before);
            }
            let mut ahead = std::mem::take(&mut this.ahead);
            if this.begins_blank(&allowed, &ahead) {
                // Nobody is to wait for what follows an empty line between two requests (RFC 9112 §2.2).
                let blank = ahead.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(ahead.len());
                ahead.drain(..blank);
            }
            if ahead.is_empty() {
                continue;
            }
            let fits = ahead.len().min(buf.remaining());
            let count = this.take(&allowed, &ahead[..fits])?;
            buf.put_slice(&ahead[..count]);
            this.keep(ahead[count..].to_vec());
            return Poll::Ready(Ok(()));
        }
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
        let sent = if self.stall.is_some() { TLS_BUFFER } else { 0 };
        self.poll_stall(cx, outcome, |()| sent)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.poll_stall(cx, outcome, |()| 0)
    }
}

/// What rustls holds at most, in bytes: a flush that waited has sent that much.
const TLS_BUFFER: usize = 64 * 1024;
