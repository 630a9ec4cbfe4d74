//! Keeps awc's clocks from running.
//!
//! awc makes a clock for each request (3.11, client/h1proto.rs: `ClientCodec::default()`), which is a task that is aborted behind
//! the response. Its first tick is a timer, for which tokio wakes its own driver by a system call, and nothing ever reads
//! it: the `Date` of the request is written before. Spawned into a `LocalSet` that nobody runs these tasks are only dropped,
//! many at a time.

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use awc::{ClientResponse, SendClientRequest};
use tokio::task::LocalSet;

use super::fault::SendError;

/// The clocks of one worker's client.
#[derive(Debug, Default)]
pub(super) struct DateTasks {
    tasks: RefCell<LocalSet>,
    spawned: Cell<usize>,
}

/// Tasks that may wait to be dropped.
const AT_ONCE: usize = 32;

impl DateTasks {
    /// Drops the tasks if there are many, also those of requests in flight: run once, each of these would set its timer.
    fn drop_many(&self) {
        self.spawned.set((self.spawned.get() + 1) % AT_ONCE);
        if self.spawned.get() == 0 {
            self.tasks.take();
        }
    }
}

/// A request on its way; the head of its response.
pub(crate) struct Sending {
    request: SendClientRequest,
    date_tasks: Rc<DateTasks>,
}

impl Sending {
    pub(super) fn new(request: SendClientRequest, date_tasks: &Rc<DateTasks>) -> Self {
        date_tasks.drop_many();
        Self { request, date_tasks: Rc::clone(date_tasks) }
    }
}

impl Future for Sending {
    type Output = Result<ClientResponse, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let _spawning_here = this.date_tasks.tasks.borrow().enter();
        Pin::new(&mut this.request).poll(cx).map_err(SendError::from)
    }
}
