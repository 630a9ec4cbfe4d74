//! The way from a key to the auth service's word on it: memory, then one flight for all who ask: Redis, the guard, the
//! service; and what is remembered from before, if nobody can be asked.

mod ending;

use std::{
    net::IpAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    AuthError, Authenticated, Principal, Rejection, ServiceFault,
    cache::{Remembered, Shared, SharedVerdict, VerdictCache},
    fingerprint::{Fingerprint, KeyDigest, Pepper},
    flight::Flights,
    guard::{Asker, Ended, Guard},
    service::{ServiceVerifier, Warnings},
};
use crate::{
    redis::Redis,
    settings::{Auth, AuthService},
    telemetry::Metrics,
    vocabulary::{CacheResult, CacheTier, ValidationOutcome, VerdictSource},
};

type Verdict = Result<Authenticated, AuthError>;

/// What all workers know of keys, and what they share in asking about them.
#[derive(Debug)]
pub struct Decisions {
    pepper: Pepper,
    service_id: String,
    cache: VerdictCache,
    shared: Option<Shared>,
    /// Each verdict with the epoch in which it was asked for.
    flights: Arc<Flights<Fingerprint, (u64, Verdict)>>,
    guard: Guard,
    warnings: Warnings,
    metrics: Metrics,
    /// Whether it is the settings', and not one of this process alone.
    has_fixed_pepper: bool,
    /// Time between two ends of one key that refusals bring about.
    between_ends: Duration,
}

/// A question about one key.
struct Question {
    fingerprint: Fingerprint,
    digest: KeyDigest,
    /// The revocations that were known when it was asked.
    epoch: u64,
    key: String,
    client_ip: Option<IpAddr>,
    /// Whose it was when it was last asked about, too long ago.
    known: Option<Arc<Principal>>,
}

impl Decisions {
    pub(super) fn new(
        service: &AuthService,
        auth: &Auth,
        redis: Option<Redis>,
        metrics: Metrics,
    ) -> Arc<Self> {
        let pepper = auth.pepper.as_ref().map_or_else(Pepper::random, Pepper::new);
        Arc::new(Self {
            service_id: service.service_id.clone(),
            cache: VerdictCache::new(&auth.cache),
            shared: redis.map(|redis| Shared::new(redis, pepper.clone(), auth.cache.clone())),
            flights: Arc::default(),
            guard: Guard::new(service),
            warnings: Warnings::default(),
            metrics,
            between_ends: auth.cache.negative_ttl,
            has_fixed_pepper: auth.pepper.is_some(),
            pepper,
        })
    }

    /// # Errors
    /// A refusal, that this client has failed too often, or that nobody can tell and nothing is remembered.
    pub(super) async fn verdict(
        self: &Arc<Self>,
        service: &Rc<ServiceVerifier>,
        key: &str,
        client_ip: Option<IpAddr>,
    ) -> Verdict {
        // The service is told the client's address, so its verdict may depend on it.
        let fingerprint = self.pepper.fingerprint(key, &self.service_id, client_ip);
        // A flight dies with the worker that it was begun on, or its key is revoked meanwhile (once by us, and once as we hear
        // of it ourselves); then another is begun.
        for _ in 0..3 {
            let epoch = self.cache.epoch();
            let known = match self.cache.get(&fingerprint) {
                Remembered::Accepted(principal) => {
                    self.metrics.key_looked_up(CacheTier::Memory, CacheResult::Hit);
                    return Ok(Authenticated { principal, source: VerdictSource::Memory });
                }
                Remembered::Refused(known) => {
                    self.metrics.key_looked_up(CacheTier::Memory, CacheResult::Negative);
                    return Err(AuthError::Rejected(Rejection::ByService(known)));
                }
                Remembered::Stale(principal) => Some(principal),
                Remembered::Nothing => None,
            };
            let (remembered, digest) = (known.is_some(), self.pepper.key_digest(key, &self.service_id));
            let question = Question { fingerprint, digest, epoch, key: key.to_owned(), client_ip, known };
            let (decisions, service) = (Arc::clone(self), Rc::clone(service));
            let find = || async move { (epoch, decisions.find(&service, question).await) };
            let Some((epoch, verdict)) = self.flights.join(fingerprint, find).await else { continue };
            if !self.is_revoked_since(&verdict, &digest, epoch) {
                self.metrics.key_looked_up(CacheTier::Memory, stale_or_miss(remembered, &verdict));
                return verdict;
            }
        }
        Err(AuthError::Unavailable(ServiceFault::Abandoned))
    }

    fn is_revoked_since(&self, verdict: &Verdict, digest: &KeyDigest, epoch: u64) -> bool {
        let accepted = verdict.as_ref().ok();
        accepted.is_some_and(|accepted| {
            self.cache.is_revoked_since(&digest.revoked_as(&accepted.principal), epoch)
        })
    }

    /// What is shared by those that have this pepper, if others can have it.
    pub(super) fn shared_by_pepper(&self) -> Option<&Shared> {
        self.shared.as_ref().filter(|_| self.has_fixed_pepper)
    }

