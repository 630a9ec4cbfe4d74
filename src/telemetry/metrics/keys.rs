//! API keys: verdicts of the auth service, their caches, and the key file.

use std::time::Duration;

use jiff::Timestamp;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use super::{Dependency, Metrics, families::Families};
use crate::vocabulary::{CacheResult, CacheTier, ValidationOutcome};

/// Seconds; the auth service is given 2 s by default.
const VALIDATION_BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0];

#[derive(Debug)]
pub(super) struct KeyMetrics {
    cache_requests: IntCounterVec,
    validations: IntCounterVec,
    validation_duration: HistogramVec,
    file_loaded: IntGaugeVec,
    file_last_reload: IntGaugeVec,
}

impl KeyMetrics {
    pub(super) fn new(families: &Families<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            cache_requests: families.counters(
                "auth_cache_requests_total",
                "Lookups of keys in the caches of the auth service's verdicts, by cache and result.",
                &["tier", "result"],
            )?,
            validations: families.counters(
                "auth_validations_total",
                "Keys that the auth service was asked about, by outcome.",
                &["outcome"],
            )?,
            validation_duration: families.histograms(
                "auth_validation_duration_seconds",
                "Seconds that the auth service took for a key, by outcome.",
                &["outcome"],
                VALIDATION_BUCKETS,
            )?,
            file_loaded: families.gauges(
                "key_file_loaded_timestamp_seconds",
                "Unix time at which the keys in use were read from the key file.",
                &[],
            )?,
            file_last_reload: families.gauges(
                "key_file_last_reload_successful",
                "1 if the last reload of the key file succeeded; 0 if it failed and the previous keys stay in use.",
                &[],
            )?,
        })
    }
}

impl Metrics {
    pub fn key_looked_up(&self, tier: CacheTier, result: CacheResult) {
        self.0.keys.cache_requests.with_label_values(&[tier.word(), result.word()]).inc();
    }

    pub fn key_validated(&self, outcome: ValidationOutcome, took: Duration) {
        self.set_dependency_up(Dependency::AuthService, outcome != ValidationOutcome::Unavailable);
        let labels = &[outcome.word()];
        self.0.keys.validations.with_label_values(labels).inc();
        self.0.keys.validation_duration.with_label_values(labels).observe(took.as_secs_f64());
    }

    /// After each reading of the key file. Where it failed, the previous keys stay in use.
    pub fn key_file_reloaded(&self, is_successful: bool) {
        if is_successful {
            self.0.keys.file_loaded.with_label_values::<&str>(&[]).set(Timestamp::now().as_second());
        }
        self.0.keys.file_last_reload.with_label_values::<&str>(&[]).set(is_successful.into());
    }
}
