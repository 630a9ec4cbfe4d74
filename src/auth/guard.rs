//! What stands before the auth service, for what no cache knows: nobody's flood of wrong keys gets through.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use quick_cache::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    breaker::{Attempt, Breaker},
    client_ip::household,
    settings::AuthService,
    token_bucket::TokenBucket,
};

/// For how many addresses failures are counted; those not heard of for longest are forgotten first.
const ADDRESSES: usize = 10_000;
/// Failures in a row after which the service is left alone, and for how long.
const FAILURES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

type Bucket = Arc<Mutex<TokenBucket>>;

/// The limits on calls to the auth service, for the whole process.
#[derive(Debug)]
pub(super) struct Guard {
    failures_per_minute: f64,
    failures: Cache<IpAddr, Bucket>,
    strangers: Lane,
    known: Lane,
}

/// A share of the calls that may be made. Each has a breaker of its own: what strangers provoke is no reason to believe what
/// was said of a key before.
#[derive(Debug)]
struct Lane {
    breaker: Arc<Breaker>,
    in_flight: Arc<Semaphore>,
    per_second: Mutex<TokenBucket>,
}

impl Lane {
    fn new(in_flight: usize, per_second: usize) -> Self {
        let rate = per_second as f64;
        Self {
            breaker: Breaker::new(FAILURES, PAUSE),
            in_flight: Arc::new(Semaphore::new(in_flight)),
            per_second: Mutex::new(TokenBucket::new(rate, rate, Instant::now())),
        }
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
    /// All calls that there may be are under way or were made in this second.
    Busy,
    /// The service has failed, and is left alone for a while.
    BreakerOpen,
}

/// The permission for one call.
#[derive(Debug)]
pub(super) struct Call {
    attempt: Attempt,
    failures: Option<Bucket>,
    asker: Asker,
    _in_flight: OwnedSemaphorePermit,
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
    Unavailable,
}

impl Guard {
    pub(super) fn new(settings: &AuthService) -> Self {
        let (in_flight, per_second) = (settings.max_in_flight.get(), settings.max_per_second.get());
        // A quarter is for keys that were good before.
        let share = |of: usize| (of / 4).max(1);
        Self {
            failures_per_minute: settings.failures_per_minute.get() as f64,
            failures: Cache::new(ADDRESSES),
            strangers: Lane::new(
                in_flight.saturating_sub(share(in_flight)).max(1),
                per_second.saturating_sub(share(per_second)).max(1),
            ),
            known: Lane::new(share(in_flight), share(per_second)),
        }
    }

    pub(super) fn admit(&self, asker: Asker) -> Result<Call, Refused> {
        let now = Instant::now();
        let (lane, client) = match asker {
            Asker::Known => (&self.known, None),
            Asker::Stranger(client) => (&self.strangers, client),
        };
        let failures = client.map(|client| self.failures_of(client, now));
        if let Some(failures) = &failures {
            lock(failures).take(now).map_err(Refused::TooManyFailures)?;
        }
        let admitted = admit_to_service(lane, now);
        match (admitted, failures) {
            (Ok((attempt, in_flight)), failures) => {
                Ok(Call { attempt, failures, asker, _in_flight: in_flight })
            }
            (Err(refused), failures) => {
                give_back(failures.as_ref());
                Err(refused)
            }
        }
    }

    fn failures_of(&self, client: IpAddr, now: Instant) -> Bucket {
        let new = || {
            Arc::new(Mutex::new(TokenBucket::new(
                self.failures_per_minute,
                self.failures_per_minute / 60.0,
                now,
            )))
        };
        let made: Result<Bucket, std::convert::Infallible> =
            self.failures.get_or_insert_with(&household(client), || Ok(new()));
        made.unwrap_or_else(|never| match never {})
    }
}

impl Call {
    /// Whatever a key can provoke counts against its client. A page is an outage where the key was good before, and no
    /// stranger can bring one about by what he sends.
    pub(super) fn ended(self, how: Ended) {
        match (how, self.asker) {
            (Ended::Accepted | Ended::Rejected | Ended::Misprinted, _) => self.attempt.ended(true),
            (Ended::Unavailable, _) | (Ended::Foreign, Asker::Known) => self.attempt.ended(false),
            // Neither well nor unwell.
            (Ended::Foreign, Asker::Stranger(_)) => {}
        }
        if matches!(how, Ended::Accepted | Ended::Unavailable) {
            give_back(self.failures.as_ref());
        }
    }
}

fn admit_to_service(lane: &Lane, now: Instant) -> Result<(Attempt, OwnedSemaphorePermit), Refused> {
    let in_flight = Arc::clone(&lane.in_flight).try_acquire_owned().map_err(|_| Refused::Busy)?;
    let attempt = lane.breaker.admit().ok_or(Refused::BreakerOpen)?;
    lock(&lane.per_second).take(now).map_err(|_| Refused::Busy)?;
    Ok((attempt, in_flight))
}

fn give_back(failures: Option<&Bucket>) {
    if let Some(failures) = failures {
        lock(failures).give_back();
    }
}

fn lock(bucket: &Mutex<TokenBucket>) -> MutexGuard<'_, TokenBucket> {
    bucket.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
