//! TLS by rustls, either way: towards clients with a certificate that can change, towards servers with authorities and
//! an identity by setting.

mod client;
mod server;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub(crate) use client::{ClientConfig, client_config, trusting_config};
use rustls::{
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
pub(crate) use server::{ServerIdentity, watch};

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("no usable certificate authority on this machine (Debian: the package ca-certificates): {0}")]
    NoRoots(String),
    #[error("{}: {what}", path.display())]
    File { path: PathBuf, what: String },
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

impl TlsError {
    /// The file that is at fault, if it is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } => Some(path),
            _ => None,
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let error = |what: String| TlsError::File { path: path.to_owned(), what };
    let found = CertificateDer::pem_file_iter(path).map_err(|source| error(source.to_string()))?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|source| error(source.to_string()))?;
    if found.is_empty() { Err(error("holds no certificate".to_owned())) } else { Ok(found) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|source| TlsError::File { path: path.to_owned(), what: source.to_string() })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
