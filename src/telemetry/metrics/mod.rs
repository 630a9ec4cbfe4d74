//! What Prometheus is told. Every label's value is a word of ours, never a client's, so that their number is bounded.

mod worker;

use std::{ops::Deref, sync::Arc, time::Duration};

use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, PullingGauge,
    Registry, TextEncoder, core::Collector, proto::MetricFamily,
};

use crate::{
    GIT_SHA, VERSION,
    vocabulary::{CacheResult, CacheTier, DeliveryOutcome, Reason, UpstreamOutcome, ValidationOutcome},
};
pub use worker::WorkerMetrics;

/// What the gateway needs, or uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependency {
    Upstream,
    AuthService,
    Redis,
}

/// The counters of one gateway; a clone counts into the same ones. Every request has one, so it is one pointer.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Families>);

/// What is counted.
#[derive(Debug)]
pub struct Families {
    registry: Registry,
    http_requests: IntCounterVec,
    http_requests_duration: HistogramVec,
    overhead: HistogramVec,
    in_flight_requests: IntGauge,
    denied: IntCounterVec,
    upstream_requests: IntCounterVec,
    upstream_duration: HistogramVec,
    upstream_up: IntGaugeVec,
    upstream_accepts: IntGaugeVec,
    auth_service_up: IntGaugeVec,
    redis_up: IntGaugeVec,
    key_file_loaded: IntGaugeVec,
    key_file_last_reload: IntGaugeVec,
    certificate_expiry: IntGaugeVec,
    bytes: IntCounterVec,
    auth_cache_requests: IntCounterVec,
    auth_validations: IntCounterVec,
    auth_validation_duration: HistogramVec,
    usage_reports: IntCounterVec,
    audit_records: IntCounterVec,
    trace_spans: IntCounterVec,
    panics: IntCounter,
    connections_dropped: IntCounter,
}

/// Seconds: 2 ms for metadata, minutes for artifacts.
const REQUEST_BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
    600.0, 1800.0,
];
/// Seconds: the gateway's own part is below a millisecond.
const OVERHEAD_BUCKETS: &[f64] =
    &[0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0];
/// Seconds; the auth service is given 2 s by default.
const VALIDATION_BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0];

impl Deref for Metrics {
    type Target = Families;

    fn deref(&self) -> &Families {
        &self.0
    }
}