    /// What no memory of this process answers: Redis, then the service, then what is too old, if nobody can be asked.
    async fn find(self: &Arc<Self>, service: &ServiceVerifier, question: Question) -> Verdict {
        let Some(shared) = &self.shared else { return self.ask_or_recall(service, &question).await };
        if question.known.is_none() {
            // A flood from one address does not get to Redis either.
            self.guard.look(question.client_ip)?;
        }
        let Question { fingerprint, digest, epoch, .. } = question;
        let found = shared.get(fingerprint, digest).await;
        let found =
            found.filter(|found| !self.cache.is_void(&digest.revoked_as(&found.principal), found.asked_at));
        if let Some(SharedVerdict { principal, age, is_fresh: true, .. }) = found {
            self.metrics.key_looked_up(CacheTier::Redis, CacheResult::Hit);
            if let Some(asked) = Instant::now().checked_sub(age) {
                self.cache.accept(fingerprint, digest, Arc::clone(&principal), asked, epoch);
            }
            return Ok(Authenticated { principal, source: VerdictSource::Redis });
        }
        let (in_redis, in_memory) = (found.map(|found| found.principal), question.known);
        let only_in_redis = in_redis.is_some() && in_memory.is_none();
        let question = Question { known: in_memory.or(in_redis), ..question };
        let verdict = self.ask_or_recall(service, &question).await;
        self.metrics.key_looked_up(CacheTier::Redis, stale_or_miss(only_in_redis, &verdict));
        verdict
    }

    /// What was known before counts where the service failed or is left alone for that; not where it was not asked for a
    /// reason of ours, nor where it vouches for another service. (Whether the key was revoked since, `verdict` looks.)
    async fn ask_or_recall(self: &Arc<Self>, service: &ServiceVerifier, question: &Question) -> Verdict {
        match (self.ask(service, question).await, &question.known) {
            (Ok(principal), _) => Ok(Authenticated { principal, source: VerdictSource::Service }),
            (Err(AuthError::Unavailable(fault)), Some(principal)) if fault.is_outage() => {
                let before = Authenticated { principal: Arc::clone(principal), source: VerdictSource::Stale };
                let is_void = self.is_revoked_since(&Ok(before.clone()), &question.digest, question.epoch);
                if is_void { Err(AuthError::Unavailable(fault)) } else { Ok(before) }
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Asks the service, when the guard lets it, and remembers a definite answer.
    async fn ask(
        self: &Arc<Self>,
        service: &ServiceVerifier,
        question: &Question,
    ) -> Result<Arc<Principal>, AuthError> {
        let Question { fingerprint, digest, epoch, key, client_ip, known } = question;
        let asker = if known.is_some() { Asker::Known } else { Asker::Stranger(*client_ip) };
        let deadline = service.deadline();
        let call = self.guard.admit(asker, deadline).await?;
        let (asked_at, began) = (Timestamp::now(), Instant::now());
        let answer = service.verify(key, *client_ip, deadline).await;
        if call.has_waited && matches!(answer, Err(AuthError::Unavailable(ServiceFault::Timeout))) {
            // It had what our own limits left of its time.
            call.ended(Ended::CutShort);
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
                self.warnings.end();
                call.ended(Ended::Accepted);
                let principal = Arc::new(principal);
                self.cache.accept(*fingerprint, *digest, Arc::clone(&principal), began, *epoch);
                if let Some(shared) = &self.shared {
                    shared.accept(*fingerprint, *digest, &principal, asked_at);
                }
                Ok(principal)
            }
            Err(AuthError::Rejected(_)) => {
                self.warnings.end();
                call.ended(Ended::Rejected);
                Err(AuthError::Rejected(Rejection::ByService(self.refused(question).await)))
            }
            Err(error) => {
                if let AuthError::Unavailable(fault) = &error {
                    call.ended(fault.ended());
                    self.warnings.warn(fault);
                }
                Err(error)
            }
        }
    }
}

#[cfg(feature = "bench")]
impl Decisions {
    /// Under what name the verdict on a key is remembered.
    pub fn fingerprint(&self, key: &str, client_ip: Option<IpAddr>) -> impl Copy + use<> {
        self.pepper.fingerprint(key, &self.service_id, client_ip)
    }

    /// Remembers a key as if the auth service had vouched for it.
    pub fn remember(&self, key: &str, client_ip: Option<IpAddr>, principal: Principal) {
        let fingerprint = self.pepper.fingerprint(key, &self.service_id, client_ip);
        let digest = self.pepper.key_digest(key, &self.service_id);
        self.cache.accept(fingerprint, digest, Arc::new(principal), Instant::now(), self.cache.epoch());
    }
}

/// What a tier's lookup comes to whose verdict could not be believed by itself.
fn stale_or_miss(found: bool, verdict: &Verdict) -> CacheResult {
    match verdict {
        Ok(Authenticated { source: VerdictSource::Stale, .. }) if found => CacheResult::Stale,
        _ => CacheResult::Miss,
    }
}
