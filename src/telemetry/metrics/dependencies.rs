//! Calls to MLflow, and whether each dependency is up.

use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use super::{Metrics, families::Families, requests::REQUEST_BUCKETS};
use crate::vocabulary::UpstreamOutcome;

/// A server that the gateway needs, or uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependency {
    Upstream,
    AuthService,
    Redis,
}

#[derive(Debug)]
pub(super) struct DependencyMetrics {
    pub(super) upstream: IntCounterVec,
    pub(super) upstream_duration: HistogramVec,
    upstream_up: IntGaugeVec,
    upstream_accepts: IntGaugeVec,
    auth_service_up: IntGaugeVec,
    redis_up: IntGaugeVec,
}

impl DependencyMetrics {
    pub(super) fn new(families: &Families<'_>) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            upstream: families.counters(
                "upstream_requests_total",
                "Calls to MLflow for clients' requests, by outcome.",
                &["outcome"],
            )?,
            upstream_duration: families.histograms(
                "upstream_duration_seconds",
                "Seconds from a call to MLflow to the head of its response, or to its failure.",
                &["outcome"],
                REQUEST_BUCKETS,
            )?,
            upstream_up: families.gauges(
                "upstream_up",
                "1 if MLflow was reached by the last probe, else 0.",
                &[],
            )?,
            upstream_accepts: families.gauges(
                "upstream_accepts",
                "1 if MLflow answered the gateway's own API calls as it should, else 0.",
                &[],
            )?,
            auth_service_up: families.gauges(
                "auth_service_up",
                "1 if the last call to the auth service got a verdict, else 0.",
                &[],
            )?,
            redis_up: families.gauges(
                "redis_up",
                "1 if Redis did what the gateway needs when it was last used or tested, else 0.",
                &[],
            )?,
        };
        for outcome in UpstreamOutcome::ALL {
            metrics.upstream.with_label_values(&[outcome.word()]);
        }
        Ok(metrics)
    }
}

impl Metrics {
    /// The last result; a dependency that is not used has no gauge.
    pub fn set_dependency_up(&self, dependency: Dependency, up: bool) {
        let gauge = match dependency {
            Dependency::Upstream => &self.0.dependencies.upstream_up,
            Dependency::AuthService => &self.0.dependencies.auth_service_up,
            Dependency::Redis => &self.0.dependencies.redis_up,
        };
        gauge.with_label_values::<&str>(&[]).set(up.into());
    }

    /// Whether MLflow answers API calls of the gateway's own.
    pub fn set_upstream_accepts(&self, accepts: bool) {
        self.0.dependencies.upstream_accepts.with_label_values::<&str>(&[]).set(accepts.into());
    }
}