impl Metrics {
    /// # Errors
    /// None that does not show at the first start: a name that Prometheus does not allow, or one given twice.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("hokusai_gateway".to_owned()), None)?;
        let counter = |name: &str, help: &str, labels: &[&str]| {
            registered(&registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let duration = |name: &str, help: &str, labels: &[&str], buckets: &[f64]| {
            let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            registered(&registry, HistogramVec::new(options, labels)?)
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            registered(&registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
        };
        gauge("build_info", "What is running.", &["version", "git_sha"])?
            .with_label_values(&[VERSION, GIT_SHA])
            .set(1);
        let metrics = Self(Arc::new(Families {
            http_requests: counter(
                "http_requests_total",
                "Requests, by the class of their route.",
                &["route", "method", "status"],
            )?,
            http_requests_duration: duration(
                "http_requests_duration_seconds",
                "Time from a request's head to its response's last byte.",
                &["route", "method", "status"],
                REQUEST_BUCKETS,
            )?,
            overhead: duration(
                "overhead_seconds",
                "Time that the gateway itself took until the response's head, without MLflow, the auth service and the client.",
                &["route"],
                OVERHEAD_BUCKETS,
            )?,
            in_flight_requests: registered(
                &registry,
                IntGauge::new("in_flight_requests", "Requests that are under way.")?,
            )?,
            denied: counter(
                "denied_total",
                "Requests that the gateway refused, or could not have answered.",
                &["reason"],
            )?,
            upstream_requests: counter("upstream_requests_total", "Calls to MLflow.", &["outcome"])?,
            upstream_duration: duration(
                "upstream_duration_seconds",
                "Time from the call of MLflow to the head of its response.",
                &["outcome"],
                REQUEST_BUCKETS,
            )?,
            upstream_up: gauge(
                "upstream_up",
                "Whether MLflow could be reached when it was last looked at.",
                &[],
            )?,
            upstream_accepts: gauge(
                "upstream_accepts",
                "Whether MLflow answered the last API call of the gateway's own.",
                &[],
            )?,
            auth_service_up: gauge(
                "auth_service_up",
                "Whether the auth service gave a verdict when it was last asked.",
                &[],
            )?,
            redis_up: gauge(
                "redis_up",
                "Whether Redis, when it was last asked, did what the gateway needs.",
                &[],
            )?,
            key_file_loaded: gauge(
                "key_file_loaded_timestamp_seconds",
                "When the keys in force were read from the key file.",
                &[],
            )?,
            key_file_last_reload: gauge(
                "key_file_last_reload_successful",
                "Whether the key file as it stands is in force.",
                &[],
            )?,
            certificate_expiry: gauge(
                "certificate_expiry_timestamp_seconds",
                "When a certificate that the gateway shows, or an authority that it believes, ends.",
                &["certificate"],
            )?,
            bytes: counter("bytes_total", "Bytes of bodies.", &["direction"])?,
            auth_cache_requests: counter(
                "auth_cache_requests_total",
                "Lookups of keys in what is remembered of the auth service's verdicts.",
                &["tier", "result"],
            )?,
            auth_validations: counter("auth_validations_total", "Calls to the auth service.", &["outcome"])?,
            auth_validation_duration: duration(
                "auth_validation_duration_seconds",
                "Time that calls to the auth service took.",
                &["outcome"],
                VALIDATION_BUCKETS,
            )?,
            usage_reports: counter(
                "usage_reports_total",
                "Requests that the auth service was to be told of.",
                &["outcome"],
            )?,
            trace_spans: counter("trace_spans_total", "Spans for the collector of traces.", &["outcome"])?,
            audit_records: counter("audit_records_total", "Records of the audit stream.", &["outcome"])?,
            connections_dropped: registered(
                &registry,
                IntCounter::new(
                    "connections_dropped_total",
                    "Connections that were closed, or not taken, because there were too many.",
                )?,
            )?,
            panics: registered(
                &registry,
                IntCounter::new("panics_total", "Requests that ended in a panic of the gateway's.")?,
            )?,
            registry,
        }));
        metrics.begin_at_zero();
        Ok(metrics)
    }

    /// What alerts are about is there from the start: of a series that begins with its first failure Prometheus sees none.
    fn begin_at_zero(&self) {
        for reason in Reason::ALL.into_iter().filter(|reason| reason.is_failure()) {
            self.denied.with_label_values(&[reason.word()]);
        }
        for outcome in UpstreamOutcome::ALL {
            self.upstream_requests.with_label_values(&[outcome.word()]);
        }
        for outcome in DeliveryOutcome::ALL {
            self.audit_records.with_label_values(&[outcome.word()]);
        }
    }

    /// Asks `dropped` from now on how many lines of the log were dropped.
    pub fn count_dropped_lines(&self, dropped: impl Fn() -> u64 + Send + Sync + 'static) {
        let dropped = Box::new(move || dropped() as f64);
        let gauge = PullingGauge::new("log_lines_dropped", "Lines that the log had no room for.", dropped);
        // A second one in a process is a test's.
        let _ = gauge.map(|gauge| self.registry.register(Box::new(gauge)));
    }

    pub fn denied(&self, reason: Reason) {
        self.denied.with_label_values(&[reason.word()]).inc();
    }

    /// What was last found out about something that the gateway needs; one that it does not use has no gauge.
    pub fn set_dependency_up(&self, dependency: Dependency, up: bool) {
        let gauge = match dependency {
            Dependency::Upstream => &self.upstream_up,
            Dependency::AuthService => &self.auth_service_up,
            Dependency::Redis => &self.redis_up,
        };
        gauge.with_label_values::<&str>(&[]).set(up.into());
    }

    /// Whether MLflow answered an API call of the gateway's own.
    pub fn accepted_upstream(&self, accepts: bool) {
        self.upstream_accepts.with_label_values::<&str>(&[]).set(accepts.into());
    }

    /// When a certificate ends, in seconds since 1970.
    pub fn certificate_ends(&self, certificate: &str, at: i64) {
        self.certificate_expiry.with_label_values(&[certificate]).set(at);
    }

    /// The key file was read, and is in force; or it could not be, and the keys before it stay.
    pub fn key_file_read(&self, is_in_force: bool) {
        if is_in_force {
            let now = jiff::Timestamp::now().as_second();
            self.key_file_loaded.with_label_values::<&str>(&[]).set(now);
        }
        self.key_file_last_reload.with_label_values::<&str>(&[]).set(is_in_force.into());
    }

    pub fn key_looked_up(&self, tier: CacheTier, result: CacheResult) {
        self.auth_cache_requests.with_label_values(&[tier.word(), result.word()]).inc();
    }

    pub fn key_validated(&self, outcome: ValidationOutcome, took: Duration) {
        self.set_dependency_up(Dependency::AuthService, outcome != ValidationOutcome::Unavailable);
        self.auth_validations.with_label_values(&[outcome.word()]).inc();
        self.auth_validation_duration.with_label_values(&[outcome.word()]).observe(took.as_secs_f64());
    }

    pub fn usage_reported(&self, outcome: DeliveryOutcome, count: u64) {
        self.usage_reports.with_label_values(&[outcome.word()]).inc_by(count);
    }

    pub fn audited(&self, outcome: DeliveryOutcome, count: u64) {
        self.audit_records.with_label_values(&[outcome.word()]).inc_by(count);
    }

    pub fn traced(&self, outcome: DeliveryOutcome, count: u64) {
        self.trace_spans.with_label_values(&[outcome.word()]).inc_by(count);
    }

    pub fn connection_dropped(&self) {
        self.connections_dropped.inc();
    }

    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// Requests that are under way.
    pub fn in_flight(&self) -> i64 {
        self.in_flight_requests.get()
    }

    /// Where actix-web-prom registers its families.
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// All of it as it stands.
    pub(super) fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }

    /// All of it in Prometheus's text format.
    ///
    /// # Errors
    /// What cannot be written in it.
    pub fn encode(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

fn registered<T: Collector + Clone + 'static>(
    registry: &Registry,
    metric: T,
) -> Result<T, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
