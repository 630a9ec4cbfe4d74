//! The limits of one key: its own, else those of the settings. The limiter, `explain` and `/account` read them here.

use std::num::{NonZeroU32, NonZeroU64};

use crate::{auth::Principal, settings::Limits};

/// The numbers that count for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyLimits {
    /// Of reads and of changes each.
    pub(crate) per_hour: u32,
    /// Under way at this instance, of artifacts and of all others each.
    pub(crate) concurrent: u32,
    /// `None`: no limit.
    pub(crate) creates_per_hour: Option<u32>,
    /// `None`: no limit.
    pub(crate) artifact_bytes_per_hour: Option<u64>,
}

impl KeyLimits {
    pub(crate) fn of(principal: &Principal, settings: &Limits) -> Self {
        let concurrent = principal.concurrent.unwrap_or(settings.concurrent);
        Self {
            per_hour: principal.rate_limit_per_hour.unwrap_or(settings.per_hour).get(),
            // What is under way at another instance is not known here.
            concurrent: concurrent.get().div_ceil(settings.instances.get()),
            creates_per_hour: principal.creates_per_hour.or(settings.creates_per_hour).map(NonZeroU32::get),
            artifact_bytes_per_hour: settings.artifact_bytes_per_hour.map(NonZeroU64::get),
        }
    }
}
