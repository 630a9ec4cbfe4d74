//! The third step: whose key it is.
//!
//! [`Authenticator::authenticate`] turns a [`Credential`] into a [`Principal`], or says whether the key is refused
//! or nobody can tell at the moment. The two are never mixed up: an outage is not a verdict.

pub mod key;
pub mod key_file;
mod principal;
mod service;

use std::{net::IpAddr, sync::Arc};

pub use key_file::{KeyFile, KeyFileError};
pub use principal::Principal;
pub use service::{ServiceFault, ServiceVerifier};

use crate::{
    credentials::Credential,
    http_client::Tls,
    settings::{AuthMode, AuthService},
};

/// Why there is no principal.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// A definite no.
    #[error("the key was refused: {0}")]
    Rejected(Rejection),
    /// Nobody can tell at the moment.
    #[error("the auth service gave no verdict")]
    Unavailable(#[source] ServiceFault),
}

/// Why a key was refused. For the log: the client is told one text for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("its checksum does not fit")]
    Mistyped,
    #[error("it is not known")]
    Unknown,
    #[error("it was revoked")]
    Revoked,
    #[error("the auth service says so")]
    ByService,
}

/// Who can tell about a key. Built once.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// The embedded key file, shared by all workers.
    File(Arc<KeyFile>),
    Service(AuthService),
}

impl KeySource {
    /// # Errors
    /// A key file that cannot be read or holds no keys.
    pub fn open(mode: &AuthMode) -> Result<Self, KeyFileError> {
        Ok(match mode {
            AuthMode::KeyFile(path) => Self::File(Arc::new(KeyFile::open(path)?)),
            AuthMode::Service(service) => Self::Service(service.clone()),
        })
    }
}

/// Asks whoever can tell about a key; one for each worker.
#[derive(Debug)]
pub enum Authenticator {
    KeyFile(Arc<KeyFile>),
    Service(ServiceVerifier),
}

impl Authenticator {
    pub(crate) fn new(source: &KeySource, tls: Option<&Tls>) -> Self {
        match source {
            KeySource::File(keys) => Self::KeyFile(Arc::clone(keys)),
            KeySource::Service(settings) => Self::Service(ServiceVerifier::new(settings, tls)),
        }
    }

    /// # Errors
    /// A refusal, or that the auth service is unavailable.
    pub async fn authenticate(
        &self,
        credential: &Credential,
        client_ip: Option<IpAddr>,
    ) -> Result<Principal, AuthError> {
        match self {
            Self::KeyFile(keys) => keys.verify(credential.key()).map_err(AuthError::Rejected),
            Self::Service(service) => service.verify(credential.key(), client_ip).await,
        }
    }
}
