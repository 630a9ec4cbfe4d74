//! The stream of a client's connection, as actix-http reads it.

use std::{
    future::Future as _,
    io, mem,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use actix_rt::time::{Sleep, sleep_until};
use actix_web::web::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    Connection,
    crowd::{Crowd, Place},
    framing::{Allowed, Framing, Taken},
    no_length::with_length,
    refusal::{LastWords, NoRequest, Refuse, Sender},
};
use crate::stall_budget::StallBudget;

/// Bytes of a head behind whose response its connection ends.
const LARGE_HEAD: usize = 16 * 1024;

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    /// For a request's head, from its first byte.
    pub(crate) head: Duration,
    /// To take a piece of a response.
    pub(crate) write: StallBudget,
}

/// What holds for all connections of a worker.
pub(crate) struct Terms {
    pub(crate) deadlines: Deadlines,
    pub(crate) crowd: Rc<Crowd>,
    pub(crate) refuse: Refuse,
}

/// A client's stream under actix-http.
pub(crate) struct Inbound<T> {
    pub(super) stream: T,
    pub(super) connection: Rc<Connection>,
    place: Place,
    terms: Rc<Terms>,
    peer: Option<SocketAddr>,
    /// As far as it has not been used up.
    pub(super) write_budget: StallBudget,
    /// What was read, and may not be handed over yet.
    pub(super) ahead: BytesMut,
    /// How much of that is the beginning of a head that is not whole, and how much may be handed over after all.
    held: usize,
    pub(super) ready: usize,
    /// How much of the beginning was looked at for what can be no head.
    judged: usize,
    pub(super) framing: Framing,
    /// Runs while the rest of a head is waited for.
    head_timer: Option<Pin<Box<Sleep>>>,
    /// Runs from the answer on while the rest of a body comes that nobody reads.
    pub(super) linger: Option<Pin<Box<Sleep>>>,
    /// Runs while the client takes nothing.
    pub(super) stall: Option<(Instant, Pin<Box<Sleep>>)>,
    /// A refusal of what is no request, behind which nothing comes.
    pub(super) last_words: Option<Box<LastWords>>,
}

impl<T> Inbound<T> {
    /// `None` where there is no room for it.
    pub(crate) fn new(stream: T, peer: Option<SocketAddr>, secure: bool, terms: &Rc<Terms>) -> Option<Self> {
        let connection = Rc::new(Connection { secure, ..Connection::default() });
        Some(Self {
            stream,
            place: terms.crowd.admit(&connection)?,
            connection,
            terms: Rc::clone(terms),
            peer,
            write_budget: terms.deadlines.write,
            ahead: BytesMut::new(),
            held: 0,
            ready: 0,
            judged: 0,
            framing: Framing::default(),
            head_timer: None,
            linger: None,
            stall: None,
            last_words: None,
        })
    }

