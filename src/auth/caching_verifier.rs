//! From a key to a verdict: the memory cache; then, once for all concurrent requests, the Redis cache and the service; and a stale
//! verdict if the service fails.

mod revoke;

use std::{
    net::IpAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tracing::Instrument as _;

use super::{
    AuthError, Authenticated, Principal, Rejection, ServiceFault,
    cache::{CachedVerdict, MemoryCache, RedisCache, RedisVerdict},
    call_limiter::{CallLimiter, CallOutcome, KeyStatus},
    fingerprint::{Fingerprint, KeyDigest, Pepper},
    service::ServiceVerifier,
};
use crate::{
    flight::Flights,
    outage_log::OutageLog,
    redis::Redis,
    settings::{Auth, AuthService},
    telemetry::{Metrics, spans},
    vocabulary::{CacheResult, CacheTier, ValidationOutcome, VerdictSource},
};

type Verdict = Result<Authenticated, AuthError>;

/// Verifies keys with the auth service, behind caches; shared by all workers.
#[derive(Debug)]
pub struct CachingVerifier {
    pub(super) settings: AuthService,
    pepper: Pepper,
    cache: MemoryCache,
    redis: Option<RedisCache>,
    /// Each verdict with the epoch in which it was requested.
    flights: Arc<Flights<Fingerprint, (u64, Verdict)>>,
    limiter: CallLimiter,
    outage_log: OutageLog,
    metrics: Metrics,
    /// Whether the pepper is from the settings; else it is random, and other instances have another one.
    has_fixed_pepper: bool,
    /// The shortest time between two revocations of one key by rejections.
    min_revocation_interval: Duration,
}

/// One key to verify.
struct KeyQuery {
    fingerprint: Fingerprint,
    digest: KeyDigest,
    /// The number of revocations before the lookup.
    epoch: u64,
    key: String,
    client_ip: Option<IpAddr>,
    /// The owner by a stale verdict.
    known: Option<Arc<Principal>>,
}

impl CachingVerifier {
    pub(super) fn new(
        service: &AuthService,
        auth: &Auth,
        redis: Option<Redis>,
        metrics: Metrics,
    ) -> Arc<Self> {
        let pepper = auth.pepper.as_ref().map_or_else(Pepper::random, Pepper::new);
        Arc::new(Self {
            settings: service.clone(),
            cache: MemoryCache::new(&auth.cache),
            redis: redis.map(|redis| RedisCache::new(redis, pepper.clone(), auth.cache.clone())),
            flights: Arc::default(),
            limiter: CallLimiter::new(service),
            outage_log: OutageLog::new(
                "the auth service gave no verdict",
                "the auth service gives verdicts again",
            ),
            metrics,
            min_revocation_interval: auth.cache.negative_ttl,
            has_fixed_pepper: auth.pepper.is_some(),
            pepper,
        })
    }

    /// # Errors
    /// A rejection, too many failures of this client, or no verdict and no stale one.
    pub(super) async fn verdict(
        self: &Arc<Self>,
        service: &Rc<ServiceVerifier>,
        key: &str,
        client_ip: Option<IpAddr>,
    ) -> Verdict {
        // The service gets the client's address, so its verdict may depend on it.
        let fingerprint = self.pepper.fingerprint(key, &self.settings.service_id, client_ip);
        // A flight ends with the worker that began it, or its key is revoked meanwhile (by our own revocation, and by the message
        // that comes back to us). Then another one is begun.
        for _ in 0..3 {
            let epoch = self.cache.revocations.epoch();
            let known = match self.cache.get(&fingerprint) {
                CachedVerdict::Fresh(principal) => {
                    self.metrics.key_looked_up(CacheTier::Memory, CacheResult::Hit);
                    return Ok(Authenticated { principal, source: VerdictSource::Memory });
                }
                CachedVerdict::Rejected(owner) => {
                    self.metrics.key_looked_up(CacheTier::Memory, CacheResult::Negative);
                    return Err(AuthError::Rejected(Rejection::ByService(owner)));
                }
                CachedVerdict::Stale(principal) => Some(principal),
                CachedVerdict::Missing => None,
            };
            let (is_stale, digest) =
                (known.is_some(), self.pepper.key_digest(key, &self.settings.service_id));
            let query = KeyQuery { fingerprint, digest, epoch, key: key.to_owned(), client_ip, known };
            let (verifier, service) = (Arc::clone(self), Rc::clone(service));
            let find = || async move { (epoch, verifier.find(&service, query).await) };
            let Some((epoch, verdict)) = self.flights.join(fingerprint, find).await else { continue };
            let accepted = verdict.as_ref().ok();
            if !accepted.is_some_and(|found| self.is_revoked_since(&found.principal, &digest, epoch)) {
                self.metrics.key_looked_up(CacheTier::Memory, stale_or_miss(is_stale, &verdict));
                return verdict;
            }
        }
        Err(AuthError::Unavailable(ServiceFault::Abandoned))
    }

    fn is_revoked_since(&self, owner: &Principal, digest: &KeyDigest, epoch: u64) -> bool {
        self.cache.revocations.is_revoked_since(&digest.revocation_name(owner), epoch)
    }

    /// The cache in Redis, if other instances can have this pepper.
    pub(super) fn shared_cache(&self) -> Option<&RedisCache> {
        self.redis.as_ref().filter(|_| self.has_fixed_pepper)
    }

    /// The verdict from Redis, from the service, or a stale one.
    async fn find(self: &Arc<Self>, service: &ServiceVerifier, query: KeyQuery) -> Verdict {
        let Some(redis) = &self.redis else { return self.call_or_stale(service, &query).await };
        if query.known.is_none() {
            // A flood from one address does not reach Redis either.
            self.limiter.check(query.client_ip)?;
        }
        let KeyQuery { fingerprint, digest, epoch, .. } = query;
        let found = redis.get(fingerprint, digest).await.filter(|found| {
            !self.cache.revocations.is_void(&digest.revocation_name(&found.principal), found.asked_at)
        });
        if let Some(RedisVerdict { principal, age, is_fresh: true, .. }) = found {
            self.metrics.key_looked_up(CacheTier::Redis, CacheResult::Hit);
            if let Some(asked) = Instant::now().checked_sub(age) {
                self.cache.accept(fingerprint, digest, Arc::clone(&principal), asked, epoch);
            }
            return Ok(Authenticated { principal, source: VerdictSource::Redis });
        }
        let (in_redis, in_memory) = (found.map(|found| found.principal), query.known);
        let only_in_redis = in_redis.is_some() && in_memory.is_none();
        let query = KeyQuery { known: in_memory.or(in_redis), ..query };
        let verdict = self.call_or_stale(service, &query).await;
        self.metrics.key_looked_up(CacheTier::Redis, stale_or_miss(only_in_redis, &verdict));
        verdict
    }

    /// A stale verdict is used in an outage of the service only: not at a limit of our own, nor if the service answered for
    /// another service.
    async fn call_or_stale(self: &Arc<Self>, service: &ServiceVerifier, query: &KeyQuery) -> Verdict {
        match (self.call(service, query).await, &query.known) {
            (Ok(principal), _) => Ok(Authenticated { principal, source: VerdictSource::Service }),
            (Err(AuthError::Unavailable(fault)), Some(principal))
                if fault.is_outage() && !self.is_revoked_since(principal, &query.digest, query.epoch) =>
            {
                Ok(Authenticated { principal: Arc::clone(principal), source: VerdictSource::Stale })
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Calls the service within the limits, and caches a definite answer.
    async fn call(
        self: &Arc<Self>,
        service: &ServiceVerifier,
        query: &KeyQuery,
    ) -> Result<Arc<Principal>, AuthError> {
        let KeyQuery { fingerprint, digest, epoch, key, client_ip, known } = query;
        let status = if known.is_some() { KeyStatus::Known } else { KeyStatus::Unknown(*client_ip) };
        let deadline = service.deadline();
        let permit = self.limiter.admit(status, deadline).await?;
        let (asked_at, began) = (Timestamp::now(), Instant::now());
        let span = spans::validation();
        let answer = service.verify(key, *client_ip, deadline).instrument(span.clone()).await;
        if matches!(answer, Err(AuthError::Unavailable(_))) {
            spans::failed(&span);
        }
        drop(span);
        if permit.has_waited && matches!(answer, Err(AuthError::Unavailable(ServiceFault::Timeout))) {
            // The wait for a permit took part of the service's time.
            permit.record(CallOutcome::CutShort);
            return Err(AuthError::Unavailable(ServiceFault::Busy));
        }
        let outcome = match &answer {
            Ok(_) => ValidationOutcome::Accepted,
            Err(AuthError::Rejected(_)) => ValidationOutcome::Rejected,
            Err(_) => ValidationOutcome::Unavailable,
        };
        self.metrics.key_validated(outcome, began.elapsed());
        match answer {
            Ok(principal) => {
                self.outage_log.end();
                permit.record(CallOutcome::Accepted);
                let principal = Arc::new(principal);
                self.cache.accept(*fingerprint, *digest, Arc::clone(&principal), began, *epoch);
                if let Some(redis) = &self.redis {
                    redis.accept(*fingerprint, *digest, &principal, asked_at);
                }
                Ok(principal)
            }
            Err(AuthError::Rejected(_)) => {
                self.outage_log.end();
                permit.record(CallOutcome::Rejected);
                Err(AuthError::Rejected(Rejection::ByService(self.record_rejection(query).await)))
            }
            Err(error) => {
                if let AuthError::Unavailable(fault) = &error {
                    permit.record(fault.outcome());
                    self.outage_log.warn(fault.code(), fault);
                }
                Err(error)
            }
        }
    }
}

#[cfg(feature = "bench")]
impl CachingVerifier {
    /// The name of the cached verdict on a key.
    pub fn fingerprint(&self, key: &str, client_ip: Option<IpAddr>) -> impl Copy + use<> {
        self.pepper.fingerprint(key, &self.settings.service_id, client_ip)
    }

    /// Caches a key as if the auth service had accepted it.
    pub fn remember(&self, key: &str, client_ip: Option<IpAddr>, principal: Principal) {
        let fingerprint = self.pepper.fingerprint(key, &self.settings.service_id, client_ip);
        let digest = self.pepper.key_digest(key, &self.settings.service_id);
        self.cache.accept(
            fingerprint,
            digest,
            Arc::new(principal),
            Instant::now(),
            self.cache.revocations.epoch(),
        );
    }
}

/// The outcome of a lookup in a cache that had no fresh verdict.
fn stale_or_miss(found: bool, verdict: &Verdict) -> CacheResult {
    match verdict {
        Ok(Authenticated { source: VerdictSource::Stale, .. }) if found => CacheResult::Stale,
        _ => CacheResult::Miss,
    }
}
