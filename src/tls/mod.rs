//! TLS by rustls: for clients with a certificate that can be renewed, for servers with configured authorities and identity.

mod client;
mod expiry;
mod pem_file;
mod server;
mod validity;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub(crate) use client::{ClientConfig, client_config, unverified_config};
pub(crate) use expiry::{Expiry, SOON_DAYS, expiries};
use rustls::{
    CertificateError, Error,
    crypto::{CryptoProvider, ring},
    sign::CertifiedKey,
};
pub(crate) use server::{ServerIdentity, watch};
pub(crate) use validity::Validity;

use crate::{code::Code, settings::Identity, trusted_file::FileError};
use pem_file::{certificates, private_key};

/// Why TLS cannot be configured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("no usable certificate authority on this machine (Debian: the package ca-certificates): {0}")]
    NoRoots(String),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: FileError },
    #[error("{}: {what}", path.display())]
    Pem { path: PathBuf, what: &'static str, fix: Option<&'static str> },
    /// Both are valid, and do not belong together.
    #[error("{} is not the private key of the certificate in {}", key.display(), cert.display())]
    Mismatch { cert: PathBuf, key: PathBuf },
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

impl TlsError {
    /// The file at fault, if there is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } | Self::Pem { path, .. } | Self::Mismatch { key: path, .. } => Some(path),
            _ => None,
        }
    }

    /// The code of the message for operators.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::NoRoots(_) => Code::NoRootCertificates,
            Self::File { source, .. } => source.code(),
            Self::Mismatch { .. } => Code::KeyMismatch,
            Self::Pem { .. } | Self::Rustls(_) => Code::InvalidPem,
        }
    }

    /// What to do, where that is known.
    pub(crate) fn fix(&self) -> Option<String> {
        match self {
            Self::File { path, source } => source.fix(path),
            Self::Pem { fix, .. } => fix.map(str::to_owned),
            Self::Mismatch { cert, key } => Some(format!(
                "a certificate and its own key: `openssl x509 -noout -pubkey -in {}` and `openssl pkey -pubout -in \
                 {}` then print the same; the server's own certificate stands first in its file",
                cert.display(),
                key.display()
            )),
            _ => None,
        }
    }
}

/// A certificate with its chain and its private key.
fn certified(files: &Identity) -> Result<CertifiedKey, TlsError> {
    let (chain, key) = (certificates(&files.cert)?, private_key(&files.key)?);
    CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
        Error::InconsistentKeys(_) => TlsError::Mismatch { cert: files.cert.clone(), key: files.key.clone() },
        Error::InvalidCertificate(error) => no_certificate(&files.cert, &error),
        _ => TlsError::Pem {
            path: files.key.clone(),
            what: "holds a private key of a kind that is not supported, or a damaged one",
            fix: Some("an RSA key of 2048 bits or more, an ECDSA key on P-256 or P-384, or an Ed25519 key"),
        },
    })
}

fn no_certificate(path: &Path, _: &CertificateError) -> TlsError {
    let what = "is PEM, but not of a valid certificate";
    TlsError::Pem { path: path.to_owned(), what, fix: None }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
