//! The audit records.

use std::{num::NonZeroU64, path::PathBuf};

use super::{
    reader::Reader,
    value::{ByteSize, FromText, words},
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

/// What happens to a change whose record cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// It is forwarded.
    Open,
    /// It is refused before it reaches MLflow.
    Closed,
}

words!(OnFailure, "open" => Self::Open, "closed" => Self::Closed);

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
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let output = reader.value("audit.output");
        let max_size = reader.value::<ByteSize>("audit.max_size");
        let on_failure = reader.value("audit.on_failure");
        if (&output, on_failure) == (&Some(AuditOutput::Off), Some(OnFailure::Closed)) {
            let what = "is closed while audit.output is off: no record could be written, so every change would be refused";
            reader.problem(
                Code::ContradictingSettings,
                "audit.on_failure",
                what,
                "open, or set audit.output",
            );
            return None;
        }
        Some(Self { output: output?, max_size: max_size?.0, on_failure: on_failure? })
    }
}
