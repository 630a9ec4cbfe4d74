//! When certificates end: those that the gateway shows, and the authorities that it believes.

use std::path::Path;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;

use super::{TlsError, Validity, certificates};
use crate::settings::{AuthMode, ClientTls, Settings};

/// Days before its end from which a certificate is warned about: renewal by machines begins a month before.
pub(crate) const SOON_DAYS: i64 = 14;

/// A certificate of the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    /// Its label: `server`, `mlflow_client`, `mlflow_ca`, `auth_client`, `auth_ca`.
    pub(crate) certificate: &'static str,
    /// The setting that names its file.
    pub(crate) key: &'static str,
    pub(crate) file: String,
    /// A file of authorities, and not a certificate that is shown.
    pub(crate) is_ca: bool,
    pub(crate) at: Timestamp,
}

impl Ending {
    /// Whole days that are left; negative behind its end.
    pub(crate) fn days_left(&self) -> i64 {
        self.at.duration_since(Timestamp::now()).as_hours().div_euclid(24)
    }
}

/// All that the settings name. What cannot be read is not among them, and told elsewhere.
pub(crate) fn endings(settings: &Settings) -> Vec<Ending> {
    let mut found = Vec::new();
    let mut note = |certificate, key, path: &Path, is_ca, at: Result<Timestamp, TlsError>| {
        if let Ok(at) = at {
            found.push(Ending { certificate, key, file: path.display().to_string(), is_ca, at });
        }
    };
    if let Some(identity) = &settings.server.tls {
        note("server", "server.tls.cert", &identity.cert, false, of_identity(&identity.cert));
    }
    let of_mlflow =
        Some((&settings.mlflow.tls, ["mlflow_client", "mlflow_ca"], ["mlflow.tls.cert", "mlflow.tls.ca"]));
    let of_auth = match &settings.auth.mode {
        AuthMode::Service(service) => {
            let keys = ["auth.service.tls.cert", "auth.service.tls.ca"];
            Some((&service.tls, ["auth_client", "auth_ca"], keys))
        }
        AuthMode::KeyFile(_) => None,
    };
    for (ClientTls { ca, identity }, labels, keys) in of_mlflow.into_iter().chain(of_auth) {
        if let Some(identity) = identity {
            note(labels[0], keys[0], &identity.cert, false, of_identity(&identity.cert));
        }
        if let Some(ca) = ca {
            note(labels[1], keys[1], ca, true, of_authorities(ca));
        }
    }
    found
}

/// When the first certificate of a file ends: those behind it are others', and often go on without one of them.
fn of_identity(path: &Path) -> Result<Timestamp, TlsError> {
    Ok(certificates(path)?.first().map_or(Timestamp::MAX, end_of))
}

/// When the last authority of a file ends: until then something may be believed.
fn of_authorities(path: &Path) -> Result<Timestamp, TlsError> {
    Ok(certificates(path)?.iter().map(end_of).max().unwrap_or(Timestamp::MAX))
}

/// One that cannot be read is none that ends.
pub(super) fn end_of(certificate: &CertificateDer<'_>) -> Timestamp {
    Validity::of_der(certificate).map_or(Timestamp::MAX, |validity| validity.not_after)
}
