//! What stands before the auth service, for what no cache knows: nobody's flood of wrong keys gets through.
//!
//! Its limits are ours, and say nothing of the service: whoever meets them waits, and in the end is told to come again.
//! Only a call that failed, or a breaker that failures opened, is an outage.

mod failures;
mod places;

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

use self::{
    failures::{Failures, Try},
    places::Places,
};
use super::{AuthError, ServiceFault};
use crate::{
    breaker::{Attempt, Breaker},
    settings::AuthService,
};

/// Failures in a row after which the service is left alone, and for how long.
const FAILURES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// How many may wait for a call, strangers and known keys each.
const WAITING: usize = 1_000;

/// The limits on calls to the auth service, for the whole process.
#[derive(Debug)]
pub(super) struct Guard {
    failures: Failures,
    everybodys: Places,
    /// What strangers may take of them: a quarter stays for keys that were good before.
    strangers: Places,
    stranger: Lane,
    known: Lane,
}

/// Strangers and known keys have a breaker and a queue each: what strangers provoke is no reason to believe what was said
/// of a key before.
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

/// Whose key is to be asked about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asker {
    /// One that was good before: its neighbours' failures are no reason to refuse it, and a flood of strangers does not
    /// take its place.
    Known,
    /// Anybody, at this address.
    Stranger(Option<IpAddr>),
}

/// Why the service was not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// This client has failed too often; there is another try after this time.
    TooManyFailures(Duration),
    /// There was no place for another call in time.
    Busy,
    /// The service has failed, and is left alone for a while.
    BreakerOpen,
}

impl From<Refused> for AuthError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::TooManyFailures(retry_after) => Self::TooManyFailures { retry_after },
            Refused::Busy => Self::Unavailable(ServiceFault::Busy),
            Refused::BreakerOpen => Self::Unavailable(ServiceFault::BreakerOpen),
        }
    }
}

/// The permission for one call.
#[derive(Debug)]
pub(super) struct Call {
    attempt: Attempt,
    failure: Try,
    asker: Asker,
    /// Whether it waited for its place, and has less time than a call should have.
    pub(super) has_waited: bool,
    _places: Vec<OwnedSemaphorePermit>,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Accepted,
    Rejected,
    /// The service answered, and what it said of this one key cannot be taken.
    Misprinted,
    /// Something else answered, a load balancer's page say, or a firewall's that does not like this key.
    Foreign,
    /// The service has a limit of its own, and this client or all of us have met it.
    Throttled,
    Unavailable,
    /// Given up by us, before the service had its time.
    CutShort,
}

impl Guard {
    pub(super) fn new(settings: &AuthService) -> Self {
        let (at_once, in_a_second) = (settings.max_in_flight.get(), settings.max_per_second.get());
        let most_of = |all: usize| all.saturating_sub((all / 4).max(1)).max(1);
        Self {
            failures: Failures::new(settings.failures_per_minute.get()),
            everybodys: Places::new(at_once, in_a_second),
            strangers: Places::new(most_of(at_once), most_of(in_a_second)),
            stranger: Lane::new(),
            known: Lane::new(),
        }
    }

    /// Whether a stranger at this address may try at all; takes nothing.
    pub(super) fn look(&self, client: Option<IpAddr>) -> Result<(), Refused> {
        self.failures.look(client)
    }

    /// Waits for a place, until `deadline` at the most.
    pub(super) async fn admit(&self, asker: Asker, deadline: Instant) -> Result<Call, Refused> {
        let (lane, client) = match asker {
            Asker::Known => (&self.known, None),
            Asker::Stranger(client) => (&self.stranger, client),
        };
        let failure = self.failures.take(client)?;
        if lane.breaker.is_open() {
            return Err(Refused::BreakerOpen);
        }
        let mut places = Box::pin(self.places(asker));
        let (places, has_waited) = match places.as_mut().now_or_never() {
            Some(places) => (places, false),
            None => {
                let _waiting = lane.waiting.try_acquire().map_err(|_| Refused::Busy)?;
                let places = timeout_at(deadline.into(), places).await;
                // The calls that were waited for may have failed meanwhile.
                let late = |_| if lane.breaker.is_open() { Refused::BreakerOpen } else { Refused::Busy };
                (places.map_err(late)?, true)
            }
        };
        let attempt = lane.breaker.admit().ok_or(Refused::BreakerOpen)?;
        Ok(Call { attempt, failure, asker, has_waited, _places: places })
    }

    /// A place, when there is one: of the strangers' first, so that those of them who wait hold none of everybody's.
    async fn places(&self, asker: Asker) -> Vec<OwnedSemaphorePermit> {
        let mut places = Vec::with_capacity(2);
        if matches!(asker, Asker::Stranger(_)) {
            places.extend(self.strangers.one().await);
            self.strangers.turn().await;
        }
        places.extend(self.everybodys.one().await);
        self.everybodys.turn().await;
        places
    }
}

impl Call {
    /// Whatever a key can provoke counts against its client, a failure of the service too. A page is an outage where the key
    /// was good before, and no stranger can bring one about by what he sends. A throttled call is nobody's outage.
    pub(super) fn ended(self, how: Ended) {
        match (how, self.asker) {
            (Ended::Accepted | Ended::Rejected | Ended::Misprinted, _) => self.attempt.ended(true),
            (Ended::Unavailable, _) | (Ended::Foreign, Asker::Known) => self.attempt.ended(false),
            // Neither well nor unwell.
            (Ended::CutShort | Ended::Throttled, _) | (Ended::Foreign, Asker::Stranger(_)) => {}
        }
        if !matches!(how, Ended::Accepted | Ended::CutShort) {
            self.failure.use_up();
        }
    }
}

#[cfg(test)]
mod tests;
