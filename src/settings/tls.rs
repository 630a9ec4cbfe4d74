//! PEM files of certificates and keys.

use std::path::PathBuf;

use super::{
    reader::{Noted, Reader},
    value::section,
};
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
    pub(super) fn read(
        reader: &mut Reader,
        cert: &'static str,
        key: &'static str,
    ) -> Result<Option<Self>, Noted> {
        let (cert_path, key_path) = (reader.optional(cert)?, reader.optional(key)?);
        match (cert_path, key_path) {
            (Some(cert), Some(key)) => Ok(Some(Self { cert, key })),
            (None, None) => Ok(None),
            (one, _) => {
                let missing = if one.is_some() { key } else { cert };
                let (what, fix) = ("is not set, but its counterpart is", "the path of a PEM file");
                Err(reader.problem(Code::MissingSetting, missing, what, fix))
            }
        }
    }
}

impl ClientTls {
    pub(super) fn read(reader: &mut Reader, [ca, cert, key]: [&'static str; 3]) -> Result<Self, Noted> {
        section!(Self { ca: reader.optional(ca), identity: Identity::read(reader, cert, key) })
    }
}
