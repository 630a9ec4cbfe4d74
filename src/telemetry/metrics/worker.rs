//! The counters of one worker's requests. Each is looked up once: a look-up hashes every label and takes a lock that all
//! workers share, and a request would need seven.

use std::{cell::RefCell, time::Duration};

use actix_web::http::StatusCode;
use prometheus::{Histogram, IntCounter};

use super::Metrics;
use crate::vocabulary::{MethodLabel, RouteLabel, UpstreamOutcome};

#[derive(Debug)]
pub struct WorkerMetrics {
    shared: Metrics,
    requests: LabelCache<(RouteLabel, MethodLabel, StatusCode), (IntCounter, Histogram)>,
    calls: LabelCache<UpstreamOutcome, (IntCounter, Histogram)>,
    overhead: LabelCache<RouteLabel, Histogram>,
    received: IntCounter,
    sent: IntCounter,
}

/// What was looked up before, by its labels. A list, for there are few.
#[derive(Debug)]
struct LabelCache<K, V>(RefCell<Vec<(K, V)>>);

impl<K: Copy + PartialEq, V> LabelCache<K, V> {
    const fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    fn with(&self, labels: K, look_up: impl FnOnce(K) -> V, count: impl FnOnce(&V)) {
        let mut known = self.0.borrow_mut();
        let at = known.iter().position(|(known, _)| *known == labels).unwrap_or_else(|| {
            known.push((labels, look_up(labels)));
            known.len() - 1
        });
        count(&known[at].1);
    }
}

impl WorkerMetrics {
    pub fn new(shared: Metrics) -> Self {
        Self {
            requests: LabelCache::new(),
            calls: LabelCache::new(),
            overhead: LabelCache::new(),
            received: shared.families().bytes_total.with_label_values(&["in"]),
            sent: shared.families().bytes_total.with_label_values(&["out"]),
            shared,
        }
    }

    /// The metrics that all workers count into.
    pub fn shared(&self) -> &Metrics {
        &self.shared
    }

    pub fn request_began(&self) {
        self.shared.families().in_flight_requests.inc();
    }

    /// `overhead` is the gateway's own part of the time until the response's head.
    pub fn response_began(&self, route: RouteLabel, overhead: Duration) {
        let families = self.shared.families();
        let look_up = |route: RouteLabel| families.overhead_seconds.with_label_values(&[route.word()]);
        self.overhead.with(route, look_up, |histogram| histogram.observe(overhead.as_secs_f64()));
    }

    pub fn request_ended(&self, route: RouteLabel, method: MethodLabel, status: StatusCode, took: Duration) {
        let look_up = |(route, method, status): (RouteLabel, MethodLabel, StatusCode)| {
            let labels = [route.word(), method.word(), status.as_str()];
            let families = self.shared.families();
            let count = families.http_requests_total.with_label_values(&labels);
            (count, families.http_requests_duration_seconds.with_label_values(&labels))
        };
        self.requests.with((route, method, status), look_up, |(count, duration)| {
            count.inc();
            duration.observe(took.as_secs_f64());
        });
        self.shared.families().in_flight_requests.dec();
    }

    pub fn upstream_called(&self, outcome: UpstreamOutcome, took: Duration) {
        let look_up = |outcome: UpstreamOutcome| {
            let (families, labels) = (self.shared.families(), &[outcome.word()]);
            let count = families.upstream_requests_total.with_label_values(labels);
            (count, families.upstream_duration_seconds.with_label_values(labels))
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
