//! The rate limits.

use std::num::{NonZeroU32, NonZeroU64};

use super::{
    reader::Reader,
    value::{ByteSize, words},
};

/// `[limits]`
#[derive(Debug, Clone)]
pub struct Limits {
    pub mode: Mode,
    /// Requests in an hour, for reads and for writes each, unless the key has a limit of its own.
    pub per_hour: NonZeroU32,
    /// Bytes of artifacts in an hour, up and down together; `None`: no limit.
    pub artifact_bytes_per_hour: Option<NonZeroU64>,
    /// The number of instances that share the limits; used while Redis does not answer.
    pub instances: NonZeroU32,
}

/// What happens to a request that a rule denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The rule is not evaluated.
    Off,
    /// It is logged and forwarded.
    Report,
    Enforce,
}

impl Mode {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Report => "report",
            Self::Enforce => "enforce",
        }
    }
}

words!(Mode, "off" => Self::Off, "report" => Self::Report, "enforce" => Self::Enforce);

impl Limits {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let mode = reader.value("limits.mode");
        let per_hour = reader.value("limits.per_hour");
        let bytes = reader.optional::<ByteSize>("limits.artifact_bytes_per_hour");
        let instances = reader.value("limits.instances");
        Some(Self {
            mode: mode?,
            per_hour: per_hour?,
            artifact_bytes_per_hour: bytes?.map(|bytes| bytes.0),
            instances: instances?,
        })
    }
}
