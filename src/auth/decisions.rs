//! The way from a key to the auth service's word on it: memory, then one flight for all who ask: Redis, the guard, the
//! service; and what is remembered from before, if nobody can be asked.

use std::{
    net::IpAddr,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    Answered, AuthError, Authenticated, Principal, Rejection, ServiceFault,
    cache::{Remembered, Shared, SharedVerdict, VerdictCache},
    fingerprint::{Fingerprint, Pepper},
    flight::Flights,
    guard::{Asker, Ended, Guard, Refused},
    revocation::EVERYTHING,
    service::ServiceVerifier,
};
use crate::{
    redis::Redis,
    settings::{Auth, AuthService},
    telemetry::{Lookup, Metrics, Tier, Validation},
};

/// Time between two warnings about the service.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(10);

type Verdict = Result<Authenticated, AuthError>;

/// What all workers know of keys, and what they share in asking about them.
#[derive(Debug)]
pub struct Decisions {
    pepper: Pepper,
    service_id: String,
    ttl: Duration,
    cache: VerdictCache,
    shared: Option<Shared>,
    /// Named by the epoch too: who asks after a revocation does not board a flight from before it.
    flights: Arc<Flights<(Fingerprint, u64), Verdict>>,
    guard: Guard,
    warnings: Warnings,
    metrics: Metrics,
}

