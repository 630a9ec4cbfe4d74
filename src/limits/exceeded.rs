//! What a key has left of a limit, and the limit that a request exceeds.

use std::{fmt, time::Duration};

use serde::Serialize;

use crate::{under_way::Lane, vocabulary::LimitLabel};

/// What a key has left: the values of the rate limit headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Allowance {
    /// The whole limit.
    pub limit: u64,
    /// What may follow immediately.
    pub remaining: u64,
    /// Seconds until the limit is fully restored.
    pub reset: u64,
}

/// A limit that a request exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {limit}")]
pub struct LimitExceeded {
    pub limit: Limit,
    /// Of this limit.
    pub allowance: Allowance,
    /// The time until the next request is allowed, or may be.
    pub retry_after: Duration,
}

/// A limit, with its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    Requests(u32),
    Creates(u32),
    Concurrent(Lane, u32),
    ArtifactBytes(u64),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requests(limit) => write!(f, "{limit} requests an hour"),
            Self::Creates(limit) => write!(f, "{limit} new experiments, runs and models an hour"),
            Self::Concurrent(Lane::Requests, limit) => write!(f, "{limit} requests at once"),
            Self::Concurrent(Lane::Artifacts, limit) => write!(f, "{limit} transfers of artifacts at once"),
            Self::ArtifactBytes(limit) => write!(f, "{limit} bytes of artifacts an hour"),
        }
    }
}

impl Limit {
    /// Its word in metrics.
    pub(super) fn label(self) -> LimitLabel {
        match self {
            Self::Requests(_) => LimitLabel::Requests,
            Self::Creates(_) => LimitLabel::Creates,
            Self::Concurrent(Lane::Requests, _) => LimitLabel::Concurrent,
            Self::Concurrent(Lane::Artifacts, _) => LimitLabel::ConcurrentArtifacts,
            Self::ArtifactBytes(_) => LimitLabel::ArtifactBytes,
        }
    }
}

/// How long a client is to wait for a place. MLflow's client tries seven times: an artifact takes longer than other requests.
fn wait_for_a_place(lane: Lane) -> Duration {
    Duration::from_secs(match lane {
        Lane::Requests => 1,
        Lane::Artifacts => 5,
    })
}

impl LimitExceeded {
    /// Every place is taken.
    pub(super) fn concurrent(lane: Lane, limit: u32) -> Self {
        let retry_after = wait_for_a_place(lane);
        let allowance = Allowance { limit: limit.into(), remaining: 0, reset: retry_after.as_secs() };
        Self { limit: Limit::Concurrent(lane, limit), allowance, retry_after }
    }
}
