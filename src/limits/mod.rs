//! The sixth step: whether this key has asked for too much of late. After authentication, so that it is known whose
//! request is counted, and never somebody else's.

mod bytes;
mod lease;
mod rate;

use std::{
    borrow::Borrow,
    convert::Infallible,
    fmt,
    hash::Hash,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use quick_cache::sync::Cache;

use crate::{
    auth::Principal,
    policy::Grant,
    redis::Redis,
    settings::{Limits, Live, Mode},
    token_bucket::TokenBucket,
};
use bytes::Accounts;
pub use bytes::Meter;
pub(crate) use bytes::Settler;
use lease::Lease;
use rate::{HOUR, Rate};

/// How many buckets there are room for; of a key that has not been heard of for longest, the full one is forgotten.
const BUCKETS: usize = 100_000;
/// Likewise of artifact bytes.
const ACCOUNTS: usize = 10_000;

/// The buckets of every key.
#[derive(Debug)]
pub struct Limiter {
    rules: ArcSwap<Rules>,
    buckets: Buckets,
    /// Only where artifact bytes are limited.
    accounts: Option<Accounts>,
}

/// What the settings say.
#[derive(Debug, Clone, Copy)]
struct Rules {
    mode: Mode,
    per_hour: NonZeroU32,
}

/// Where the buckets are.
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
#[derive(Debug)]
enum Buckets {
    /// In this process, each instance for itself.
    Memory(Cache<BucketName, Arc<Mutex<TokenBucket>>>),
    /// In Redis, one for the whole fleet; here is what was leased from them.
    Leased { leases: Cache<BucketName, Arc<Lease>>, redis: Redis, instances: u32 },
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

/// What a request may do, as far as limits go.
#[derive(Debug, Default)]
pub struct Admission {
    /// `None` where nothing is limited.
    pub allowance: Option<Allowance>,
    /// Counts the bytes of the request's body and of its response's.
    pub meter: Meter,
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
#[error("more than {of} in an hour")]
pub struct TooMany {
    pub of: Of,
    pub allowance: Allowance,
    /// When the next one may come.
    pub retry_after: Duration,
}

/// What there was too much of; its Display names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    Requests(u32),
    ArtifactBytes(u64),
}

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requests(limit) => write!(f, "{limit} requests"),
            Self::ArtifactBytes(limit) => write!(f, "{limit} bytes of artifacts"),
        }
    }
}

impl Limiter {
    /// And the actor that settles artifact bytes with the fleet, where there is one.
    pub(crate) fn new(settings: &Limits, redis: Option<Redis>) -> (Self, Option<Settler>) {
        let (accounts, settler) = settings
            .artifact_bytes_per_hour
            .map(|per_hour| Accounts::new(per_hour, redis.clone(), settings.instances.get()))
            .unzip();
        let buckets = match redis {
            None => Buckets::Memory(Cache::new(BUCKETS)),
            Some(redis) => {
                Buckets::Leased { leases: Cache::new(BUCKETS), redis, instances: settings.instances.get() }
            }
        };
        let rules = ArcSwap::from_pointee(Rules { mode: settings.mode, per_hour: settings.per_hour });
        let limiter = Self { rules, buckets, accounts };
        (limiter, settler.flatten())
    }

    /// Takes over what can change.
    pub(crate) fn follow(&self, live: &Live) {
        self.rules.store(Arc::new(Rules { mode: live.limits_mode, per_hour: live.limits_per_hour }));
    }

    /// Counts the request, and from now on its bytes if it moves an artifact.
    ///
    /// # Errors
    /// A request that is one too many, in the mode that enforces.
    pub async fn admit(&self, grant: &Grant) -> Result<Admission, TooMany> {
        let Rules { mode, per_hour } = **self.rules.load();
        if mode == Mode::Off {
            return Ok(Admission::default());
        }
        let principal = grant.principal();
        let owner = principal.key_id.as_ref().or(principal.user_id.as_ref()).cloned().unwrap_or_default();
        let kind = if grant.route().is_read() { Kind::Read } else { Kind::Write };
        let rate = Rate { per_hour: principal.rate_limit_per_hour.unwrap_or(per_hour).get() };
        let allowance = match self.take(BucketName { owner: owner.clone(), kind }, rate).await {
            Ok(allowance) => allowance,
            Err(too_many) => refuse(mode, too_many, principal)?,
        };
        let accounts = self.accounts.as_ref().filter(|_| grant.route().rule().moves_artifacts());
        let Some(accounts) = accounts else {
            return Ok(Admission { allowance: Some(allowance), meter: Meter::default() });
        };
        let meter = match accounts.open(&owner).await {
            Ok(meter) => meter,
            Err((meter, retry_after)) => {
                let of = Of::ArtifactBytes(accounts.per_hour());
                refuse(mode, TooMany { of, allowance, retry_after }, principal)?;
                meter
            }
        };
        Ok(Admission { allowance: Some(allowance), meter })
    }

    async fn take(&self, name: BucketName, rate: Rate) -> Result<Allowance, TooMany> {
        let now = Instant::now();
        match &self.buckets {
            Buckets::Memory(buckets) => {
                let bucket = get_or_make(buckets, &name, || Mutex::new(rate.bucket(now)));
                rate.take(&mut bucket.lock().unwrap_or_else(PoisonError::into_inner), now)
            }
            Buckets::Leased { leases, redis, instances } => {
                let lease = get_or_make(leases, &name, || {
                    Lease::new(format!("hokusai:limit:{}:{}", name.kind.word(), name.owner))
                });
                lease.take(redis, rate, *instances).await
            }
        }
    }
}