/// A question about one key.
#[derive(Clone)]
struct Question {
    fingerprint: Fingerprint,
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
            ttl: auth.cache.ttl,
            cache: VerdictCache::new(&auth.cache),
            shared: redis.map(|redis| Shared::new(redis, pepper.clone(), auth.cache.clone())),
            flights: Arc::default(),
            guard: Guard::new(service),
            warnings: Warnings::default(),
            metrics,
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
        let epoch = self.cache.epoch();
        let known = match self.cache.get(&fingerprint) {
            Remembered::Accepted(principal) => {
                self.metrics.key_looked_up(Tier::Memory, Lookup::Hit);
                return Ok(Authenticated { principal, answered: Answered::Memory });
            }
            Remembered::Refused => {
                self.metrics.key_looked_up(Tier::Memory, Lookup::Negative);
                return Err(AuthError::Rejected(Rejection::ByService(None)));
            }
            Remembered::Stale(principal) => Some(principal),
            Remembered::Nothing => None,
        };
        let remembered = known.is_some();
        let question = Question { fingerprint, epoch, key: key.to_owned(), client_ip, known };
        let verdict = self.fetch(service, question).await;
        self.metrics.key_looked_up(Tier::Memory, stale_or_miss(remembered, &verdict));
        verdict
    }

    /// The answer of one flight for all who ask meanwhile.
    async fn fetch(self: &Arc<Self>, service: &Rc<ServiceVerifier>, question: Question) -> Verdict {
        let flight = (question.fingerprint, question.epoch);
        // A flight dies with the worker that it was begun on; then this one begins another.
        for _ in 0..2 {
            let (decisions, service, question) = (Arc::clone(self), Rc::clone(service), question.clone());
            let find = || async move { decisions.find(&service, question).await };
            if let Some(verdict) = self.flights.join(flight, find).await {
                return verdict;
            }
        }
        self.known_before(&question, ServiceFault::Abandoned)
    }

    /// Forgets what this process accepted.
    pub(super) fn clear(&self) {
        self.cache.clear();
    }

    /// Ends a key id, or all of them: for this process, and by word left in Redis for those that have yet to look.
    pub(super) fn revoke(&self, key_id: &str) {
        self.cache.revoke(key_id);
        if let Some(shared) = &self.shared {
            shared.revoke(key_id);
        }
        tracing::info!(key_id, "revoked");
    }

    /// Believes nothing from before now, for what was revoked meanwhile is not known.
    pub(super) fn distrust(&self) {
        self.cache.revoke(EVERYTHING);
    }

    /// What no memory of this process answers: Redis, then the service, then what is too old, if nobody can be asked.
    async fn find(&self, service: &ServiceVerifier, question: Question) -> Verdict {
        let Some(shared) = &self.shared else { return self.ask_or_recall(service, &question).await };
        let found = shared.get(question.fingerprint).await;
        let found = found.filter(|found| !self.cache.is_void(&found.principal, found.asked_at));
        if let Some(SharedVerdict { principal, fresh_for: Some(fresh_for), .. }) = found {
            self.metrics.key_looked_up(Tier::Redis, Lookup::Hit);
            self.cache.accept(question.fingerprint, Arc::clone(&principal), fresh_for, question.epoch);
            return Ok(Authenticated { principal, answered: Answered::Redis });
        }
        let (in_redis, in_memory) = (found.map(|found| found.principal), question.known);
        let only_in_redis = in_redis.is_some() && in_memory.is_none();
        let question = Question { known: in_memory.or(in_redis), ..question };
        let verdict = self.ask_or_recall(service, &question).await;
        self.metrics.key_looked_up(Tier::Redis, stale_or_miss(only_in_redis, &verdict));
        verdict
    }

    async fn ask_or_recall(&self, service: &ServiceVerifier, question: &Question) -> Verdict {
        match self.ask(service, question).await {
            Ok(principal) => Ok(Authenticated { principal, answered: Answered::Service }),
            // It did answer, and vouches for another service: what it said before is no longer so.
            Err(error @ AuthError::Unavailable(ServiceFault::OtherService { .. })) => Err(error),
            Err(AuthError::Unavailable(fault)) => self.known_before(question, fault),
            Err(error) => Err(error),
        }
    }

    /// What was known before, for nobody can be asked; unless something was revoked since.
    fn known_before(&self, question: &Question, fault: ServiceFault) -> Verdict {
        match &question.known {
            Some(principal) if self.cache.epoch() == question.epoch => {
                Ok(Authenticated { principal: Arc::clone(principal), answered: Answered::Stale })
            }
            _ => Err(AuthError::Unavailable(fault)),
        }
    }

    /// Asks the service, if the guard lets it, and remembers a definite answer.
    async fn ask(&self, service: &ServiceVerifier, question: &Question) -> Result<Arc<Principal>, AuthError> {
        let Question { fingerprint, epoch, key, client_ip, known } = question;
        let asker = if known.is_some() { Asker::Known } else { Asker::Stranger(*client_ip) };
        let call = self.guard.admit(asker).map_err(|refused| match refused {
            Refused::TooManyFailures(retry_after) => AuthError::TooManyFailures { retry_after },
            Refused::Busy => AuthError::Unavailable(ServiceFault::Busy),
            Refused::BreakerOpen => AuthError::Unavailable(ServiceFault::BreakerOpen),
        })?;
        let (asked_at, began) = (Timestamp::now(), Instant::now());
        let answer = service.verify(key, *client_ip).await;
        let outcome = match &answer {
            Ok(_) => Validation::Accepted,
            Err(AuthError::Rejected(_)) => Validation::Rejected,
            Err(_) => Validation::Unavailable,
        };
        self.metrics.key_validated(outcome, began.elapsed());
        match answer {
            Ok(principal) => {
                call.ended(Ended::Accepted);
                let principal = Arc::new(principal);
                self.cache.accept(*fingerprint, Arc::clone(&principal), self.ttl, *epoch);
                if let Some(shared) = &self.shared {
                    shared.accept(*fingerprint, &principal, asked_at);
                }
                Ok(principal)
            }
            Err(AuthError::Rejected(_)) => {
                call.ended(Ended::Rejected);
                self.cache.refuse(*fingerprint);
                if let Some(shared) = &self.shared {
                    shared.refuse(*fingerprint);
                }
                Err(AuthError::Rejected(Rejection::ByService(known.clone())))
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
        self.cache.accept(fingerprint, Arc::new(principal), self.ttl, self.cache.epoch());
    }
}

/// Says once in a while why the service gives no verdicts: those who are served from before see nothing of it.
#[derive(Debug, Default)]
struct Warnings(Mutex<Option<Instant>>);

impl Warnings {
    fn warn(&self, fault: &ServiceFault) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= BETWEEN_WARNINGS) {
            *last = Some(Instant::now());
            tracing::warn!(error = %fault, "the auth service gave no verdict");
        }
    }
}

/// What a tier's lookup comes to whose verdict could not be believed by itself.
fn stale_or_miss(found: bool, verdict: &Verdict) -> Lookup {
    match verdict {
        Ok(Authenticated { answered: Answered::Stale, .. }) if found => Lookup::Stale,
        _ => Lookup::Miss,
    }
}
