//! The fourth step: the owner of the key.
//!
//! [`Authenticator::authenticate`] turns a [`Credential`] into a [`Principal`]. Its errors tell a rejected key from a verifier that
//! cannot answer: an outage is not a verdict.

mod cache;
mod caching_verifier;
mod call_limiter;
mod fence;
mod fingerprint;
mod globs;
pub(crate) mod issuers;
pub mod key;
pub mod key_file;
pub(crate) mod peppers;
mod principal;
pub(crate) mod revocation;
mod service;

use std::{net::IpAddr, rc::Rc, sync::Arc, time::Duration};

#[cfg(fuzzing)]
pub use cache::fuzz as fuzz_redis_value;
pub use caching_verifier::CachingVerifier;
pub use fence::Fence;
pub use globs::{Globs, NotGlobs};
pub(crate) use issuers::{CallbackAnswer, SignOnButton};
pub use issuers::{Issuers, KeysFault, LoginFault, NoRule, SessionFault, TokenFault};
pub use key_file::{KeyFile, KeyFileError};
pub use principal::{NotAWorkspace, Principal, Workspace};
#[cfg(fuzzing)]
pub use service::fuzz as fuzz_auth_answer;
pub(crate) use service::{Answer, check_reachability, content_type};
pub use service::{OtherServiceId, ServiceFault, ServiceVerifier};

use jiff::Timestamp;

use crate::{
    credentials::{Credential, Person},
    http_client::Tls,
    redis::Redis,
    settings::{Auth, AuthMode, AuthService, UsageMode},
    telemetry::Metrics,
    vocabulary::{KeyState, VerdictSource},
};

/// Why there is no principal.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthError {
    /// The key is not valid.
    #[error("the key was refused: {0}")]
    Rejected(Rejection),
    /// The verifier was not called: too many keys from this client were rejected.
    #[error("too many keys from this client were refused")]
    TooManyFailures { retry_after: Duration },
    /// The verifier gave no answer.
    #[error("the auth service gave no verdict")]
    Unavailable(#[source] ServiceFault),
    /// A token of an issuer whose keys are not there, or a person whom it does not answer for.
    #[error("the issuer cannot be asked, or its keys are not there")]
    KeysUnavailable(#[source] KeysFault),
    /// A good token, by the name of its subject, that may do nothing.
    #[error("a token of {key_id} is good, and may do nothing")]
    NoRule {
        key_id: String,
        #[source]
        missing: Arc<NoRule>,
    },
}

/// Why a key was rejected. For log, audit and operators: the client gets one text for all of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("its checksum does not fit")]
    Mistyped,
    #[error("unknown")]
    Unknown,
    #[error("revoked at {at}")]
    Revoked { principal: Arc<Principal>, at: Timestamp },
    /// With the owner, if the service had accepted the key before.
    #[error("refused by the auth service")]
    ByService(Option<Arc<Principal>>),
    /// With the owner, if its signature is good.
    #[error("a token: {fault}")]
    Token { fault: TokenFault, owner: Option<Arc<Principal>> },
    /// With the owner, if she is known.
    #[error("a session: {fault}")]
    Session { fault: SessionFault, owner: Option<Arc<Principal>> },
    #[error("a login at an issuer: {0}")]
    Login(LoginFault),
}

impl Rejection {
    pub const fn key_state(&self) -> KeyState {
        match self {
            Self::Mistyped => KeyState::Mistyped,
            Self::Unknown => KeyState::Unknown,
            Self::Revoked { .. } => KeyState::Revoked,
            Self::ByService(_) => KeyState::Refused,
            Self::Token { fault: TokenFault::Expired(_), .. } => KeyState::Expired,
            Self::Token { fault: TokenFault::Revoked(_), .. }
            | Self::Session { fault: SessionFault::Revoked(_), .. } => KeyState::Revoked,
            Self::Token { .. } | Self::Session { .. } | Self::Login(_) => KeyState::Refused,
        }
    }

    /// The owner, if the key was valid once.
    pub fn principal(&self) -> Option<&Principal> {
        match self {
            Self::Revoked { principal, .. } => Some(principal),
            Self::ByService(owner) | Self::Token { owner, .. } | Self::Session { owner, .. } => {
                owner.as_deref()
            }
            Self::Mistyped | Self::Unknown | Self::Login(_) => None,
        }
    }
}

