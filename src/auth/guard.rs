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
    strangers: Lane,
    known: Lane,
    breaker: Arc<Breaker>,
}

/// A share of the calls that may be made.
#[derive(Debug)]
struct Lane {
    in_flight: Arc<Semaphore>,
    per_second: Mutex<TokenBucket>,
}

impl Lane {
    fn new(in_flight: usize, per_second: usize) -> Self {
        let rate = per_second as f64;
        Self {
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
    _in_flight: OwnedSemaphorePermit,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Accepted,
    Rejected,
    /// The service answered, and not as agreed: something about this key is odd.
    Unclear,
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
            breaker: Breaker::new(FAILURES, PAUSE),
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
        let admitted = self.admit_to_service(lane, now);
        match (admitted, failures) {
            (Ok((attempt, in_flight)), failures) => Ok(Call { attempt, failures, _in_flight: in_flight }),
            (Err(refused), failures) => {
                give_back(failures.as_ref());
                Err(refused)
            }
        }
    }

    fn admit_to_service(
        &self,
        lane: &Lane,
        now: Instant,
    ) -> Result<(Attempt, OwnedSemaphorePermit), Refused> {
        let in_flight = Arc::clone(&lane.in_flight).try_acquire_owned().map_err(|_| Refused::Busy)?;
        let attempt = self.breaker.admit().ok_or(Refused::BreakerOpen)?;
        lock(&lane.per_second).take(now).map_err(|_| Refused::Busy)?;
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
    /// A rejection and an odd answer count against the client; only an outage counts against the service.
    pub(super) fn ended(self, how: Ended) {
        self.attempt.ended(how != Ended::Unavailable);
        if matches!(how, Ended::Accepted | Ended::Unavailable) {
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
    use crate::settings::ClientTls;

    fn guard(failures_per_minute: usize, max_in_flight: usize, max_per_second: usize) -> Guard {
        Guard::new(&AuthService {
            url: url::Url::parse("http://auth").unwrap(),
            service_id: "platform".to_owned(),
            tls: ClientTls::default(),
            timeout: Duration::from_secs(2),
            report_usage: false,
            failures_per_minute: failures_per_minute.try_into().unwrap(),
            max_in_flight: max_in_flight.try_into().unwrap(),
            max_per_second: max_per_second.try_into().unwrap(),
        })
    }

    fn stranger<'a>(address: impl Into<Option<&'a str>>) -> Asker {
        Asker::Stranger(address.into().map(|text| text.parse().unwrap()))
    }

    fn is_too_many(refused: Result<Call, Refused>) -> bool {
        matches!(refused, Err(Refused::TooManyFailures(_)))
    }

    #[test]
    fn rejections_of_one_client_are_limited_and_leave_others_alone() {
        let guard = guard(2, 100, 100);
        for _ in 0..2 {
            guard.admit(stranger("192.0.2.1")).unwrap().ended(Ended::Rejected);
        }
        assert!(is_too_many(guard.admit(stranger("192.0.2.1"))));
        assert!(guard.admit(stranger("192.0.2.2")).is_ok());
        assert!(guard.admit(stranger(None)).is_ok());
    }

    #[test]
    fn what_is_no_rejection_does_not_count_against_the_client() {
        let guard = guard(1, 100, 100);
        for how in [Ended::Accepted, Ended::Unavailable, Ended::Accepted] {
            guard.admit(stranger("192.0.2.1")).unwrap().ended(how);
        }
        assert!(guard.admit(stranger("192.0.2.1")).is_ok());
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_client() {
        let guard = guard(1, 100, 100);
        guard.admit(stranger("2001:db8::1")).unwrap().ended(Ended::Rejected);
        assert!(is_too_many(guard.admit(stranger("2001:db8::2"))));
        assert!(guard.admit(stranger("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn calls_under_way_are_limited() {
        let guard = guard(100, 3, 100);
        let under_way = (guard.admit(stranger(None)).unwrap(), guard.admit(stranger(None)).unwrap());
        assert_eq!(guard.admit(stranger(None)).unwrap_err(), Refused::Busy);
        under_way.0.ended(Ended::Accepted);
        assert!(guard.admit(stranger(None)).is_ok());
    }

    #[test]
    fn calls_in_a_second_are_limited_and_what_is_not_made_does_not_count() {
        let guard = guard(1, 100, 4);
        for _ in 0..3 {
            guard.admit(stranger(None)).unwrap().ended(Ended::Accepted);
        }
        assert_eq!(guard.admit(stranger("192.0.2.1")).unwrap_err(), Refused::Busy);
        assert_eq!(guard.admit(stranger("192.0.2.1")).unwrap_err(), Refused::Busy);
    }

    #[test]
    fn strangers_leave_a_share_to_keys_that_were_good_before() {
        let guard = guard(100, 4, 100);
        let _strangers: Vec<_> = (0..3).map(|_| guard.admit(stranger(None)).unwrap()).collect();
        assert_eq!(guard.admit(stranger(None)).unwrap_err(), Refused::Busy);
        assert!(guard.admit(Asker::Known).is_ok());
    }

    #[test]
    fn an_odd_answer_counts_against_the_client_and_not_against_the_service() {
        let guard = guard(20, 100, 100);
        for _ in 0..20 {
            guard.admit(stranger("192.0.2.1")).unwrap().ended(Ended::Unclear);
        }
        assert!(is_too_many(guard.admit(stranger("192.0.2.1"))));
        assert!(guard.admit(stranger("192.0.2.2")).is_ok());
    }

    #[test]
    fn a_service_that_fails_is_left_alone() {
        let guard = guard(100, 100, 100);
        for _ in 0..FAILURES {
            guard.admit(stranger(None)).unwrap().ended(Ended::Unavailable);
        }
        assert_eq!(guard.admit(stranger(None)).unwrap_err(), Refused::BreakerOpen);
    }
}
