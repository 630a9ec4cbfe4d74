//! The fourth step: whose key it is.
//!
//! [`Authenticator::authenticate`] turns a [`Credential`] into a [`Principal`], or says whether the key is refused
//! or nobody can tell at the moment. The two are never mixed up: an outage is not a verdict.

mod cache;
mod decisions;
mod fingerprint;
mod flight;
mod guard;
pub mod key;
pub mod key_file;
pub(crate) mod peppers;
mod principal;
pub(crate) mod revocation;
mod service;

use std::{net::IpAddr, rc::Rc, sync::Arc, time::Duration};

#[cfg(fuzzing)]
pub use cache::fuzz as fuzz_redis_value;
pub use decisions::Decisions;
pub use key_file::{KeyFile, KeyFileError};
pub use principal::{NotAWorkspace, Principal, Workspace};
#[cfg(fuzzing)]
pub use service::fuzz as fuzz_auth_answer;
pub(crate) use service::{Answer, tell_at_start};
pub use service::{Named, ServiceFault, ServiceVerifier};

use jiff::Timestamp;

use crate::{
    credentials::Credential,
    http_client::Tls,
    redis::Redis,
    settings::{Auth, AuthMode, AuthService},
    telemetry::Metrics,
    vocabulary::{KeyState, VerdictSource},
};

/// Why there is no principal.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthError {
    /// A definite no.
    #[error("the key was refused: {0}")]
    Rejected(Rejection),
    /// Nobody was asked: too many keys from this client were refused of late.
    #[error("too many keys from this client were refused")]
    TooManyFailures { retry_after: Duration },
    /// Nobody can tell at the moment.
    #[error("the auth service gave no verdict")]
    Unavailable(#[source] ServiceFault),
}

/// Why a key was refused. For log, audit and operators: the client is told one text for all of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("its checksum does not fit")]
    Mistyped,
    #[error("unknown")]
    Unknown,
    #[error("revoked at {at}")]
    Revoked { principal: Arc<Principal>, at: Timestamp },
    /// With whose it was, if the service had vouched for it before.
    #[error("refused by the auth service")]
    ByService(Option<Arc<Principal>>),
}

impl Rejection {
    pub const fn key_state(&self) -> KeyState {
        match self {
            Self::Mistyped => KeyState::Mistyped,
            Self::Unknown => KeyState::Unknown,
            Self::Revoked { .. } => KeyState::Revoked,
            Self::ByService(_) => KeyState::Refused,
        }
    }

    /// Whose key it was, where it was one of ours.
    pub fn principal(&self) -> Option<&Principal> {
        match self {
            Self::Revoked { principal, .. } => Some(principal),
            Self::ByService(known) => known.as_deref(),
            Self::Mistyped | Self::Unknown => None,
        }
    }
}

/// Who was found to call, and who said so.
#[derive(Debug, Clone)]
pub struct Authenticated {
    pub principal: Arc<Principal>,
    pub source: VerdictSource,
}

/// Who can tell about a key. Built once.
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
#[derive(Debug, Clone)]
pub enum KeySource {
    /// The embedded key file, shared by all workers.
    File(Arc<KeyFile>),
    Service(ServiceSource),
}

impl KeySource {
    /// # Errors
    /// A key file that cannot be read or holds no keys.
    pub(crate) fn open(auth: &Auth, redis: Option<Redis>, metrics: &Metrics) -> Result<Self, KeyFileError> {
        Ok(match &auth.mode {
            AuthMode::KeyFile(file) => {
                Self::File(Arc::new(KeyFile::open(&file.path)?.recording(&file.last_used)))
            }
            AuthMode::Service(service) => {
                let decisions = Decisions::new(service, auth, redis, metrics.clone());
                Self::Service(ServiceSource { settings: service.clone(), decisions })
            }
        })
    }

    /// Writes down what is kept in memory of the use of keys.
    pub(crate) async fn flush(&self) {
        if let Self::File(keys) = self {
            keys.record_last_uses().await;
        }
    }

    /// The auth service, if it wants to be told what its keys are used for.
    pub(crate) fn usage_service(&self) -> Option<&AuthService> {
        match self {
            Self::Service(source) if source.settings.report_usage => Some(&source.settings),
            Self::Service(_) | Self::File(_) => None,
        }
    }
}

/// The auth service, and what is remembered of its answers.
#[derive(Debug, Clone)]
pub struct ServiceSource {
    settings: AuthService,
    pub(crate) decisions: Arc<Decisions>,
}

/// Asks whoever can tell about a key; one for each worker.
#[derive(Debug)]
pub enum Authenticator {
    KeyFile(Arc<KeyFile>),
    /// With a client of this worker's own, which a call may outlive.
    Service(Rc<ServiceVerifier>, Arc<Decisions>),
}

impl Authenticator {
    pub(crate) fn new(source: &KeySource, tls: Option<&Tls>) -> Self {
        match source {
            KeySource::File(keys) => Self::KeyFile(Arc::clone(keys)),
            KeySource::Service(source) => {
                let service = ServiceVerifier::new(&source.settings, tls);
                Self::Service(Rc::new(service), Arc::clone(&source.decisions))
            }
        }
    }

    /// # Errors
    /// A refusal, or that nobody can tell.
    pub async fn authenticate(
        &self,
        credential: &Credential,
        client_ip: Option<IpAddr>,
    ) -> Result<Authenticated, AuthError> {
        match self {
            Self::KeyFile(keys) => {
                let principal = keys.verify(credential.key()).map_err(AuthError::Rejected)?;
                Ok(Authenticated { principal, source: VerdictSource::KeyFile })
            }
            Self::Service(service, decisions) => {
                decisions.verdict(service, credential.key(), client_ip).await
            }
        }
    }
}