    pub(crate) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Keeps what may not be handed over yet.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        self.ahead.extend_from_slice(bytes);
        self.connection.has_ahead.set(!self.ahead.is_empty());
    }

    fn let_go(&mut self, count: usize) {
        self.ahead.advance(count);
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
        }
        self.connection.has_ahead.set(!self.ahead.is_empty());
    }

    /// The first `held` bytes of what is kept are the beginning of a head.
    fn hold(&mut self, held: usize) {
        if self.held != held {
            self.held = held;
            self.judged = self.judged.min(held);
            self.place.crowd.hold(&self.connection, held);
        }
    }

    /// Answers what is no request; nothing is served behind that.
    pub(super) fn refuse(&mut self, fault: NoRequest) {
        let sender = Sender { peer: self.peer, secure: self.connection.secure, begin: &self.ahead };
        let words = (self.terms.refuse)(fault, sender);
        self.hold(0);
        self.ahead = BytesMut::new();
        self.connection.closing.set(true);
        self.last_words = Some(Box::new(LastWords::new(words)));
    }

    /// # Errors
    /// It has to go for another one.
    pub(super) fn stay(&self) -> io::Result<()> {
        if self.connection.given_up.get() {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "given up for another connection"));
        }
        Ok(())
    }

    /// Ends the wait for the rest of a head.
    fn poll_head_deadline(&mut self, cx: &mut Context<'_>) -> Poll<NoRequest> {
        let Some(since) = self.framing.unfinished_since() else {
            self.head_timer = None;
            return Poll::Pending;
        };
        let deadline = (since + self.terms.deadlines.head).into();
        let timer = self.head_timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx).map(|()| NoRequest::TooSlow)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Inbound<T> {
    /// Reads what has come into `buf`, and keeps there what may be handed over at once: most often all of it. `Some` if that
    /// is done, or nothing more comes.
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        allowed: Allowed,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Option<()>>> {
        let before = buf.filled().len();
        if Pin::new(&mut self.stream).poll_read(cx, buf)?.is_pending() {
            self.connection.wait(cx);
            let fault = ready!(self.poll_head_deadline(cx));
            self.refuse(fault);
            return Poll::Ready(Ok(None));
        }
        let bytes = &buf.filled()[before..];
        if bytes.is_empty() {
            return Poll::Ready(Ok(Some(())));
        }
        let mut handed = None;
        if !self.ahead.is_empty() || self.framing.begins_blank(allowed, bytes) {
            self.keep(bytes);
        } else {
            let taken = self.framing.take(&self.connection, allowed, bytes)?;
            match taken {
                Taken::Bytes(count)
                    if self.framing.has_odd_target(allowed)
                        || with_length(allowed, &bytes[..count]).is_some() =>
                {
                    self.keep(bytes);
                    self.ready = count;
                    self.mend_head(allowed);
                }
                Taken::Bytes(count) => {
                    handed = Some(count);
                    self.keep(&bytes[count..]);
                }
                _ => self.keep(bytes),
            }
            self.settle(taken);
        }
        buf.set_filled(before + handed.unwrap_or(0));
        Poll::Ready(Ok(handed.map(drop)))
    }

    /// Looks at what was kept, and is now allowed.
    fn look_at_kept(&mut self, allowed: Allowed, room: usize) -> io::Result<()> {
        if self.framing.begins_blank(allowed, &self.ahead[self.held..]) {
            // Nobody is to wait for what follows an empty line between two requests (RFC 9112 §2.2).
            let blank = self.ahead.iter().position(|byte| !b"\r\n".contains(byte));
            self.let_go(blank.unwrap_or(self.ahead.len()));
            return Ok(());
        }
        let ahead = mem::take(&mut self.ahead);
        let new = &ahead[self.held..];
        let new = if matches!(allowed, Allowed::Body(_)) { &new[..new.len().min(room)] } else { new };
        let taken = self.framing.take(&self.connection, allowed, new);
        self.ahead = ahead;
        let taken = taken?;
        if let Taken::Bytes(count) = taken {
            self.ready = self.held + count;
        }
        let is_large = matches!(allowed, Allowed::Head) && self.ready > LARGE_HEAD;
        self.settle(taken);
        if is_large {
            // actix-http takes as much memory for it as it is long, and keeps that until the connection ends.
            if !self.place.crowd.take_large(&self.connection, self.ready) {
                self.refuse(NoRequest::NoRoom);
            }
        }
        if matches!(taken, Taken::Bytes(_)) && self.last_words.is_none() {
            self.mend_head(allowed);
        }
        Ok(())
    }

    /// What was kept is the beginning of a head, or is not.
    fn settle(&mut self, taken: Taken) {
        match taken {
            Taken::Bytes(_) => self.hold(0),
            Taken::NotWhole => {
                self.hold(self.ahead.len());
                // Whoever speaks TLS, say, is told at once. Looked at again only when there is twice as much.
                if self.held >= 2 * self.judged {
                    self.judged = self.held;
                    if let Some(fault) = NoRequest::already(&self.ahead) {
                        self.refuse(fault);
                    }
                }
            }
            Taken::Refused(fault) => self.refuse(fault),
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Inbound<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.stay()?;
        loop {
            if this.last_words.is_some() {
                ready!(this.poll_last_words(cx))?;
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            if let Poll::Ready(error) = this.poll_linger(cx) {
                return Poll::Ready(Err(error));
            }
            if this.framing.is_answered(&this.connection) && this.connection.body_left.get() > 0 {
                return this.poll_discard(cx);
            }
            if this.ready > 0 {
                let count = this.ready.min(buf.remaining());
                buf.put_slice(&this.ahead[..count]);
                this.ready -= count;
                this.let_go(count);
                return Poll::Ready(Ok(()));
            }
            let allowed = this.framing.allowed(&this.connection);
            if matches!(allowed, Allowed::Wait) {
                return this.poll_wait(cx);
            }
            if this.ahead.len() == this.held && ready!(this.poll_fill(cx, allowed, buf))?.is_some() {
                return Poll::Ready(Ok(()));
            }
            if this.ready == 0 && this.ahead.len() > this.held {
                this.look_at_kept(allowed, buf.remaining())?;
            }
        }
    }
}
