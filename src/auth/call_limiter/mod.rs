//! Admission control for calls to the auth service, so that a flood of wrong keys does not reach it.
//!
//! A call that meets these limits waits, and in the end the client is told to retry: that is no outage of the service. Only a
//! failed call, or an open breaker, is one.

mod failures;
mod permits;

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout_at,
};

pub(super) use failures::FailureLimit;

use self::{failures::FailureToken, permits::CallPermits};
use super::{AuthError, ServiceFault};
use crate::{
    breaker::{Attempt, Breaker},
    settings::AuthService,
};

/// Failures in a row that open the breaker, and the time until the next try.
const FAILURES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// How many calls may wait in each lane.
const WAITING: usize = 1_000;

/// The limits on calls to the auth service, for the whole process.
#[derive(Debug)]
pub(super) struct CallLimiter {
    failures: FailureLimit,
    all: CallPermits,
    /// The part of `all` that unknown keys may use: a quarter is kept for known ones.
    for_unknown: CallPermits,
    unknown_lane: Lane,
    known_lane: Lane,
}

/// A breaker and a queue. Known and unknown keys have a lane each, so that failures which unknown keys provoke do not make the
/// gateway serve stale verdicts.
#[derive(Debug)]
struct Lane {
    breaker: Arc<Breaker>,
    waiting: Semaphore,
}

impl Lane {
    fn new() -> Self {
        Self { breaker: Breaker::new(FAILURES, PAUSE), waiting: Semaphore::new(WAITING) }
    }
}

/// Whether the key was valid before.
#[derive(Debug, Clone, Copy)]
pub(super) enum KeyStatus {
    /// It was. Failures of other keys at its address do not count against it, and it has permits of its own.
    Known,
    /// It is not known to have been; sent from this address.
    Unknown(Option<IpAddr>),
}

/// Why the service was not called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotAdmitted {
    /// This client address has failed too often; it may retry after this time.
    TooManyFailures(Duration),
    /// No permit in time.
    Busy,
    /// The service has failed several times in a row.
    BreakerOpen,
}

impl From<NotAdmitted> for AuthError {
    fn from(refused: NotAdmitted) -> Self {
        match refused {
            NotAdmitted::TooManyFailures(retry_after) => Self::TooManyFailures { retry_after },
            NotAdmitted::Busy => Self::Unavailable(ServiceFault::Busy),
            NotAdmitted::BreakerOpen => Self::Unavailable(ServiceFault::BreakerOpen),
        }
    }
}

/// The permission for one call.
#[derive(Debug)]
pub(super) struct CallPermit {
    attempt: Attempt,
    failure_token: FailureToken,
    key: KeyStatus,
    /// Whether it waited, and has less time left than a call should have.
    pub(super) has_waited: bool,
    _permits: Vec<OwnedSemaphorePermit>,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallOutcome {
    Accepted,
    Rejected,
    /// The service answered, and its answer for this one key is unusable.
    Unreadable,
    /// Something else answered: a load balancer, or a firewall that blocks this key.
    NotTheService,
    /// The service's own rate limit.
    Throttled,
    Unavailable,
    /// The gateway gave up before the service had its full time.
    CutShort,
}

impl CallLimiter {
    pub(super) fn new(settings: &AuthService) -> Self {
        let (concurrency, rate) = (settings.max_in_flight.get(), settings.max_per_second.get());
        let most_of = |all: usize| all.saturating_sub((all / 4).max(1)).max(1);
        Self {
            failures: FailureLimit::new(settings.failures_per_minute.get()),
            all: CallPermits::new(concurrency, rate),
            for_unknown: CallPermits::new(most_of(concurrency), most_of(rate)),
            unknown_lane: Lane::new(),
            known_lane: Lane::new(),
        }
    }

    /// Whether an unknown key at this address may be tried at all. Takes nothing.
    pub(super) fn check(&self, client: Option<IpAddr>) -> Result<(), NotAdmitted> {
        self.failures.check(client)
    }

    /// Waits for permits, until `deadline` at most.
    pub(super) async fn admit(&self, key: KeyStatus, deadline: Instant) -> Result<CallPermit, NotAdmitted> {
        let (lane, client) = match key {
            KeyStatus::Known => (&self.known_lane, None),
            KeyStatus::Unknown(client) => (&self.unknown_lane, client),
        };
        let failure_token = self.failures.take(client)?;
        if lane.breaker.is_open() {
            return Err(NotAdmitted::BreakerOpen);
        }
        let mut permits = Box::pin(self.permits(key));
        let (permits, has_waited) = match permits.as_mut().now_or_never() {
            Some(permits) => (permits, false),
            None => {
                let _waiting = lane.waiting.try_acquire().map_err(|_| NotAdmitted::Busy)?;
                let permits = timeout_at(deadline.into(), permits).await;
                // The calls before this one may have failed meanwhile.
                let late =
                    |_| if lane.breaker.is_open() { NotAdmitted::BreakerOpen } else { NotAdmitted::Busy };
                (permits.map_err(late)?, true)
            }
        };
        let attempt = lane.breaker.admit().ok_or(NotAdmitted::BreakerOpen)?;
        Ok(CallPermit { attempt, failure_token, key, has_waited, _permits: permits })
    }

    /// The permits for one call. An unknown key waits for its own first, so that it holds none of `all` meanwhile.
    async fn permits(&self, key: KeyStatus) -> Vec<OwnedSemaphorePermit> {
        let mut permits = Vec::with_capacity(2);
        if matches!(key, KeyStatus::Unknown(_)) {
            permits.extend(self.for_unknown.acquire().await);
            self.for_unknown.wait_for_rate().await;
        }
        permits.extend(self.all.acquire().await);
        self.all.wait_for_rate().await;
        permits
    }
}

impl CallPermit {
    /// Everything that a key can provoke counts against its client, a failure of the service too. `NotTheService` is an outage
    /// for a known key only: an unknown one may have provoked a firewall.
    pub(super) fn record(self, outcome: CallOutcome) {
        match (outcome, self.key) {
            (CallOutcome::Accepted | CallOutcome::Rejected | CallOutcome::Unreadable, _) => {
                self.attempt.record(true)
            }
            (CallOutcome::Unavailable, _) | (CallOutcome::NotTheService, KeyStatus::Known) => {
                self.attempt.record(false)
            }
            (CallOutcome::CutShort | CallOutcome::Throttled, _)
            | (CallOutcome::NotTheService, KeyStatus::Unknown(_)) => {}
        }
        if !matches!(outcome, CallOutcome::Accepted | CallOutcome::CutShort) {
            self.failure_token.use_up();
        }
    }
}

#[cfg(test)]
mod tests;
