//! What happens in the gateway, as its metrics have it. Requests are counted by each worker ([`worker`](super::worker)).

use std::time::Duration;

use jiff::Timestamp;
use prometheus::{IntCounter, IntCounterVec, PullingGauge};

use super::Metrics;
use crate::vocabulary::{
    CacheResult, CacheTier, DeliveryOutcome, LimitLabel, LookupResult, Reason, ValidationOutcome,
};

/// A server that the gateway needs, or uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependency {
    Upstream,
    AuthService,
    Redis,
}

impl Metrics {
    pub fn connection_dropped(&self) {
        self.families().connections_dropped_total.inc();
    }

    /// `at` in seconds since 1970.
    pub fn set_certificate_expiry(&self, certificate: &str, at: i64) {
        self.families().certificate_expiry_timestamp_seconds.with_label_values(&[certificate]).set(at);
    }

    pub fn panicked(&self) {
        self.families().panics_total.inc();
    }

    pub fn denied(&self, reason: Reason) {
        self.families().denied_total.with_label_values(&[reason.word()]).inc();
    }

    /// `mode`: whether the request was refused for it.
    pub fn limit_exceeded(&self, limit: LimitLabel, mode: &'static str) {
        self.families().limits_exceeded_total.with_label_values(&[limit.word(), mode]).inc();
    }

    pub fn in_flight(&self) -> i64 {
        self.families().in_flight_requests.get()
    }

    /// The last result; a dependency that is not used has no gauge.
    pub fn set_dependency_up(&self, dependency: Dependency, up: bool) {
        let gauge = match dependency {
            Dependency::Upstream => &self.families().upstream_up,
            Dependency::AuthService => &self.families().auth_service_up,
            Dependency::Redis => &self.families().redis_up,
        };
        gauge.with_label_values::<&str>(&[]).set(up.into());
    }

    /// Whether MLflow answers API calls of the gateway's own.
    pub fn set_upstream_accepts(&self, accepts: bool) {
        self.families().upstream_accepts.with_label_values::<&str>(&[]).set(accepts.into());
    }

    pub fn key_looked_up(&self, tier: CacheTier, result: CacheResult) {
        self.families().auth_cache_requests_total.with_label_values(&[tier.word(), result.word()]).inc();
    }

    /// The counter of look-ups of owners.
    pub fn owners_looked_up(&self, result: LookupResult) -> IntCounter {
        self.families().ownership_lookups_total.with_label_values(&[result.word()])
    }

    pub fn key_validated(&self, outcome: ValidationOutcome, took: Duration) {
        self.set_dependency_up(Dependency::AuthService, outcome != ValidationOutcome::Unavailable);
        let (families, labels) = (self.families(), &[outcome.word()]);
        families.auth_validations_total.with_label_values(labels).inc();
        families.auth_validation_duration_seconds.with_label_values(labels).observe(took.as_secs_f64());
    }

    /// After each reading of the key file. Where it failed, the previous keys stay in use.
    pub fn key_file_reloaded(&self, is_successful: bool) {
        let (families, none) = (self.families(), &[] as &[&str]);
        if is_successful {
            let now = Timestamp::now().as_second();
            families.key_file_loaded_timestamp_seconds.with_label_values(none).set(now);
        }
        families.key_file_last_reload_successful.with_label_values(none).set(is_successful.into());
    }

    pub fn usage_reported(&self, outcome: DeliveryOutcome, count: u64) {
        self.families().usage_reports_total.with_label_values(&[outcome.word()]).inc_by(count);
    }

    /// For the audit stream, which counts its records itself, by [`DeliveryOutcome`].
    pub(crate) fn audit_records(&self) -> IntCounterVec {
        self.families().audit_records_total.clone()
    }

    pub fn traced(&self, outcome: DeliveryOutcome, count: u64) {
        self.families().trace_spans_total.with_label_values(&[outcome.word()]).inc_by(count);
    }

    /// `dropped` is asked at each scrape.
    pub fn count_dropped_lines(&self, dropped: impl Fn() -> u64 + Send + Sync + 'static) {
        let dropped = Box::new(move || dropped() as f64);
        let help = "Lines of the log that were lost: too many waited, or standard output failed.";
        let gauge = PullingGauge::new("log_lines_dropped", help, dropped);
        // A second one in a process is a test's.
        let _ = gauge.map(|gauge| self.registry().register(Box::new(gauge)));
    }
}
