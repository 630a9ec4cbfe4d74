//! How the auth service is told of the use of its keys.

use std::{num::NonZeroU64, path::PathBuf, time::Duration};

use super::{
    reader::{Noted, Reader},
    value::{FromText, section, words},
};
use crate::code::Code;

/// `[auth.service]`, of it `usage` and what begins so.
#[derive(Debug, Clone)]
pub struct UsageSettings {
    pub mode: UsageMode,
    pub spool: UsageSpool,
    /// The most bytes of batches that wait on disk.
    pub spool_size: NonZeroU64,
    /// How long a batch is added to before it is sent.
    pub interval: Duration,
}

words! {
    /// How uses are told.
    pub enum UsageMode {
        /// Sums of an interval; each request by itself where the service takes none.
        Batch = "batch",
        Each = "each",
        Off = "off",
    }
}

/// Where batches wait until the service has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsageSpool {
    /// A folder of the service's own below [`UsageSpool::STATE`], or memory if that cannot be written.
    Auto,
    Memory,
    Folder(PathBuf),
}

impl UsageSpool {
    /// Where the state of services is (hier(7)).
    pub const STATE: &str = "/var/lib/hokusai-gateway";
}

impl FromText for UsageSpool {
    const FORM: &'static str = "auto, memory, or the path of a folder such as /var/lib/hokusai-gateway/usage";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        Ok(match text {
            "auto" => Self::Auto,
            "memory" => Self::Memory,
            path if path.contains('/') => Self::Folder(path.into()),
            _ => return Err("is not a path with a slash in it"),
        })
    }
}

impl UsageSettings {
    pub(super) fn read(reader: &mut Reader) -> Result<Self, Noted> {
        section!(Self {
            mode: mode(reader),
            spool: reader.value("auth.service.usage_spool"),
            spool_size: reader.value("auth.service.usage_spool_size"),
            interval: reader.value("auth.service.usage_interval"),
        })
    }
}

/// The earlier setting still counts where the new one is at its default.
fn mode(reader: &mut Reader) -> Result<UsageMode, Noted> {
    const EARLIER: &str = "auth.service.report_usage";
    let mode = reader.value("auth.service.usage");
    let Some(was_told) = reader.retired::<bool>(EARLIER)? else { return mode };
    let meant = if was_told { UsageMode::Each } else { UsageMode::Off };
    let fix = format!("auth.service.usage = \"{}\", or \"batch\" for sums", meant.word());
    match mode? {
        UsageMode::Batch => {
            reader.warn(Code::RenamedSetting, EARLIER, "is now auth.service.usage, and still counts", &fix);
            Ok(meant)
        }
        _ => {
            let what = "is set beside auth.service.usage, which is its new name";
            Err(reader.problem(Code::DuplicateSetting, EARLIER, what, "only auth.service.usage"))
        }
    }
}
