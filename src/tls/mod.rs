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
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
};
pub(crate) use server::{ServerIdentity, watch};

use crate::{
    code::Code,
    trusted_file::{self, FileError},
};

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("no usable certificate authority on this machine (Debian: the package ca-certificates): {0}")]
    NoRoots(String),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: FileError },
    #[error("{}: {what}", path.display())]
    Pem { path: PathBuf, what: &'static str },
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

impl TlsError {
    /// The file that is at fault, if it is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } | Self::Pem { path, .. } => Some(path),
            _ => None,
        }
    }

    /// The cause that an operator is told of.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::NoRoots(_) => Code::NoAuthorities,
            Self::File { source, .. } => source.code(),
            Self::Pem { .. } | Self::Rustls(_) => Code::BadPem,
        }
    }

    /// What to do about it, where that is known.
    pub(crate) fn fix(&self) -> Option<String> {
        match self {
            Self::File { path, source } => source.fix(path),
            _ => None,
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = trusted_file::read_bytes(path).map_err(|source| unusable(path, source))?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| bad_pem(path, &error))?;
    if found.is_empty() { Err(bad_pem(path, &pem::Error::NoItemsFound)) } else { Ok(found) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = trusted_file::read_private_key(path).map_err(|source| unusable(path, source))?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| bad_pem(path, &error))
}

fn unusable(path: &Path, source: FileError) -> TlsError {
    TlsError::File { path: path.to_owned(), source }
}

/// The reader's own words would quote the file.
fn bad_pem(path: &Path, error: &pem::Error) -> TlsError {
    let what = match error {
        pem::Error::MissingSectionEnd { .. } => "is PEM that has no -----END line",
        pem::Error::IllegalSectionStart { .. } => "has a -----BEGIN line that is none",
        pem::Error::Base64Decode(_) => "is PEM that is no base64",
        pem::Error::NoItemsFound => "holds no PEM of this kind",
        _ => "is no PEM that can be read",
    };
    TlsError::Pem { path: path.to_owned(), what }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
