//! The sixth step: the limits of each key. After authentication, so that a request never counts against another key.

mod bytes;
mod exceeded;
mod key_limits;
mod key_use;
mod lease;
mod rate;

use std::{convert::Infallible, sync::Arc};

use arc_swap::ArcSwap;
use quick_cache::{DefaultHashBuilder, UnitWeighter, sync::Cache};
use serde::Serialize;

use crate::{
    auth::Principal,
    policy::Grant,
    redis::Redis,
    settings::{Limits, Live, Mode},
    telemetry::Metrics,
    under_way::{Lane, Place},
};
use bytes::Accounts;
pub use bytes::Meter;
pub(crate) use bytes::Settler;
pub use exceeded::{Allowance, Limit, LimitExceeded};
pub(crate) use key_limits::KeyLimits;
use key_use::{Fleet, KeepBusy, KeyUse, Store};
use rate::{Operation, Rate};

/// The most keys; the least recently used one, whose buckets are full, is forgotten first.
const KEYS: usize = 100_000;
/// The most accounts of artifact bytes.
const ACCOUNTS: usize = 10_000;

type Keys = Cache<String, Arc<KeyUse>, UnitWeighter, DefaultHashBuilder, KeepBusy>;

/// What every key has used.
#[derive(Debug)]
pub struct Limiter {
    /// Those for keys without their own; a reload changes them.
    live: ArcSwap<Limits>,
    keys: Keys,
    store: Store,
    /// `None` if artifact bytes are not limited.
    accounts: Option<Accounts>,
    metrics: Metrics,
}

/// The outcome of the limits for a request.
#[derive(Debug, Default)]
pub struct Admission {
    /// `None` if limits are off.
    pub allowance: Option<Allowance>,
    /// To be held until the request is over; `None` if limits are off.
    pub place: Option<Place>,
    /// Counts the bytes of the request's body and of its response's.
    pub meter: Meter,
}

/// What a key has left of its limits.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Left {
    pub(crate) reads: Allowance,
    pub(crate) writes: Allowance,
    /// `None`: no limit.
    pub(crate) creates: Option<Allowance>,
    /// `None`: no limit.
    pub(crate) artifact_bytes: Option<Allowance>,
    pub(crate) concurrent: Concurrent,
}

/// What a key has under way at this instance.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Concurrent {
    /// Of requests and of artifacts each.
    pub(crate) limit: u32,
    pub(crate) requests: u32,
    pub(crate) artifacts: u32,
}

impl Limiter {
    /// Also returns the actor that settles artifact bytes with the other instances, if there is one.
    pub(crate) fn new(settings: &Limits, redis: Option<Redis>, metrics: Metrics) -> (Self, Option<Settler>) {
        let instances = settings.instances.get();
        let (accounts, settler) = settings
            .artifact_bytes_per_hour
            .map(|per_hour| Accounts::new(per_hour, redis.clone(), instances))
            .unzip();
        let limiter = Self {
            live: ArcSwap::from_pointee(settings.clone()),
            keys: at_most(KEYS),
            store: redis.map_or(Store::Memory, |redis| Store::Redis(Arc::new(Fleet { redis, instances }))),
            accounts,
            metrics,
        };
        (limiter, settler.flatten())
    }

    /// Applies reloaded settings.
    pub(crate) fn reload(&self, live: &Live) {
        let Limits { artifact_bytes_per_hour, instances, .. } = **self.live.load();
        self.live.store(Arc::new(Limits { artifact_bytes_per_hour, instances, ..live.limits.clone() }));
    }

