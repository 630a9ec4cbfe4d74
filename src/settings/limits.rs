//! The rate limits.

use std::num::{NonZeroU32, NonZeroU64};

use super::{
    reader::{Noted, Reader},
    value::{section, words},
};

/// `[limits]`
#[derive(Debug, Clone)]
pub struct Limits {
    pub mode: Mode,
    /// Requests in an hour, for reads and for writes each, unless the key has a limit of its own.
    pub per_hour: NonZeroU32,
    /// Requests under way at once, of artifacts and of all others each, unless the key has a limit of its own. Of several instances
    /// each admits its part.
    pub concurrent: NonZeroU32,
    /// New experiments, runs and models in an hour, unless the key has a limit of its own; `None`: no limit.
    pub creates_per_hour: Option<NonZeroU32>,
    /// Bytes of artifacts in an hour, up and down together; `None`: no limit.
    pub artifact_bytes_per_hour: Option<NonZeroU64>,
    /// The number of instances that share the limits.
    pub instances: NonZeroU32,
}

words! {
    /// What happens to a request that a rule denies.
    pub enum Mode {
        /// The rule is not evaluated.
        Off = "off",
        /// It is logged and forwarded.
        Report = "report",
        Enforce = "enforce",
    }
}

impl Limits {
    pub(super) fn read(reader: &mut Reader) -> Result<Self, Noted> {
        section!(Self {
            mode: reader.value("limits.mode"),
            per_hour: reader.value("limits.per_hour"),
            concurrent: reader.value("limits.concurrent"),
            creates_per_hour: reader.optional("limits.creates_per_hour"),
            artifact_bytes_per_hour: reader.optional("limits.artifact_bytes_per_hour"),
            instances: reader.value("limits.instances"),
        })
    }
}
