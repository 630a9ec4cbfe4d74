//! When a certificate of the gateway is valid.

use std::path::Path;

use jiff::Timestamp;
use x509_cert::{Certificate, der::Decode as _};

use super::{TlsError, certificates};
use crate::code::Code;

/// The validity period of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

impl Validity {
    /// That of the first certificate in a file; `None` if it cannot be parsed.
    ///
    /// # Errors
    /// The file has no certificate.
    pub(crate) fn of(path: &Path) -> Result<Option<Self>, TlsError> {
        Ok(certificates(path)?.first().and_then(|leaf| Self::of_der(leaf)))
    }

    pub(super) fn of_der(certificate: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(certificate).ok()?;
        let validity = certificate.tbs_certificate().validity();
        let [not_before, not_after] = [&validity.not_before, &validity.not_after]
            .map(|time| Timestamp::from_second(time.to_unix_duration().as_secs() as i64));
        Some(Self { not_before: not_before.ok()?, not_after: not_after.ok()? })
    }

    /// Why it is not valid at `now`; `None` if it is.
    pub(crate) fn fault(self, now: Timestamp) -> Option<(Code, String)> {
        let Self { not_before, not_after } = self;
        if now > not_after {
            let what = format!("expired at {not_after}: clients and servers refuse it");
            Some((Code::CertificateExpired, what))
        } else if now < not_before {
            let what = format!("is not valid before {not_before}; this machine's clock says {now}");
            Some((Code::CertificateNotYetValid, what))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_valid_in_its_period() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let validity =
            Validity { not_before: at("2026-01-01T00:00:00Z"), not_after: at("2026-02-01T00:00:00Z") };
        for (now, expected) in [
            ("2025-12-31T23:59:59Z", "is not valid before 2026-01-01T00:00:00Z"),
            ("2026-01-01T00:00:00Z", ""),
            ("2026-02-01T00:00:00Z", ""),
            ("2026-02-01T00:00:01Z", "expired at 2026-02-01T00:00:00Z"),
        ] {
            let fault = validity.fault(at(now)).map(|(_, what)| what).unwrap_or_default();
            assert!(fault.starts_with(expected) && fault.is_empty() == expected.is_empty(), "{now}: {fault}");
        }
    }
}
