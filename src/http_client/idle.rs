//! The idle connections to one server.
//!
//! awc's own pool keeps none: it cannot be told that a request must not go on a connection which the server may be closing,
//! and it looks at a connection only when it wants one.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    pin::Pin,
    rc::{Rc, Weak},
    task::{Context, Waker},
    time::{Duration, Instant},
};

use actix_rt::time::sleep;
use tokio::{
    io::{AsyncRead as _, ReadBuf},
    sync::Notify,
};

use super::{idle_timeout::IdleTimeout, stream::Stream};

/// How often they are looked at. A connection that is closed between two looks counts as closed at the first.
const EVERY: Duration = Duration::from_millis(250);
/// The age at which a connection is not used again, so that a changed DNS record is seen within a minute.
const LIFETIME: Duration = Duration::from_secs(60);

/// Which idle connections a request may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// Any: the request is sent again if the server closes the connection without an answer.
    Any,
    /// One that the server is surely not closing: the request must not be sent twice.
    Safe,
    /// None, and nobody uses its connection afterwards.
    Never,
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) stream: Stream,
    since: Instant,
}

impl Open {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, since: Instant::now() }
    }

    /// Whether nothing has come on an idle connection: no end, and no byte that nobody asked for.
    fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(&mut self.stream).poll_read(&mut context, &mut ReadBuf::new(&mut byte)).is_pending()
    }
}

/// Idle connections, the one used last at the back.
pub(super) struct IdleConnections {
    /// How long one is kept.
    keep_alive: Duration,
    waiting: RefCell<VecDeque<Waiting>>,
    pub(super) server_timeout: IdleTimeout,
    is_watched: Cell<bool>,
    /// Wakes the watch when there is an idle connection again.
    kept: Rc<Notify>,
}

struct Waiting {
    since: Instant,
    /// When it was last seen open.
    seen: Instant,
    open: Open,
}

impl IdleConnections {
    pub(super) fn new(keep_alive: Duration) -> Rc<Self> {
        Rc::new(Self {
            keep_alive,
            waiting: RefCell::default(),
            server_timeout: IdleTimeout::default(),
            is_watched: Cell::default(),
            kept: Rc::default(),
        })
    }

    /// A connection for the next request, and how long it was idle. Where none is safe to use, the oldest one is closed in
    /// favour of the new one that is made instead.
    pub(super) fn take(&self, reuse: Reuse) -> Option<(Open, Duration)> {
        let mut waiting = self.waiting.borrow_mut();
        let now = Instant::now();
        // Those at the front were used before the others: if one is too old, they are.
        while waiting.front().is_some_and(|oldest| now - oldest.since >= self.keep_alive) {
            waiting.pop_front();
        }
        let safe_within = match reuse {
            Reuse::Any => Duration::MAX,
            Reuse::Safe => self.server_timeout.safe_within(now),
            Reuse::Never => return None,
        };
        while let Some(youngest) = waiting.pop_back() {
            if now - youngest.since >= safe_within {
                waiting.push_back(youngest);
                waiting.pop_front();
                return None;
            }
            let Waiting { since, seen, mut open } = youngest;
            if !open.is_quiet() {
                self.server_timeout.observe_closed(seen - since, now);
            } else if now - open.since < LIFETIME {
                return Some((open, now - since));
            }
        }
        None
    }

    /// Keeps a connection for the next request.
    pub(super) fn keep(&self, open: Open) {
        let since = Instant::now();
        self.waiting.borrow_mut().push_back(Waiting { since, seen: since, open });
        self.kept.notify_one();
    }

    /// Starts the watch, once.
    pub(super) fn watch(self: &Rc<Self>) {
        if !self.is_watched.replace(true) {
            actix_rt::spawn(watch(Rc::downgrade(self), Rc::clone(&self.kept)));
        }
    }

    /// Closes those that the server has closed, or that are too old. Whether there are others.
    fn look(&self) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        let now = Instant::now();
        waiting.retain_mut(|Waiting { since, seen, open }| {
            if now - *since >= self.keep_alive {
                return false;
            }
            if open.is_quiet() {
                *seen = now;
                self.server_timeout.observe_open(now - *since, now);
                return true;
            }
            self.server_timeout.observe_closed(*seen - *since, now);
            false
        });
        !waiting.is_empty()
    }
}

impl Drop for IdleConnections {
    fn drop(&mut self) {
        self.kept.notify_one();
    }
}

/// Looks at them as long as there are any. A connection that stays open costs no system call.
async fn watch(idle: Weak<IdleConnections>, kept: Rc<Notify>) {
    loop {
        kept.notified().await;
        loop {
            sleep(EVERY).await;
            let Some(idle) = idle.upgrade() else { return };
            if !idle.look() {
                break;
            }
        }
    }
}
