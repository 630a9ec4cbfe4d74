//! The connections to a server that nobody uses at the moment, and what becomes of them.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::{Rc, Weak},
    time::{Duration, Instant},
};

use actix_rt::time::sleep;

use super::{LIFETIME, server_patience::ServerPatience, wire::Wire};

/// How often they are looked at. One that is closed between two looks counts as closed at the first.
const EVERY: Duration = Duration::from_millis(250);

/// Idle connections, the last one used at the back.
pub(super) struct Idle {
    /// How long one is kept.
    keep_alive: Duration,
    waiting: RefCell<VecDeque<Waiting>>,
    pub(super) patience: ServerPatience,
    is_watched: Cell<bool>,
}

struct Waiting {
    since: Instant,
    /// When it was last seen open.
    seen: Instant,
    wire: Wire,
}

impl Idle {
    pub(super) fn new(keep_alive: Duration) -> Rc<Self> {
        Rc::new(Self {
            keep_alive,
            waiting: RefCell::default(),
            patience: ServerPatience::default(),
            is_watched: Cell::default(),
        })
    }

    /// One for the next request, and for how long it was idle. `is_repeated`: whoever sends it tries again if it meets a connection that is being closed.
    /// For others there is none where the server may be about to close it; then the oldest one goes for the new one that
    /// is made instead.
    pub(super) fn take(&self, is_repeated: bool) -> Option<(Wire, Duration)> {
        let mut waiting = self.waiting.borrow_mut();
        let now = Instant::now();
        // Those at the front were used before: where one is too old, they are.
        while waiting.front().is_some_and(|oldest| now - oldest.since >= self.keep_alive) {
            waiting.pop_front();
        }
        let trusted = if is_repeated { Duration::MAX } else { self.patience.trusted(now) };
        while let Some(youngest) = waiting.pop_back() {
            if now - youngest.since >= trusted {
                waiting.push_back(youngest);
                waiting.pop_front();
                return None;
            }
            let Waiting { since, seen, mut wire } = youngest;
            if !wire.is_quiet() {
                self.patience.saw_closed(seen - since, now);
            } else if now - wire.since < LIFETIME {
                return Some((wire, now - since));
            }
        }
        None
    }

    /// For the next request.
    pub(super) fn keep(self: &Rc<Self>, wire: Wire) {
        let since = Instant::now();
        self.waiting.borrow_mut().push_back(Waiting { since, seen: since, wire });
        if !self.is_watched.replace(true) {
            actix_rt::spawn(watch(Rc::downgrade(self)));
        }
    }

    /// Lets go of those that are closed or too old. Whether there are others.
    fn look(&self) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        let now = Instant::now();
        waiting.retain_mut(|Waiting { since, seen, wire }| {
            if now - *since >= self.keep_alive {
                return false;
            }
            if wire.is_open() {
                *seen = now;
                self.patience.saw_open(now - *since, now);
                return true;
            }
            self.patience.saw_closed(*seen - *since, now);
            false
        });
        !waiting.is_empty()
    }
}

/// Looks at them for as long as there are any. One that stays open costs no system call.
async fn watch(idle: Weak<Idle>) {
    loop {
        sleep(EVERY).await;
        let Some(idle) = idle.upgrade() else { return };
        if !idle.look() {
            idle.is_watched.set(false);
            return;
        }
    }
}
