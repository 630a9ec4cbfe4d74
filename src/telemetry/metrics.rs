//! What Prometheus is told. Every label's value is a word of ours, never a client's, so that their number is bounded.

use std::time::Duration;

use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, TextEncoder, core::Collector,
};

/// The counters of one gateway; a clone counts into the same ones.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    auth_cache_requests: IntCounterVec,
    auth_validations: IntCounterVec,
    auth_validation_duration: HistogramVec,
    usage_reports: IntCounterVec,
    panics: IntCounter,
}

/// Where verdicts are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    Memory,
    Redis,
}

/// What a tier knew of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    Hit,
    Miss,
    /// That it is refused.
    Negative,
    /// What is too old, and was believed because the auth service could not be asked.
    Stale,
}

/// How a validation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validation {
    Accepted,
    Rejected,
    Unavailable,
}

/// What became of a record that is sent or written in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    Ok,
    Failed,
    Dropped,
}

/// Seconds; the auth service is given 2 s by default.
const VALIDATION_BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0];

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
        Ok(Self {
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
            panics: registered(
                &registry,
                IntCounter::new("panics_total", "Requests that ended in a panic of the gateway's.")?,
            )?,
            registry,
        })
    }

    pub fn key_looked_up(&self, tier: Tier, result: Lookup) {
        self.auth_cache_requests.with_label_values(&[tier.word(), result.word()]).inc();
    }

    pub fn key_validated(&self, outcome: Validation, took: Duration) {
        self.auth_validations.with_label_values(&[outcome.word()]).inc();
        self.auth_validation_duration.with_label_values(&[outcome.word()]).observe(took.as_secs_f64());
    }

    pub fn usage_reported(&self, outcome: Delivery, count: u64) {
        self.usage_reports.with_label_values(&[outcome.word()]).inc_by(count);
    }

    pub fn panicked(&self) {
        self.panics.inc();
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

impl Tier {
    const fn word(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
        }
    }
}

impl Lookup {
    const fn word(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Negative => "negative",
            Self::Stale => "stale",
        }
    }
}

impl Validation {
    const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Delivery {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}