/// An authenticated caller, and where the verdict came from.
#[derive(Debug, Clone)]
pub struct Authenticated {
    pub principal: Arc<Principal>,
    pub source: VerdictSource,
}

/// What verifies keys. Built once.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// The embedded key file, shared by all workers.
    File(Arc<KeyFile>),
    /// The auth service, and the caches of its verdicts.
    Service(Arc<CachingVerifier>),
}

impl KeySource {
    /// # Errors
    /// A key file that cannot be read, or holds no keys where nothing else is a credential.
    pub(crate) fn open(auth: &Auth, redis: Option<Redis>, metrics: &Metrics) -> Result<Self, KeyFileError> {
        Ok(match &auth.mode {
            AuthMode::KeyFile(file) => {
                let keys = KeyFile::open_as(&file.path, !auth.issuers.is_empty())?;
                Self::File(Arc::new(keys.recording(&file.last_used)))
            }
            AuthMode::Service(service) => {
                Self::Service(CachingVerifier::new(service, auth, redis, metrics.clone()))
            }
        })
    }

    /// Writes the last uses of keys that are still in memory.
    pub(crate) async fn flush(&self) {
        if let Self::File(keys) = self {
            keys.record_last_uses().await;
        }
    }

    /// The auth service, if usage is reported to it.
    pub(crate) fn usage_service(&self) -> Option<&AuthService> {
        match self {
            Self::Service(verifier) if verifier.settings.usage.mode != UsageMode::Off => {
                Some(&verifier.settings)
            }
            Self::Service(_) | Self::File(_) => None,
        }
    }
}

#[cfg(feature = "bench")]
impl Authenticator {
    /// The caches of the auth service's verdicts, if there is one.
    pub fn caching_verifier(&self) -> Option<&CachingVerifier> {
        match &self.verifier {
            KeyVerifier::Service(_, verifier) => Some(verifier),
            KeyVerifier::File(_) => None,
        }
    }

    /// Where tokens are remembered, if there are issuers.
    pub fn issuers(&self) -> Option<&Issuers> {
        self.issuers.as_deref()
    }
}

/// Authenticates requests; one for each worker.
#[derive(Debug)]
pub struct Authenticator {
    /// `None` where only keys count.
    issuers: Option<Arc<Issuers>>,
    verifier: KeyVerifier,
}

#[derive(Debug)]
enum KeyVerifier {
    File(Arc<KeyFile>),
    /// With an HTTP client of this worker, shared with its calls in flight.
    Service(Rc<ServiceVerifier>, Arc<CachingVerifier>),
}

impl Authenticator {
    pub(crate) fn new(source: &KeySource, issuers: Option<&Arc<Issuers>>, tls: Option<&Tls>) -> Self {
        let verifier = match source {
            KeySource::File(keys) => KeyVerifier::File(Arc::clone(keys)),
            KeySource::Service(verifier) => {
                let service = ServiceVerifier::new(&verifier.settings, tls);
                KeyVerifier::Service(Rc::new(service), Arc::clone(verifier))
            }
        };
        Self { issuers: issuers.cloned(), verifier }
    }

    /// # Errors
    /// A rejected key or token, a token that may do nothing, or no verdict.
    pub async fn authenticate(
        &self,
        credential: &Credential,
        client_ip: Option<IpAddr>,
    ) -> Result<Authenticated, AuthError> {
        let key = match credential.key() {
            Ok(key) => key,
            Err(person) => return self.session_verdict(person).await,
        };
        if let Some(issuers) = &self.issuers
            && let Some(verdict) = issuers.verdict(key, client_ip).await
        {
            return verdict;
        }
        match &self.verifier {
            KeyVerifier::File(keys) => {
                let principal = keys.verify(key).map_err(AuthError::Rejected)?;
                Ok(Authenticated { principal, source: VerdictSource::KeyFile })
            }
            KeyVerifier::Service(service, verifier) => verifier.verdict(service, key, client_ip).await,
        }
    }

    async fn session_verdict(&self, person: &Person) -> Result<Authenticated, AuthError> {
        match &self.issuers {
            Some(issuers) => issuers.session_verdict(person).await,
            None => {
                let fault = SessionFault::NoIssuer;
                Err(AuthError::Rejected(Rejection::Session { fault, owner: None }))
            }
        }
    }
}
