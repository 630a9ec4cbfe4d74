//! Where it is kept who did what.

use std::{num::NonZeroU64, path::PathBuf};

use super::{
    reader::Reader,
    value::{ByteSize, FromText},
};

/// `[audit]`
#[derive(Debug, Clone)]
pub struct Audit {
    pub output: AuditOutput,
    /// The size in bytes at which a file is put aside and a new one begun.
    pub max_size: NonZeroU64,
}

/// Where records are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditOutput {
    Off,
    Stdout,
    File(PathBuf),
}

impl FromText for AuditOutput {
    const FORM: &'static str = "stdout, off, or the path of a file such as /var/log/hokusai/audit.jsonl";

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(match text {
            "off" => Self::Off,
            "stdout" => Self::Stdout,
            path if path.contains('/') => Self::File(path.into()),
            _ => return Err("is no path with a slash in it".to_owned()),
        })
    }
}

impl Audit {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let output = reader.value("audit.output");
        let max_size = reader.value::<ByteSize>("audit.max_size");
        Some(Self { output: output?, max_size: max_size?.0 })
    }
}
