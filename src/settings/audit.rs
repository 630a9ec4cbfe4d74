//! The audit records.

use std::{num::NonZeroU64, path::PathBuf};

use super::{
    reader::{Noted, Reader},
    value::{FromText, words},
};
use crate::code::Code;

/// `[audit]`
#[derive(Debug, Clone)]
pub struct Audit {
    pub output: AuditOutput,
    /// The size in bytes at which a file is rotated.
    pub max_size: NonZeroU64,
    pub on_failure: OnFailure,
}

words! {
    /// What happens to a change whose record cannot be written.
    pub enum OnFailure {
        /// It is forwarded.
        Open = "open",
        /// It is refused before it reaches MLflow.
        Closed = "closed",
    }
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

    fn from_text(text: &str) -> Result<Self, &'static str> {
        Ok(match text {
            "off" => Self::Off,
            "stdout" => Self::Stdout,
            path if path.contains('/') => Self::File(path.into()),
            _ => return Err("is not a path with a slash in it"),
        })
    }
}

impl Audit {
    pub(super) fn read(reader: &mut Reader) -> Result<Self, Noted> {
        let output = reader.value("audit.output");
        let max_size = reader.value("audit.max_size");
        let on_failure = reader.value("audit.on_failure");
        if let (Ok(AuditOutput::Off), Ok(OnFailure::Closed)) = (&output, &on_failure) {
            let what = "is closed while audit.output is off: no record could be written, so every change would be refused";
            let fix = "open, or set audit.output";
            return Err(reader.problem(Code::ConflictingSettings, "audit.on_failure", what, fix));
        }
        Ok(Self { output: output?, max_size: max_size?, on_failure: on_failure? })
    }
}