/// Lets it through in the mode that only reports.
fn refuse(mode: Mode, too_many: TooMany, principal: &Principal) -> Result<Allowance, TooMany> {
    if mode == Mode::Enforce {
        return Err(too_many);
    }
    tracing::info!(key_id = principal.key_id, error = %too_many, "the rate limit would have refused this");
    Ok(too_many.allowance)
}

fn get_or_make<K, Q, T>(cache: &Cache<K, Arc<T>>, name: &Q, make: impl FnOnce() -> T) -> Arc<T>
where
    K: Eq + Hash + Borrow<Q>,
    Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
{
    let made: Result<_, Infallible> = cache.get_or_insert_with(name, || Ok(Arc::new(make())));
    made.unwrap_or_else(|never| match never {})
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{http::Method, test::TestRequest};

    use super::*;
    use crate::{auth::Principal, head, policy, routing::Routes, settings::Settings};

    fn grant(key_id: Option<&str>, limit: Option<u32>) -> Grant {
        grant_of((Method::GET, "/api/2.0/mlflow/runs/get"), key_id, limit)
    }

    fn grant_of((method, path): (Method, &str), key_id: Option<&str>, limit: Option<u32>) -> Grant {
        let environment = [("MLFLOW_SERVER_URL".to_owned(), "http://mlflow".to_owned())];
        let settings = Settings::load(None, environment).unwrap();
        let request = TestRequest::with_uri(path).method(method).insert_header(("host", "a"));
        let request = request.to_http_request();
        let route =
            Routes::open(&settings.mlflow).unwrap().resolve(head::inspect(request.head()).unwrap()).unwrap();
        let principal = Principal {
            key_id: key_id.map(str::to_owned),
            rate_limit_per_hour: limit.and_then(NonZeroU32::new),
            ..Principal::default()
        };
        policy::authorize(&settings.policy, Arc::new(principal), route).unwrap()
    }

    fn limiter(mode: Mode, per_hour: u32) -> Limiter {
        let one = NonZeroU32::MIN;
        let per_hour = per_hour.try_into().unwrap();
        let settings = Limits { mode, per_hour, artifact_bytes_per_hour: None, instances: one };
        Limiter::new(&settings, None).0
    }

    async fn admitted(limiter: &Limiter, grant: &Grant) -> u32 {
        let mut count = 0;
        while count < 100 && limiter.admit(grant).await.is_ok() {
            count += 1;
        }
        count
    }

    #[actix_rt::test]
    async fn a_key_gets_its_limit_and_no_more_and_others_get_theirs() {
        let limiter = limiter(Mode::Enforce, 5);
        assert_eq!(admitted(&limiter, &grant(Some("a"), None)).await, 5);
        assert_eq!(admitted(&limiter, &grant(Some("a"), None)).await, 0);
        assert_eq!(admitted(&limiter, &grant(Some("b"), None)).await, 5);
    }

    #[actix_rt::test]
    async fn the_verifiers_number_comes_before_the_settings_and_may_change() {
        let limiter = limiter(Mode::Enforce, 5);
        assert_eq!(admitted(&limiter, &grant(Some("a"), Some(9))).await, 9);
        let refused = limiter.admit(&grant(Some("a"), Some(3))).await.unwrap_err();
        assert_eq!(refused.allowance.limit, 3);
    }

    #[actix_rt::test]
    async fn reads_and_writes_are_counted_apart() {
        let limiter = limiter(Mode::Enforce, 5);
        let asking = |method, path| grant_of((method, path), Some("a"), None);
        let search = asking(Method::POST, "/api/2.0/mlflow/runs/search");
        assert_eq!(admitted(&limiter, &search).await, 5);
        assert_eq!(admitted(&limiter, &asking(Method::GET, "/api/2.0/mlflow/runs/get")).await, 0);
        assert_eq!(admitted(&limiter, &asking(Method::HEAD, "/api/2.0/mlflow/runs/get")).await, 0);
        assert_eq!(admitted(&limiter, &asking(Method::POST, "/api/2.0/mlflow/runs/create")).await, 5);
        assert_eq!(admitted(&limiter, &asking(Method::POST, "/v1/traces")).await, 0);
    }

    #[actix_rt::test]
    async fn keys_without_a_name_share_one_bucket() {
        let limiter = limiter(Mode::Enforce, 5);
        assert_eq!(admitted(&limiter, &grant(None, None)).await, 5);
        assert_eq!(admitted(&limiter, &grant(None, None)).await, 0);
    }

    #[actix_rt::test]
    async fn report_counts_and_lets_through_and_off_does_neither() {
        let report = limiter(Mode::Report, 2);
        assert_eq!(admitted(&report, &grant(Some("a"), None)).await, 100);
        assert_eq!(report.admit(&grant(Some("a"), None)).await.unwrap().allowance.unwrap().remaining, 0);
        assert!(limiter(Mode::Off, 2).admit(&grant(Some("a"), None)).await.unwrap().allowance.is_none());
    }
}
