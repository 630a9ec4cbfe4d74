//! When the configured certificates expire: the gateway's own, and those of the authorities that it trusts.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;

use super::{TlsError, Validity, certificates};
use crate::settings::{ClientTls, Identity, Settings};

/// How many days before its expiry a certificate is warned about. Automatic renewal begins a month before.
pub(crate) const SOON_DAYS: i64 = 14;

/// The expiry of a configured certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expiry {
    /// Its metric label: `server`, `mlflow_client`, `mlflow_ca`, `auth_client`, `auth_ca`.
    pub(crate) certificate: &'static str,
    /// The setting that names its file.
    pub(crate) key: &'static str,
    pub(crate) file: PathBuf,
    /// Whether the file has authorities, not a certificate of the gateway.
    pub(crate) is_ca: bool,
    pub(crate) at: Timestamp,
}

impl Expiry {
    /// Whole days that are left; negative after the expiry.
    pub(crate) fn days_left(&self) -> i64 {
        self.at.duration_since(Timestamp::now()).as_hours().div_euclid(24)
    }
}

/// Those of all configured files. A file that cannot be read is left out, and reported elsewhere.
pub(crate) fn expiries(settings: &Settings) -> Vec<Expiry> {
    let mut found = Vec::new();
    let mut note = |certificate, key, path: &Path, is_ca, at: Result<Timestamp, TlsError>| {
        found.extend(at.map(|at| Expiry { certificate, key, file: path.to_owned(), is_ca, at }));
    };
    if let Some(Identity { cert, .. }) = &settings.server.tls {
        note("server", "server.tls.cert", cert, false, of_identity(cert));
    }
    let of_mlflow =
        Some((&settings.mlflow.tls, ["mlflow_client", "mlflow_ca"], ["mlflow.tls.cert", "mlflow.tls.ca"]));
    let of_auth = settings.auth.service().map(|service| {
        (&service.tls, ["auth_client", "auth_ca"], ["auth.service.tls.cert", "auth.service.tls.ca"])
    });
    for (ClientTls { ca, identity }, labels, keys) in of_mlflow.into_iter().chain(of_auth) {
        if let Some(Identity { cert, .. }) = identity {
            note(labels[0], keys[0], cert, false, of_identity(cert));
        }
        if let Some(ca) = ca {
            note(labels[1], keys[1], ca, true, of_authorities(ca));
        }
    }
    found
}

/// When the first certificate of a file expires. The others are the chain, and are often not needed.
fn of_identity(path: &Path) -> Result<Timestamp, TlsError> {
    Ok(certificates(path)?.first().map_or(Timestamp::MAX, end_of))
}

/// When the last authority of a file expires.
fn of_authorities(path: &Path) -> Result<Timestamp, TlsError> {
    Ok(certificates(path)?.iter().map(end_of).max().unwrap_or(Timestamp::MAX))
}

/// [`Timestamp::MAX`] for a certificate that cannot be parsed.
pub(super) fn end_of(certificate: &CertificateDer<'_>) -> Timestamp {
    Validity::of_der(certificate).map_or(Timestamp::MAX, |validity| validity.not_after)
}
