//! What stands before the auth service, for what no cache knows: nobody's flood of wrong keys gets through.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use quick_cache::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    breaker::{Attempt, Breaker},
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
    in_flight: Arc<Semaphore>,
    per_second: Mutex<TokenBucket>,
    breaker: Arc<Breaker>,
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
    _in_flight: OwnedSemaphorePermit,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Accepted,
    Rejected,
    Unavailable,
}

impl Guard {
    pub(super) fn new(settings: &AuthService) -> Self {
        let per_second = settings.max_per_second.get() as f64;
        Self {
            failures_per_minute: settings.failures_per_minute.get() as f64,
            failures: Cache::new(ADDRESSES),
            in_flight: Arc::new(Semaphore::new(settings.max_in_flight.get())),
            per_second: Mutex::new(TokenBucket::new(per_second, per_second, Instant::now())),
            breaker: Breaker::new(FAILURES, PAUSE),
        }
    }

    /// The permission to ask about a key of `client`; `None` for one that was good before, whose neighbours' failures
    /// are no reason to refuse it.
    pub(super) fn admit(&self, client: Option<IpAddr>) -> Result<Call, Refused> {
        let now = Instant::now();
        let failures = client.map(|client| self.failures_of(client, now));
        if let Some(failures) = &failures {
            lock(failures).take(now).map_err(Refused::TooManyFailures)?;
        }
        let admitted = self.admit_to_service(now);
        match (admitted, failures) {
            (Ok((attempt, in_flight)), failures) => Ok(Call { attempt, failures, _in_flight: in_flight }),
            (Err(refused), failures) => {
                give_back(failures.as_ref());
                Err(refused)
            }
        }
    }

    fn admit_to_service(&self, now: Instant) -> Result<(Attempt, OwnedSemaphorePermit), Refused> {
        let in_flight = Arc::clone(&self.in_flight).try_acquire_owned().map_err(|_| Refused::Busy)?;
        let attempt = self.breaker.admit().ok_or(Refused::BreakerOpen)?;
        lock(&self.per_second).take(now).map_err(|_| Refused::Busy)?;
        Ok((attempt, in_flight))
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
    /// Only a rejection counts against the client, and only silence against the service.
    pub(super) fn ended(self, how: Ended) {
        self.attempt.ended(how != Ended::Unavailable);
        if how != Ended::Rejected {
            give_back(self.failures.as_ref());
        }
    }
}

fn give_back(failures: Option<&Bucket>) {
    if let Some(failures) = failures {
        lock(failures).give_back();
    }
}

/// Whom an address belongs to: in IPv6 a single customer has at least a /64.
fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn lock(bucket: &Mutex<TokenBucket>) -> MutexGuard<'_, TokenBucket> {
    bucket.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(failures_per_minute: usize, max_in_flight: usize, max_per_second: usize) -> Guard {
        Guard::new(&AuthService {
            url: url::Url::parse("http://auth").unwrap(),
            service_id: "platform".to_owned(),
            timeout: Duration::from_secs(2),
            report_usage: false,
            failures_per_minute: failures_per_minute.try_into().unwrap(),
            max_in_flight: max_in_flight.try_into().unwrap(),
            max_per_second: max_per_second.try_into().unwrap(),
        })
    }

    fn client(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    fn is_too_many(refused: Result<Call, Refused>) -> bool {
        matches!(refused, Err(Refused::TooManyFailures(_)))
    }

    #[test]
    fn rejections_of_one_client_are_limited_and_leave_others_alone() {
        let guard = guard(2, 100, 100);
        for _ in 0..2 {
            guard.admit(client("192.0.2.1")).unwrap().ended(Ended::Rejected);
        }
        assert!(is_too_many(guard.admit(client("192.0.2.1"))));
        assert!(guard.admit(client("192.0.2.2")).is_ok());
        assert!(guard.admit(None).is_ok());
    }

    #[test]
    fn what_is_no_rejection_does_not_count_against_the_client() {
        let guard = guard(1, 100, 100);
        for how in [Ended::Accepted, Ended::Unavailable, Ended::Accepted] {
            guard.admit(client("192.0.2.1")).unwrap().ended(how);
        }
        assert!(guard.admit(client("192.0.2.1")).is_ok());
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_client() {
        let guard = guard(1, 100, 100);
        guard.admit(client("2001:db8::1")).unwrap().ended(Ended::Rejected);
        assert!(is_too_many(guard.admit(client("2001:db8::2"))));
        assert!(guard.admit(client("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn calls_under_way_are_limited() {
        let guard = guard(100, 2, 100);
        let under_way = (guard.admit(None).unwrap(), guard.admit(None).unwrap());
        assert_eq!(guard.admit(None).unwrap_err(), Refused::Busy);
        under_way.0.ended(Ended::Accepted);
        assert!(guard.admit(None).is_ok());
    }

    #[test]
    fn calls_in_a_second_are_limited_and_what_is_not_made_does_not_count() {
        let guard = guard(1, 100, 3);
        for _ in 0..3 {
            guard.admit(None).unwrap().ended(Ended::Accepted);
        }
        assert_eq!(guard.admit(client("192.0.2.1")).unwrap_err(), Refused::Busy);
        assert_eq!(guard.admit(client("192.0.2.1")).unwrap_err(), Refused::Busy);
    }

    #[test]
    fn a_service_that_fails_is_left_alone() {
        let guard = guard(100, 100, 100);
        for _ in 0..FAILURES {
            guard.admit(None).unwrap().ended(Ended::Unavailable);
        }
        assert_eq!(guard.admit(None).unwrap_err(), Refused::BreakerOpen);
    }
}
