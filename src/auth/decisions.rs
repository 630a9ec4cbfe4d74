//! The way from a key to the auth service's word on it: memory, then one flight for all who ask, then the guard, then
//! the service; and memory once more, if nobody can be asked.

use std::{net::IpAddr, rc::Rc, sync::Arc};

use super::{
    Answered, AuthError, Authenticated, Principal, Rejection, ServiceFault,
    cache::{Remembered, VerdictCache},
    fingerprint::{Fingerprint, Pepper},
    flight::Flights,
    guard::{Ended, Guard, Refused},
    service::ServiceVerifier,
};
use crate::settings::{AuthCache, AuthService};

type Verdict = Result<Arc<Principal>, AuthError>;

/// What all workers know of keys, and what they share in asking about them.
#[derive(Debug)]
pub struct Decisions {
    pepper: Pepper,
    service_id: String,
    cache: VerdictCache,
    flights: Arc<Flights<Fingerprint, Verdict>>,
    guard: Guard,
}

impl Decisions {
    pub(super) fn new(service: &AuthService, cache: &AuthCache) -> Arc<Self> {
        Arc::new(Self {
            pepper: Pepper::random(),
            service_id: service.service_id.clone(),
            cache: VerdictCache::new(cache),
            flights: Arc::default(),
            guard: Guard::new(service),
        })
    }

    /// # Errors
    /// A refusal, that this client has failed too often, or that nobody can tell and nothing is remembered.
    pub(super) async fn verdict(
        self: &Arc<Self>,
        service: &Rc<ServiceVerifier>,
        key: &str,
        client_ip: Option<IpAddr>,
    ) -> Result<Authenticated, AuthError> {
        // The service is told the client's address, so its verdict may depend on it.
        let fingerprint = self.pepper.fingerprint(key, &self.service_id, client_ip);
        let (known, failing) = match self.cache.get(&fingerprint) {
            Remembered::Accepted(principal) => {
                return Ok(Authenticated { principal, answered: Answered::Memory });
            }
            Remembered::Refused => return Err(AuthError::Rejected(Rejection::ByService)),
            Remembered::Stale(principal) => (Some(principal), None),
            Remembered::Nothing => (None, client_ip),
        };
        let (decisions, service, key) = (Arc::clone(self), Rc::clone(service), key.to_owned());
        let ask = || async move { decisions.ask(&service, fingerprint, &key, client_ip, failing).await };
        let verdict = self.flights.join(fingerprint, ask).await;
        match (verdict.unwrap_or(Err(AuthError::Unavailable(ServiceFault::Abandoned))), known) {
            (Ok(principal), _) => Ok(Authenticated { principal, answered: Answered::Service }),
            (Err(AuthError::Unavailable(_)), Some(principal)) => {
                Ok(Authenticated { principal, answered: Answered::Stale })
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Asks the service, if the guard lets it, and remembers a definite answer. `failing` is whom a rejection counts
    /// against: nobody, for a key that was good before.
    async fn ask(
        &self,
        service: &ServiceVerifier,
        fingerprint: Fingerprint,
        key: &str,
        client_ip: Option<IpAddr>,
        failing: Option<IpAddr>,
    ) -> Verdict {
        let call = self.guard.admit(failing).map_err(|refused| match refused {
            Refused::TooManyFailures(retry_after) => AuthError::TooManyFailures { retry_after },
            Refused::Busy => AuthError::Unavailable(ServiceFault::Busy),
            Refused::BreakerOpen => AuthError::Unavailable(ServiceFault::BreakerOpen),
        })?;
        match service.verify(key, client_ip).await {
            Ok(principal) => {
                let principal = Arc::new(principal);
                self.cache.accept(fingerprint, Arc::clone(&principal));
                call.ended(Ended::Accepted);
                Ok(principal)
            }
            Err(error) => {
                let rejected = matches!(error, AuthError::Rejected(_));
                if rejected {
                    self.cache.refuse(fingerprint);
                }
                call.ended(if rejected { Ended::Rejected } else { Ended::Unavailable });
                Err(error)
            }
        }
    }
}
