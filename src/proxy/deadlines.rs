//! Deadlines until the head of the response: none for a transfer as a whole, one for each silence in it.

use std::{
    cell::Cell,
    future::Future,
    pin::{Pin, pin},
    task::Poll,
    time::{Duration, Instant},
};

use std::future::poll_fn;
use tokio::time::sleep_until;

use crate::stall_budget::StallBudget;

/// How long each silence may last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    /// Of MLflow, before it takes or sends the next piece of a body.
    pub(super) upstream_idle: Duration,
    /// Of MLflow, from the end of the upload (without one: from the connect) to the head of the response.
    pub(super) response: Duration,
}

/// Who is being waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WaitingFor {
    /// The client, for the next piece of its body.
    Client,
    /// MLflow, to take the next piece.
    UpstreamWrite,
    /// MLflow, for its response.
    Response,
}

/// Who is waited for, and since when. The request's body keeps it up to date.
#[derive(Debug)]
pub(super) struct Progress {
    awaited: Cell<(WaitingFor, Instant)>,
    with_client: Cell<StallBudget>,
}

impl Progress {
    /// A call whose upload has not begun: MLflow is waited for, to be connected to.
    pub(super) fn new(awaited: WaitingFor, with_client: StallBudget) -> Self {
        Self { awaited: Cell::new((awaited, Instant::now())), with_client: Cell::new(with_client) }
    }

    /// Waits for `awaited`. A wait that goes on keeps its beginning.
    pub(super) fn wait_for(&self, awaited: WaitingFor) {
        if self.awaited.get().0 != awaited {
            self.restart(awaited);
        }
    }

    /// Something arrived: begins a new wait for `awaited`.
    pub(super) fn restart(&self, awaited: WaitingFor) {
        self.awaited.set((awaited, Instant::now()));
    }

    /// A piece of the client's body arrived: waits for MLflow to take it.
    pub(super) fn client_sent(&self, bytes: usize) {
        if let (WaitingFor::Client, since) = self.awaited.get() {
            let mut stall_budget = self.with_client.get();
            stall_budget.credit(bytes, since.elapsed());
            self.with_client.set(stall_budget);
        }
        self.restart(WaitingFor::UpstreamWrite);
    }

    fn deadline(&self, timeouts: Timeouts) -> Instant {
        let (awaited, since) = self.awaited.get();
        since
            + match awaited {
                WaitingFor::Client => self.with_client.get().left(),
                WaitingFor::UpstreamWrite => timeouts.upstream_idle,
                WaitingFor::Response => timeouts.response,
            }
    }

    fn awaited(&self) -> WaitingFor {
        self.awaited.get().0
    }
}

/// Runs `exchange` until it ends, or someone is silent for too long.
///
/// # Errors
/// Who was silent.
pub(super) async fn within<T>(
    timeouts: Timeouts,
    progress: &Progress,
    mut exchange: Pin<&mut impl Future<Output = T>>,
) -> Result<T, WaitingFor> {
    let mut timer = pin!(sleep_until(progress.deadline(timeouts).into()));
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = exchange.as_mut().poll(cx) {
            return Poll::Ready(Ok(outcome));
        }
        // The timer moves only when it must: forward when it fires early, back when the deadline came closer.
        loop {
            let deadline = progress.deadline(timeouts).into();
            if timer.deadline() > deadline {
                timer.as_mut().reset(deadline);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if timer.deadline() >= deadline {
                return Poll::Ready(Err(progress.awaited()));
            }
            timer.as_mut().reset(deadline);
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const TIMEOUTS: Timeouts =
        Timeouts { upstream_idle: Duration::from_millis(400), response: Duration::from_millis(600) };

    fn progress(awaited: WaitingFor) -> Progress {
        Progress::new(awaited, StallBudget::new(Duration::from_millis(200), 1000))
    }

    #[actix_rt::test]
    async fn whoever_is_silent_too_long_ends_the_exchange() {
        for awaited in [WaitingFor::Client, WaitingFor::UpstreamWrite, WaitingFor::Response] {
            let progress = progress(awaited);
            assert_eq!(within(TIMEOUTS, &progress, pin!(pending::<()>())).await, Err(awaited));
        }
    }

    #[actix_rt::test]
    async fn an_exchange_that_goes_on_outlives_every_limit() {
        let progress = progress(WaitingFor::Response);
        let exchange = async {
            for _ in 0..20 {
                actix_rt::time::sleep(Duration::from_millis(40)).await;
                progress.restart(WaitingFor::Client);
                progress.client_sent(40);
            }
        };
        assert_eq!(within(TIMEOUTS, &progress, pin!(exchange)).await, Ok(()));
    }

    #[actix_rt::test]
    async fn a_wait_that_goes_on_keeps_its_beginning() {
        let progress = progress(WaitingFor::Client);
        let exchange = async {
            loop {
                actix_rt::time::sleep(Duration::from_millis(5)).await;
                progress.wait_for(WaitingFor::Client);
            }
        };
        assert_eq!(within::<()>(TIMEOUTS, &progress, pin!(exchange)).await, Err(WaitingFor::Client));
    }

    #[actix_rt::test]
    async fn a_client_that_only_trickles_ends_the_exchange() {
        let progress = progress(WaitingFor::Client);
        let exchange = async {
            loop {
                actix_rt::time::sleep(Duration::from_millis(20)).await;
                progress.client_sent(1);
                progress.restart(WaitingFor::Client);
            }
        };
        assert_eq!(within::<()>(TIMEOUTS, &progress, pin!(exchange)).await, Err(WaitingFor::Client));
    }
}
