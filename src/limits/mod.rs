//! The fifth step: whether this key has asked for too much of late. After authentication, so that it is known whose
//! request is counted, and never somebody else's.

use std::{
    convert::Infallible,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use actix_web::http::Method;
use quick_cache::sync::Cache;

use crate::{
    policy::Grant,
    settings::{Limits, Mode},
    token_bucket::TokenBucket,
};

/// How many buckets there are room for; of a key that has not been heard of for longest, the full one is forgotten.
const BUCKETS: usize = 100_000;
const HOUR: f64 = 3600.0;

/// The buckets of every key, in this process.
#[derive(Debug)]
pub struct Limiter {
    mode: Mode,
    per_hour: NonZeroU32,
    buckets: Cache<BucketName, Arc<Mutex<TokenBucket>>>,
}

/// Whose bucket, and for what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct BucketName {
    /// The key's id, else its user; keys without either share one.
    owner: String,
    kind: Kind,
}

/// Reads and writes are counted apart: a dashboard that polls does not keep a training run from logging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Read,
    Write,
}

/// What is left to a key; the values of the rate limit headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Requests in an hour.
    pub limit: u32,
    /// Requests that may follow at once.
    pub remaining: u32,
    /// Seconds until all of them may.
    pub reset: u64,
}

/// A request that is one too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {} requests in an hour", allowance.limit)]
pub struct TooMany {
    pub allowance: Allowance,
    /// When the next one may come.
    pub retry_after: Duration,
}

impl Limiter {
    pub fn new(settings: &Limits) -> Self {
        Self { mode: settings.mode, per_hour: settings.per_hour, buckets: Cache::new(BUCKETS) }
    }

    /// Counts the request. `None` where nothing is limited.
    ///
    /// # Errors
    /// A request that is one too many, in the mode that enforces.
    pub fn admit(&self, grant: &Grant, method: &Method) -> Result<Option<Allowance>, TooMany> {
        if self.mode == Mode::Off {
            return Ok(None);
        }
        match self.admit_at(Instant::now(), grant, method) {
            Ok(allowance) => Ok(Some(allowance)),
            Err(too_many) if self.mode == Mode::Report => {
                tracing::info!(key_id = grant.principal().key_id, "the rate limit would have refused this");
                Ok(Some(too_many.allowance))
            }
            Err(too_many) => Err(too_many),
        }
    }

    fn admit_at(&self, now: Instant, grant: &Grant, method: &Method) -> Result<Allowance, TooMany> {
        let principal = grant.principal();
        let owner = principal.key_id.as_ref().or(principal.user_id.as_ref()).cloned().unwrap_or_default();
        let kind = if method.is_safe() { Kind::Read } else { Kind::Write };
        let limit = principal.rate_limit_per_hour.unwrap_or(self.per_hour).get();

        let bucket = self.bucket(BucketName { owner, kind }, || {
            TokenBucket::new(f64::from(limit), f64::from(limit) / HOUR, now)
        });
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.resize(f64::from(limit), f64::from(limit) / HOUR);
        let taken = bucket.take(now);
        let allowance = Allowance {
            limit,
            remaining: bucket.tokens() as u32,
            reset: bucket.until_full().as_secs_f64().ceil() as u64,
        };
        taken.map(|()| allowance).map_err(|retry_after| TooMany { allowance, retry_after })
    }

    fn bucket(&self, name: BucketName, new: impl FnOnce() -> TokenBucket) -> Arc<Mutex<TokenBucket>> {
        let made: Result<_, Infallible> =
            self.buckets.get_or_insert_with(&name, || Ok(Arc::new(Mutex::new(new()))));
        made.unwrap_or_else(|never| match never {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{auth::Principal, policy, routing::Routes, settings::Settings};

    fn grant(key_id: Option<&str>, limit: Option<u32>) -> Grant {
        let environment = [("MLFLOW_SERVER_URL".to_owned(), "http://mlflow".to_owned())];
        let settings = Settings::load(None, environment).unwrap();
        let uri = "/api/2.0/mlflow/runs/get".parse().unwrap();
        let route = Routes::new(&settings.mlflow).resolve(&Method::GET, &uri).unwrap();
        let principal = Principal {
            key_id: key_id.map(str::to_owned),
            rate_limit_per_hour: limit.and_then(NonZeroU32::new),
            ..Principal::default()
        };
        policy::authorize(Arc::new(principal), route).unwrap()
    }

    fn limiter(mode: Mode, per_hour: u32) -> Limiter {
        Limiter::new(&Limits { mode, per_hour: per_hour.try_into().unwrap() })
    }

    fn admitted(limiter: &Limiter, grant: &Grant, method: &Method) -> u32 {
        (0..100).take_while(|_| limiter.admit(grant, method).is_ok()).count() as u32
    }

    #[test]
    fn a_key_gets_its_limit_and_no_more_and_others_get_theirs() {
        let limiter = limiter(Mode::Enforce, 5);
        assert_eq!(admitted(&limiter, &grant(Some("a"), None), &Method::GET), 5);
        assert_eq!(admitted(&limiter, &grant(Some("a"), None), &Method::GET), 0);
        assert_eq!(admitted(&limiter, &grant(Some("b"), None), &Method::GET), 5);
    }

    #[test]
    fn the_verifiers_number_comes_before_the_settings_and_may_change() {
        let limiter = limiter(Mode::Enforce, 5);
        assert_eq!(admitted(&limiter, &grant(Some("a"), Some(9)), &Method::GET), 9);
        let refused = limiter.admit(&grant(Some("a"), Some(3)), &Method::GET).unwrap_err();
        assert_eq!(refused.allowance.limit, 3);
    }

    #[test]
    fn reads_and_writes_are_counted_apart() {
        let limiter = limiter(Mode::Enforce, 5);
        assert_eq!(admitted(&limiter, &grant(Some("a"), None), &Method::GET), 5);
        assert_eq!(admitted(&limiter, &grant(Some("a"), None), &Method::POST), 5);
        assert_eq!(admitted(&limiter, &grant(Some("a"), None), &Method::HEAD), 0);
    }

    #[test]
    fn keys_without_a_name_share_one_bucket() {
        let limiter = limiter(Mode::Enforce, 5);
        assert_eq!(admitted(&limiter, &grant(None, None), &Method::GET), 5);
        assert_eq!(admitted(&limiter, &grant(None, None), &Method::GET), 0);
    }

    #[test]
    fn an_hours_requests_come_back_in_an_hour() {
        let (limiter, grant, start) = (limiter(Mode::Enforce, 60), grant(Some("a"), None), Instant::now());
        for _ in 0..60 {
            limiter.admit_at(start, &grant, &Method::GET).unwrap();
        }
        let refused = limiter.admit_at(start, &grant, &Method::GET).unwrap_err();
        assert_eq!(refused.retry_after.as_secs_f64().round(), 60.0);
        assert_eq!(refused.allowance, Allowance { limit: 60, remaining: 0, reset: 3600 });
        let later = limiter.admit_at(start + Duration::from_secs(600), &grant, &Method::GET).unwrap();
        assert_eq!((later.remaining, later.reset), (9, 3060));
    }

    #[test]
    fn report_counts_and_lets_through_and_off_does_neither() {
        let report = limiter(Mode::Report, 2);
        assert_eq!(admitted(&report, &grant(Some("a"), None), &Method::GET), 100);
        assert_eq!(report.admit(&grant(Some("a"), None), &Method::GET).unwrap().unwrap().remaining, 0);
        assert_eq!(limiter(Mode::Off, 2).admit(&grant(Some("a"), None), &Method::GET), Ok(None));
    }
}
