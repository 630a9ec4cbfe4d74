//! The way from a key to the auth service's word on it: memory, then one flight for all who ask: Redis, the guard, the
//! service; and what is remembered from before, if nobody can be asked.

use std::{net::IpAddr, rc::Rc, sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    Answered, AuthError, Authenticated, Principal, Rejection, ServiceFault,
    cache::{Remembered, Shared, SharedVerdict, VerdictCache},
    fingerprint::{Fingerprint, Pepper},
    flight::Flights,
    guard::{Ended, Guard, Refused},
    service::ServiceVerifier,
};
use crate::{
    redis::Redis,
    settings::{Auth, AuthService},
};

type Verdict = Result<Authenticated, AuthError>;

/// What all workers know of keys, and what they share in asking about them.
#[derive(Debug)]
pub struct Decisions {
    pepper: Pepper,
    service_id: String,
    ttl: Duration,
    cache: VerdictCache,
    shared: Option<Shared>,
    flights: Arc<Flights<Fingerprint, Verdict>>,
    guard: Guard,
}

/// A question about one key.
struct Question {
    fingerprint: Fingerprint,
    key: String,
    client_ip: Option<IpAddr>,
    /// Whose it was when it was last asked about, too long ago.
    known: Option<Arc<Principal>>,
}

impl Decisions {
    pub(super) fn new(service: &AuthService, auth: &Auth, redis: Option<Redis>) -> Arc<Self> {
        let pepper = auth.pepper.as_ref().map_or_else(Pepper::random, Pepper::new);
        Arc::new(Self {
            service_id: service.service_id.clone(),
            ttl: auth.cache.ttl,
            cache: VerdictCache::new(&auth.cache),
            shared: redis.map(|redis| Shared::new(redis, pepper.clone(), auth.cache.clone())),
            flights: Arc::default(),
            guard: Guard::new(service),
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
        let known = match self.cache.get(&fingerprint) {
            Remembered::Accepted(principal) => {
                return Ok(Authenticated { principal, answered: Answered::Memory });
            }
            Remembered::Refused => return Err(AuthError::Rejected(Rejection::ByService)),
            Remembered::Stale(principal) => Some(principal),
            Remembered::Nothing => None,
        };
        let question = Question { fingerprint, key: key.to_owned(), client_ip, known };
        let (decisions, service) = (Arc::clone(self), Rc::clone(service));
        let find = || async move { decisions.find(&service, question).await };
        let verdict = self.flights.join(fingerprint, find).await;
        verdict.unwrap_or(Err(AuthError::Unavailable(ServiceFault::Abandoned)))
    }

    /// Forgets what this process remembers of a key id, or of all of them.
    pub(super) fn forget(&self, key_id: &str) {
        self.cache.forget(key_id);
    }

    /// Forgets, and leaves word for instances that have yet to look.
    pub(super) async fn revoke(&self, key_id: &str) {
        self.forget(key_id);
        if let Some(shared) = &self.shared {
            shared.revoke(key_id).await;
        }
        tracing::info!(key_id, "revoked");
    }

    /// What no memory of this process answers: Redis, then the service, then what is too old, if nobody can be asked.
    async fn find(&self, service: &ServiceVerifier, mut question: Question) -> Verdict {
        let epoch = self.cache.epoch();
        if let Some(SharedVerdict { principal, fresh_for }) = self.find_shared(&question.fingerprint).await {
            if let Some(fresh_for) = fresh_for {
                self.cache.accept(question.fingerprint, Arc::clone(&principal), fresh_for, epoch);
                return Ok(Authenticated { principal, answered: Answered::Redis });
            }
            question.known.get_or_insert(principal);
        }
        match (self.ask(service, &question, epoch).await, question.known) {
            (Ok(principal), _) => Ok(Authenticated { principal, answered: Answered::Service }),
            (Err(AuthError::Unavailable(_)), Some(principal)) => {
                Ok(Authenticated { principal, answered: Answered::Stale })
            }
            (Err(error), _) => Err(error),
        }
    }

    async fn find_shared(&self, fingerprint: &Fingerprint) -> Option<SharedVerdict> {
        self.shared.as_ref()?.get(fingerprint).await
    }

    /// Asks the service, if the guard lets it, and remembers a definite answer.
    async fn ask(
        &self,
        service: &ServiceVerifier,
        question: &Question,
        epoch: u64,
    ) -> Result<Arc<Principal>, AuthError> {
        let Question { fingerprint, key, client_ip, known } = question;
        // A rejection counts against nobody where the key was good before.
        let failing = client_ip.filter(|_| known.is_none());
        let call = self.guard.admit(failing).map_err(|refused| match refused {
            Refused::TooManyFailures(retry_after) => AuthError::TooManyFailures { retry_after },
            Refused::Busy => AuthError::Unavailable(ServiceFault::Busy),
            Refused::BreakerOpen => AuthError::Unavailable(ServiceFault::BreakerOpen),
        })?;
        let asked_at = Timestamp::now();
        match service.verify(key, *client_ip).await {
            Ok(principal) => {
                call.ended(Ended::Accepted);
                let principal = Arc::new(principal);
                self.cache.accept(*fingerprint, Arc::clone(&principal), self.ttl, epoch);
                if let Some(shared) = &self.shared {
                    shared.accept(fingerprint, &principal, asked_at).await;
                }
                Ok(principal)
            }
            Err(error @ AuthError::Rejected(_)) => {
                call.ended(Ended::Rejected);
                self.cache.refuse(*fingerprint);
                // Only a key that was good before can have a verdict there.
                if let (Some(shared), Some(_)) = (&self.shared, known) {
                    shared.refuse(fingerprint).await;
                }
                Err(error)
            }
            Err(error) => {
                call.ended(Ended::Unavailable);
                Err(error)
            }
        }
    }
}
