//! Reads certificates and private keys from PEM files, and names what a file holds instead. No error quotes a file.

use std::path::Path;

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject as _},
};

use super::TlsError;
use crate::trusted_file::{self, FileError};

/// What a file holds, by the first of these marks in it; each with what to do where a certificate was expected, and where a key
/// was.
const KINDS: [(&str, &str, [Option<&str>; 2]); 5] = [
    (
        "ENCRYPTED",
        "holds an encrypted private key, and the gateway cannot ask for its passphrase",
        [
            None,
            Some("a key without a passphrase, which only the gateway may read: openssl pkey -in FILE -out …"),
        ],
    ),
    (
        "-----BEGIN CERTIFICATE REQUEST-----",
        "holds a certificate request, not a certificate",
        [Some("the certificate that the authority issued for it"), None],
    ),
    ("PRIVATE KEY-----", "holds a private key, and no certificate", [Some("the certificate's file"), None]),
    (
        "-----BEGIN CERTIFICATE-----",
        "holds a certificate, and no private key",
        [None, Some("the key's file")],
    ),
    ("-----BEGIN PUBLIC KEY-----", "holds a public key only", [None, Some("the private key's file")]),
];

pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = trusted_file::read_bytes(path).map_err(|source| unusable(path, source))?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| bad_pem(path, &text, 0, &error))?;
    if found.is_empty() { Err(bad_pem(path, &text, 0, &pem::Error::NoItemsFound)) } else { Ok(found) }
}

pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = trusted_file::read_private_key(path).map_err(|source| unusable(path, source))?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| bad_pem(path, &text, 1, &error))
}

fn unusable(path: &Path, source: FileError) -> TlsError {
    TlsError::File { path: path.to_owned(), source }
}

/// `expected`: 0 for a certificate, 1 for a key. The parser's own error would quote the file.
fn bad_pem(path: &Path, text: &[u8], expected: usize, error: &pem::Error) -> TlsError {
    let has = |mark: &str| text.windows(mark.len()).any(|part| part == mark.as_bytes());
    let mut kinds = KINDS.iter().filter(|(_, _, fixes)| fixes[expected].is_some());
    let (what, fix) = match (error, kinds.find(|(mark, ..)| has(mark))) {
        (pem::Error::NoItemsFound, _) if text.trim_ascii().is_empty() => ("is empty", None),
        // DER begins with an ASN.1 SEQUENCE.
        (pem::Error::NoItemsFound, _) if text.starts_with(b"\x30") => (
            "is DER, and PEM is needed",
            Some("openssl x509 -inform der, or openssl pkey -inform der, converts it"),
        ),
        (pem::Error::NoItemsFound | pem::Error::Base64Decode(_), Some((_, what, fixes))) => {
            (*what, fixes[expected])
        }
        (pem::Error::MissingSectionEnd { .. }, _) => ("is PEM that has no -----END line", None),
        (pem::Error::IllegalSectionStart { .. }, _) => ("has an invalid -----BEGIN line", None),
        (pem::Error::Base64Decode(_), _) => ("is PEM with invalid base64", None),
        (pem::Error::NoItemsFound, _) => ("holds no PEM of this kind", None),
        _ => ("is not valid PEM", None),
    };
    TlsError::Pem { path: path.to_owned(), what, fix }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_what_a_file_holds_instead() {
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let sealed = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let request = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
        for (text, as_certificate, as_key) in [
            (key, "holds a private key, and no certificate", ""),
            (sealed, "holds a private key, and no certificate", "encrypted"),
            (old, "holds a private key, and no certificate", "encrypted"),
            (certificate, "", "holds a certificate, and no private key"),
            (request, "holds a certificate request", "holds no PEM of this kind"),
            ("0\u{3}", "is DER", "is DER"),
            (" \n", "is empty", "is empty"),
            ("what", "holds no PEM of this kind", "holds no PEM of this kind"),
        ] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            let errors = [certificates(file.path()).map(drop), private_key(file.path()).map(drop)];
            let errors = errors.map(|read| read.err().map(|error| error.to_string()).unwrap_or_default());
            assert!(
                errors[0].contains(as_certificate) && errors[0].is_empty() == as_certificate.is_empty(),
                "{text}: {errors:?}"
            );
            assert!(
                errors[1].contains(as_key) && errors[1].is_empty() == as_key.is_empty(),
                "{text}: {errors:?}"
            );
        }
    }
}
