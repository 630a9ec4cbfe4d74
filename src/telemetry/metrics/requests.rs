//! Clients' requests.

use prometheus::{HistogramVec, IntCounterVec, IntGauge};

use super::{Metrics, families::Families};
use crate::vocabulary::Reason;

/// Seconds: 2 ms for metadata, minutes for artifacts.
pub(super) const REQUEST_BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
    600.0, 1800.0,
];
/// Seconds: the gateway's own part is below a millisecond.
const OVERHEAD_BUCKETS: &[f64] =
    &[0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0];

#[derive(Debug)]
pub(super) struct RequestMetrics {
    pub(super) ended: IntCounterVec,
    pub(super) duration: HistogramVec,
    pub(super) overhead: HistogramVec,
    pub(super) in_flight: IntGauge,
    pub(super) bytes: IntCounterVec,
    denied: IntCounterVec,
}

impl RequestMetrics {
    pub(super) fn new(families: &Families<'_>) -> Result<Self, prometheus::Error> {
        let labels = &["route", "method", "status"];
        let metrics = Self {
            ended: families.counters(
                "http_requests_total",
                "Requests that have ended, by the class of their route, method and status.",
                labels,
            )?,
            duration: families.histograms(
                "http_requests_duration_seconds",
                "Seconds from a request's head to the last byte of its response.",
                labels,
                REQUEST_BUCKETS,
            )?,
            overhead: families.histograms(
                "overhead_seconds",
                "Seconds of the gateway's own work until the response's head: without MLflow, the auth service and the client's body.",
                &["route"],
                OVERHEAD_BUCKETS,
            )?,
            in_flight: families.gauge("in_flight_requests", "Requests in progress.")?,
            bytes: families.counters(
                "bytes_total",
                "Bytes of bodies: in from clients, out to clients.",
                &["direction"],
            )?,
            denied: families.counters(
                "denied_total",
                "Requests that the gateway refused, or could not get MLflow's response for, by reason.",
                &["reason"],
            )?,
        };
        // Alerts need a series before its first failure: Prometheus sees no increase where a series begins.
        for reason in Reason::ALL.into_iter().filter(|reason| reason.is_failure()) {
            metrics.denied.with_label_values(&[reason.word()]);
        }
        Ok(metrics)
    }
}

impl Metrics {
    pub fn denied(&self, reason: Reason) {
        self.0.requests.denied.with_label_values(&[reason.word()]).inc();
    }

    pub fn in_flight(&self) -> i64 {
        self.0.requests.in_flight.get()
    }
}
