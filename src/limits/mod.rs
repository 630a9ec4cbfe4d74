//! The sixth step: rate limits for each key. After authentication, so that a request never counts against another key.

mod bytes;
mod lease;
mod rate;

use std::{
    convert::Infallible,
    fmt,
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use serde::Serialize;

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

/// The most buckets; the least recently used one, which is full, is forgotten first.
const BUCKETS: usize = 100_000;
/// The beginnings of their names.
const READS: &str = "read:";
const WRITES: &str = "write:";
/// The most accounts of artifact bytes.
const ACCOUNTS: usize = 10_000;

/// The buckets of every key.
#[derive(Debug)]
pub struct Limiter {
    live: ArcSwap<LiveLimits>,
    buckets: Buckets,
    /// `None` if artifact bytes are not limited.
    accounts: Option<Accounts>,
}

/// The settings that a reload can change.
#[derive(Debug, Clone, Copy)]
struct LiveLimits {
    mode: Mode,
    per_hour: NonZeroU32,
}

/// Where the buckets are kept.
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
#[derive(Debug)]
enum Buckets {
    /// In this process, for this instance.
    Memory(Cache<String, Arc<Mutex<TokenBucket>>>),
    /// In Redis, for all instances; here are the tokens leased from them.
    Leased { leases: Cache<String, Arc<Lease>>, redis: Redis, instances: u32 },
}

/// The outcome of the limits for a request.
#[derive(Debug, Default)]
pub struct Admission {
    /// `None` if limits are off.
    pub allowance: Option<Allowance>,
    /// Counts the bytes of the request's body and of its response's.
    pub meter: Meter,
}

/// What a key has left: the values of the rate limit headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Allowance {
    /// Requests in an hour.
    pub limit: u32,
    /// Requests that may follow immediately.
    pub remaining: u32,
    /// Seconds until the limit is fully restored.
    pub reset: u64,
}

/// What a key has left of its limits.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Left {
    pub(crate) reads: Allowance,
    pub(crate) writes: Allowance,
}

/// A limit that a request exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {limit} in an hour")]
pub struct LimitExceeded {
    pub limit: Limit,
    pub allowance: Allowance,
    /// The time until the next request is allowed.
    pub retry_after: Duration,
}

/// A limit for each hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    Requests(u32),
    ArtifactBytes(u64),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requests(limit) => write!(f, "{limit} requests"),
            Self::ArtifactBytes(limit) => write!(f, "{limit} bytes of artifacts"),
        }
    }
}

impl Limiter {
    /// Also returns the actor that settles artifact bytes with the other instances, if there is one.
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
        let live = ArcSwap::from_pointee(LiveLimits { mode: settings.mode, per_hour: settings.per_hour });
        (Self { live, buckets, accounts }, settler.flatten())
    }

    /// Applies reloaded settings.
    pub(crate) fn reload(&self, live: &Live) {
        self.live.store(Arc::new(LiveLimits { mode: live.limits_mode, per_hour: live.limits_per_hour }));
    }

    /// Counts the request. The meter counts its bytes if it moves an artifact.
    ///
    /// # Errors
    /// A limit is exceeded, in the mode that enforces.
    pub async fn admit(&self, grant: &Grant) -> Result<Admission, LimitExceeded> {
        let LiveLimits { mode, per_hour } = **self.live.load();
        if mode == Mode::Off {
            return Ok(Admission::default());
        }
        let principal = grant.principal();
        let owner = owner(principal);
        // Reads and writes are counted apart: a dashboard that polls does not keep a training run from logging.
        let operation = if grant.route().is_read() { READS } else { WRITES };
        let rate = rate(principal, per_hour);
        let allowance = match self.take(&[operation, owner].concat(), rate).await {
            Ok(allowance) => allowance,
            Err(exceeded) => refuse(mode, exceeded, principal)?,
        };
        let accounts = self.accounts.as_ref().filter(|_| grant.route().rule().moves_artifacts());
        let Some(accounts) = accounts else {
            return Ok(Admission { allowance: Some(allowance), meter: Meter::default() });
        };
        let meter = match accounts.open(owner).await {
            Ok(meter) => meter,
            Err((meter, retry_after)) => {
                let limit = Limit::ArtifactBytes(accounts.per_hour());
                refuse(mode, LimitExceeded { limit, allowance, retry_after }, principal)?;
                meter
            }
        };
        Ok(Admission { allowance: Some(allowance), meter })
    }

    /// What a key has left, as far as this instance knows; `None` if limits are off.
    pub(crate) fn left(&self, principal: &Principal) -> Option<Left> {
        let LiveLimits { mode, per_hour } = **self.live.load();
        if mode == Mode::Off {
            return None;
        }
        let (owner, rate) = (owner(principal), rate(principal, per_hour));
        let of = |operation: &str| self.peek(&[operation, owner].concat(), rate);
        Some(Left { reads: of(READS), writes: of(WRITES) })
    }

    fn peek(&self, name: &str, rate: Rate) -> Allowance {
        let tokens = match &self.buckets {
            Buckets::Memory(buckets) => buckets.get(name).map(|bucket| {
                let mut bucket = bucket.lock();
                bucket.until_one(Instant::now());
                bucket.tokens()
            }),
            Buckets::Leased { leases, .. } => leases.get(name).and_then(|lease| lease.tokens()),
        };
        rate.allowance(tokens.unwrap_or(f64::from(rate.per_hour)))
    }

    async fn take(&self, name: &str, rate: Rate) -> Result<Allowance, LimitExceeded> {
        let now = Instant::now();
        match &self.buckets {
            Buckets::Memory(buckets) => {
                let bucket = get_or_make(buckets, name, || Mutex::new(rate.bucket(now)));
                rate.take(&mut bucket.lock(), now)
            }
            Buckets::Leased { leases, redis, instances } => {
                let lease = get_or_make(leases, name, || Lease::new(format!("hokusai:limit:{name}")));
                lease.take(redis, rate, *instances).await
            }
        }
    }
}

/// Keys without an id and a user share one bucket.
fn owner(principal: &Principal) -> &str {
    principal.key_id.as_deref().or(principal.user_id.as_deref()).unwrap_or_default()
}

fn rate(principal: &Principal, per_hour: NonZeroU32) -> Rate {
    Rate { per_hour: principal.rate_limit_per_hour.unwrap_or(per_hour).get() }
}

/// Logs instead of refusing, in the mode that only reports.
fn refuse(mode: Mode, exceeded: LimitExceeded, principal: &Principal) -> Result<Allowance, LimitExceeded> {
    if mode == Mode::Enforce {
        return Err(exceeded);
    }
    tracing::info!(key_id = principal.key_id, error = %exceeded, "the rate limit would have refused this");
    Ok(exceeded.allowance)
}

fn get_or_make<T>(cache: &Cache<String, Arc<T>>, name: &str, make: impl FnOnce() -> T) -> Arc<T> {
    let Ok(made) = cache.get_or_insert_with(name, || Ok::<_, Infallible>(Arc::new(make())));
    made
}

#[cfg(test)]
mod tests;
