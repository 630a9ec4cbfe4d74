//! PEM files of certificates and keys.

use std::path::PathBuf;

use super::reader::Reader;
use crate::code::Code;

/// A certificate, with its chain behind it, and its private key.
#[derive(Debug, Clone)]
pub struct Identity {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// TLS to a server: the trusted authorities, and the gateway's own certificate.
#[derive(Debug, Clone, Default)]
pub struct ClientTls {
    /// The only trusted authorities; `None`: those of this machine.
    pub ca: Option<PathBuf>,
    /// The client certificate for a server that requests one.
    pub identity: Option<Identity>,
}

impl Identity {
    /// Both settings, or neither.
    #[expect(clippy::option_option, reason = "not set and not usable are two things")]
    pub(super) fn read(reader: &mut Reader, cert: &'static str, key: &'static str) -> Option<Option<Self>> {
        let (cert_path, key_path) = (reader.optional(cert)?, reader.optional(key)?);
        match (cert_path, key_path) {
            (Some(cert), Some(key)) => Some(Some(Self { cert, key })),
            (None, None) => Some(None),
            (one, _) => {
                let missing = if one.is_some() { key } else { cert };
                reader.problem(
                    Code::MissingSetting,
                    missing,
                    "is not set, but its counterpart is",
                    "the path of a PEM file",
                );
                None
            }
        }
    }
}

impl ClientTls {
    pub(super) fn read(reader: &mut Reader, keys: [&'static str; 3]) -> Option<Self> {
        let [ca, cert, key] = keys;
        let (ca, identity) = (reader.optional(ca), Identity::read(reader, cert, key));
        Some(Self { ca: ca?, identity: identity? })
    }
}