    /// Counts the request, and gives it a place. The meter counts its bytes if it moves an artifact.
    ///
    /// # Errors
    /// A limit is exceeded, in the mode that enforces.
    pub async fn admit(&self, grant: &Grant) -> Result<Admission, LimitExceeded> {
        let principal = grant.principal();
        let (mode, limits) = {
            let settings = self.live.load();
            (settings.mode, KeyLimits::of(principal, &settings))
        };
        if mode == Mode::Off {
            return Ok(Admission::default());
        }
        let (owner, rule) = (principal.counted_as(), grant.route().rule());
        let key = self.key(owner);
        let lane = if rule.moves_artifacts() { Lane::Artifacts } else { Lane::Requests };
        // First: a request that finds no place costs no token.
        let place = match key.under_way.enter(lane, limits.concurrent) {
            Some(place) => Some(place),
            None => {
                self.refuse(mode, LimitExceeded::concurrent(lane, limits.concurrent), principal)?;
                key.under_way.enter(lane, u32::MAX)
            }
        };
        let operation = if grant.route().is_read() { Operation::Read } else { Operation::Write };
        let rate = Rate { of: operation, per_hour: limits.per_hour };
        let mut allowance = match key.take(owner, rate, &self.store).await {
            Ok(allowance) => allowance,
            Err(exceeded) => self.refuse(mode, exceeded, principal)?,
        };
        if let Some(per_hour) = limits.creates_per_hour.filter(|_| rule.is_create) {
            let rate = Rate { of: Operation::Create, per_hour };
            let of_creates = match key.take(owner, rate, &self.store).await {
                Ok(allowance) => allowance,
                Err(exceeded) => self.refuse(mode, exceeded, principal).inspect_err(|_| {
                    // A client that goes on trying to create keeps its other changes.
                    key.give_back(operation);
                })?,
            };
            if of_creates.remaining < allowance.remaining {
                allowance = of_creates;
            }
        }
        let meter = match self.accounts.as_ref().filter(|_| lane == Lane::Artifacts) {
            None => Meter::default(),
            Some(accounts) => match accounts.open(owner).await {
                Ok(meter) => meter,
                Err((meter, exceeded)) => {
                    self.refuse(mode, exceeded, principal)?;
                    meter
                }
            },
        };
        Ok(Admission { allowance: Some(allowance), place, meter })
    }

    /// What a key has left, as far as this instance knows; `None` if limits are off.
    pub(crate) fn left(&self, principal: &Principal) -> Option<Left> {
        let settings = self.live.load();
        if settings.mode == Mode::Off {
            return None;
        }
        let (owner, limits) = (principal.counted_as(), KeyLimits::of(principal, &settings));
        let key = self.keys.get(owner);
        let of = |of, per_hour| {
            let rate = Rate { of, per_hour };
            let used = key.as_ref().and_then(|key| key.peek(rate));
            used.unwrap_or_else(|| rate.allowance(f64::from(per_hour)))
        };
        let under_way = |lane| key.as_ref().map_or(0, |key| key.under_way.count(lane));
        Some(Left {
            reads: of(Operation::Read, limits.per_hour),
            writes: of(Operation::Write, limits.per_hour),
            creates: limits.creates_per_hour.map(|per_hour| of(Operation::Create, per_hour)),
            artifact_bytes: self.accounts.as_ref().map(|accounts| accounts.left(owner)),
            concurrent: Concurrent {
                limit: limits.concurrent,
                requests: under_way(Lane::Requests),
                artifacts: under_way(Lane::Artifacts),
            },
        })
    }

    fn key(&self, owner: &str) -> Arc<KeyUse> {
        let Ok(key) = self.keys.get_or_insert_with(owner, || Ok::<_, Infallible>(Arc::default()));
        key
    }

    /// Logs instead of refusing, in the mode that only reports.
    fn refuse(
        &self,
        mode: Mode,
        exceeded: LimitExceeded,
        principal: &Principal,
    ) -> Result<Allowance, LimitExceeded> {
        self.metrics.limit_exceeded(exceeded.limit.label(), mode.word());
        if mode == Mode::Enforce {
            return Err(exceeded);
        }
        tracing::info!(key_id = principal.key_id, error = %exceeded, "the rate limit would have refused this");
        Ok(exceeded.allowance)
    }
}

fn at_most(keys: usize) -> Keys {
    Cache::with(keys, keys as u64, UnitWeighter, DefaultHashBuilder::default(), KeepBusy)
}

#[cfg(test)]
mod tests;
