//! The series that one worker's requests are counted in, each looked up once: a look-up hashes every label and takes a
//! lock that all workers share, and a request would make seven.

use std::{cell::RefCell, time::Duration};

use actix_web::http::StatusCode;
use prometheus::{Histogram, IntCounter};

use super::{Call, Metrics};

/// What one worker's requests are counted in.
#[derive(Debug)]
pub struct Series {
    metrics: Metrics,
    requests: Known<Labels, (IntCounter, Histogram)>,
    calls: Known<Call, (IntCounter, Histogram)>,
    overhead: Known<&'static str, Histogram>,
    received: IntCounter,
    sent: IntCounter,
}

/// Route, method, status.
type Labels = (&'static str, &'static str, StatusCode);

/// What was looked up before: as many as there are series, of which few are used.
#[derive(Debug)]
struct Known<K, V>(RefCell<Vec<(K, V)>>);

impl<K: PartialEq, V> Known<K, V> {
    const fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    fn with(&self, key: K, look_up: impl FnOnce(&K) -> V, count: impl FnOnce(&V)) {
        let mut known = self.0.borrow_mut();
        let at = known.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            let found = look_up(&key);
            known.push((key, found));
            known.len() - 1
        });
        count(&known[at].1);
    }
}

impl Series {
    pub fn new(metrics: Metrics) -> Self {
        Self {
            requests: Known::new(),
            calls: Known::new(),
            overhead: Known::new(),
            received: metrics.bytes.with_label_values(&["in"]),
            sent: metrics.bytes.with_label_values(&["out"]),
            metrics,
        }
    }

    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub fn request_began(&self) {
        self.metrics.in_flight_requests.inc();
    }

    /// A response's head is there; `overhead` is the gateway's own part of the time until then.
    pub fn answered(&self, route: &'static str, overhead: Duration) {
        let look_up = |route: &&'static str| self.metrics.overhead.with_label_values(&[*route]);
        self.overhead.with(route, look_up, |series| series.observe(overhead.as_secs_f64()));
    }

    pub fn request_ended(
        &self,
        route: &'static str,
        method: &'static str,
        status: StatusCode,
        took: Duration,
    ) {
        let look_up = |(route, method, status): &Labels| {
            let labels = [*route, *method, status.as_str()];
            let duration = self.metrics.http_requests_duration.with_label_values(&labels);
            (self.metrics.http_requests.with_label_values(&labels), duration)
        };
        self.requests.with((route, method, status), look_up, |(count, duration)| {
            count.inc();
            duration.observe(took.as_secs_f64());
        });
        self.metrics.in_flight_requests.dec();
    }

    pub fn upstream_called(&self, outcome: Call, took: Duration) {
        let look_up = |outcome: &Call| {
            let duration = self.metrics.upstream_duration.with_label_values(&[outcome.word()]);
            (self.metrics.upstream_requests.with_label_values(&[outcome.word()]), duration)
        };
        self.calls.with(outcome, look_up, |(count, duration)| {
            count.inc();
            duration.observe(took.as_secs_f64());
        });
    }

    pub fn received(&self, bytes: u64) {
        self.received.inc_by(bytes);
    }

    pub fn sent(&self, bytes: u64) {
        self.sent.inc_by(bytes);
    }
}
