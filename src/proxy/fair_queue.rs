//! One worker's connections to a server. Where they are short, requests wait, and keys take turns: a key with many requests waits
//! for itself. Transfers of artifacts, which take long, never have all of them.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use crate::under_way::Lane;

/// One of so many connections is kept for requests that move no artifact.
const KEPT: usize = 4;

/// Whose request is to be sent, and of what kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn<'a> {
    pub(super) owner: &'a str,
    pub(super) lane: Lane,
}

/// The connections, and the requests that wait for one.
#[derive(Debug, Clone)]
pub(super) struct FairQueue(Rc<RefCell<State>>);

#[derive(Debug)]
struct State {
    free: usize,
    /// How many more may be used for artifacts.
    free_for_artifacts: usize,
    /// Those with waiting requests, in the order of their next turns.
    flows: VecDeque<Flow>,
    room: Room,
}

/// How many requests may wait, at all servers of one worker together.
#[derive(Debug, Clone)]
pub(super) struct Room {
    waiting: Rc<Cell<usize>>,
    most: usize,
}

/// The waiting requests of one key, artifacts apart.
#[derive(Debug)]
struct Flow {
    owner: String,
    lane: Lane,
    waiters: VecDeque<Rc<Waiter>>,
}

#[derive(Debug, Default)]
struct Waiter {
    progress: Cell<Progress>,
    waker: RefCell<Option<Waker>>,
}

#[derive(Debug, Default, Clone, Copy)]
enum Progress {
    #[default]
    Waiting,
    /// A connection is its own, and not yet taken.
    Served,
    /// Nothing more comes.
    Over,
}

/// A connection that may be used, until this is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    queue: FairQueue,
    lane: Lane,
}

/// A place in the queue. Its output is `None` if another key's request needed the place.
#[derive(Debug)]
pub(super) struct Waiting {
    queue: FairQueue,
    lane: Lane,
    waiter: Rc<Waiter>,
}

/// As many wait as may.
#[derive(Debug)]
pub(super) struct QueueFull;

impl Room {
    pub(super) fn new(most: usize) -> Self {
        Self { waiting: Rc::default(), most }
    }

    fn is_full(&self) -> bool {
        self.waiting.get() >= self.most
    }

    fn enter(&self) {
        self.waiting.set(self.waiting.get() + 1);
    }

    fn leave(&self) {
        self.waiting.set(self.waiting.get() - 1);
    }
}

impl FairQueue {
    /// `keeps`: whether some are kept for requests that move no artifact.
    pub(super) fn new(connections: usize, keeps: bool, room: Room) -> Self {
        let kept = if keeps { connections.div_ceil(KEPT) } else { 0 };
        // At least one, also of one.
        let free_for_artifacts = connections.saturating_sub(kept).max(1);
        let state = State { free: connections, free_for_artifacts, flows: VecDeque::new(), room };
        Self(Rc::new(RefCell::new(state)))
    }

    /// A connection, if one is free. Then nobody waits who could use it.
    pub(super) fn try_take(&self, lane: Lane) -> Option<Permit> {
        self.0.borrow_mut().take(lane).then(|| Permit { queue: self.clone(), lane })
    }

    /// Waits behind the requests of the same key.
    ///
    /// # Errors
    /// As many wait as may, and no key has more of them than this one.
    pub(super) fn wait(&self, turn: Turn<'_>) -> Result<Waiting, QueueFull> {
        let waiter = Rc::default();
        self.0.borrow_mut().enqueue(turn, &waiter)?;
        Ok(Waiting { queue: self.clone(), lane: turn.lane, waiter })
    }
}

impl State {
    fn may_take(&self, lane: Lane) -> bool {
        self.free > 0 && (lane == Lane::Requests || self.free_for_artifacts > 0)
    }

    fn take(&mut self, lane: Lane) -> bool {
        if !self.may_take(lane) {
            return false;
        }
        self.free -= 1;
        self.free_for_artifacts -= usize::from(lane == Lane::Artifacts);
        true
    }

    fn give_back(&mut self, lane: Lane) {
        self.free += 1;
        self.free_for_artifacts += usize::from(lane == Lane::Artifacts);
        self.serve();
    }

    /// Gives what is free to those whose turn it is. A key that was served goes behind the others.
    fn serve(&mut self) {
        let next = |state: &Self| state.flows.iter().position(|flow| state.may_take(flow.lane));
        while let Some(mut flow) = next(self).and_then(|at| self.flows.remove(at)) {
            if let Some(waiter) = flow.waiters.pop_front() {
                self.take(flow.lane);
                self.room.leave();
                waiter.advance(Progress::Served);
            }
            if !flow.waiters.is_empty() {
                self.flows.push_back(flow);
            }
        }
    }

    fn enqueue(&mut self, turn: Turn<'_>, waiter: &Rc<Waiter>) -> Result<(), QueueFull> {
        let own = self.flows.iter().position(|flow| flow.owner == turn.owner && flow.lane == turn.lane);
        if self.room.is_full() {
            self.displace(own.map_or(0, |at| self.flows[at].waiters.len()))?;
        }
        self.room.enter();
        match own {
            Some(at) => self.flows[at].waiters.push_back(Rc::clone(waiter)),
            None => self.flows.push_back(Flow {
                owner: turn.owner.to_owned(),
                lane: turn.lane,
                waiters: VecDeque::from([Rc::clone(waiter)]),
            }),
        }
        Ok(())
    }

    /// Whoever has most in a full queue loses the last of them to somebody with fewer.
    fn displace(&mut self, fewer: usize) -> Result<(), QueueFull> {
        let most = self.flows.iter_mut().max_by_key(|flow| flow.waiters.len());
        let last =
            most.filter(|flow| flow.waiters.len() > fewer + 1).and_then(|flow| flow.waiters.pop_back());
        last.ok_or(QueueFull)?.advance(Progress::Over);
        self.room.leave();
        Ok(())
    }

    fn forget(&mut self, waiter: &Rc<Waiter>) {
        for flow in &mut self.flows {
            if let Some(at) = flow.waiters.iter().position(|waiting| Rc::ptr_eq(waiting, waiter)) {
                flow.waiters.remove(at);
                self.room.leave();
                break;
            }
        }
        self.flows.retain(|flow| !flow.waiters.is_empty());
    }
}

impl Waiter {
    fn advance(&self, to: Progress) {
        self.progress.set(to);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Future for Waiting {
    type Output = Option<Permit>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.waiter.progress.get() {
            Progress::Waiting => {
                self.waiter.waker.replace(Some(cx.waker().clone()));
                Poll::Pending
            }
            Progress::Served => {
                self.waiter.progress.set(Progress::Over);
                Poll::Ready(Some(Permit { queue: self.queue.clone(), lane: self.lane }))
            }
            Progress::Over => Poll::Ready(None),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        match self.waiter.progress.get() {
            Progress::Waiting => self.queue.0.borrow_mut().forget(&self.waiter),
            // The client was gone in the moment in which its turn came.
            Progress::Served => self.queue.0.borrow_mut().give_back(self.lane),
            Progress::Over => {}
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.queue.0.borrow_mut().give_back(self.lane);
    }
}

#[cfg(test)]
mod tests;
