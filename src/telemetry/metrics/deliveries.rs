//! What is written or sent in the background: usage reports, audit records, spans, lines of the log.

use prometheus::{IntCounterVec, PullingGauge};

use super::{Metrics, families::Families};
use crate::vocabulary::DeliveryOutcome;

#[derive(Debug)]
pub(super) struct DeliveryMetrics {
    usage_reports: IntCounterVec,
    audit_records: IntCounterVec,
    trace_spans: IntCounterVec,
}

impl DeliveryMetrics {
    pub(super) fn new(families: &Families<'_>) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str| families.counters(name, help, &["outcome"]);
        let metrics = Self {
            usage_reports: counters(
                "usage_reports_total",
                "Requests whose usage was to be reported to the auth service, by outcome.",
            )?,
            audit_records: counters("audit_records_total", "Records for the audit stream, by outcome.")?,
            trace_spans: counters("trace_spans_total", "Spans for the trace collector, by outcome.")?,
        };
        for outcome in DeliveryOutcome::ALL {
            metrics.audit_records.with_label_values(&[outcome.word()]);
        }
        Ok(metrics)
    }
}

impl Metrics {
    pub fn usage_reported(&self, outcome: DeliveryOutcome, count: u64) {
        self.0.deliveries.usage_reports.with_label_values(&[outcome.word()]).inc_by(count);
    }

    /// For the audit stream, which counts its records itself, by [`DeliveryOutcome`].
    pub(crate) fn audit_records(&self) -> IntCounterVec {
        self.0.deliveries.audit_records.clone()
    }

    pub fn traced(&self, outcome: DeliveryOutcome, count: u64) {
        self.0.deliveries.trace_spans.with_label_values(&[outcome.word()]).inc_by(count);
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
