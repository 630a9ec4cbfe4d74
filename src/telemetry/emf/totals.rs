//! The Prometheus metrics that CloudWatch gets, under its names.

use std::collections::BTreeMap;

use jiff::Timestamp;
use prometheus::proto::{Metric, MetricFamily};

use super::distribution::Distribution;
use crate::vocabulary::{
    CacheResult, CacheTier, DeliveryOutcome, RouteLabel, UpstreamOutcome, ValidationOutcome,
};

/// Counters and distributions since the start of the process, and the gauges' current values.
#[derive(Debug, Clone, Default)]
pub(super) struct Totals {
    pub(super) counts: BTreeMap<&'static str, f64>,
    pub(super) distributions: BTreeMap<&'static str, Distribution>,
    pub(super) errors: BTreeMap<String, f64>,
    pub(super) gauges: BTreeMap<&'static str, f64>,
}

impl Totals {
    pub(super) fn of(families: &[MetricFamily]) -> Self {
        let mut totals = Self::default();
        for name in [
            "Requests",
            "AuthCacheHit",
            "AuthCacheMiss",
            "AuthServiceErrors",
            "ProxyAttempts",
            "ProxyFailures",
            "AuditLost",
        ] {
            totals.counts.insert(name, 0.0);
        }
        for family in families {
            let name = family.name().strip_prefix("hokusai_gateway_").unwrap_or_default();
            for metric in family.get_metric() {
                totals.take(name, metric);
            }
        }
        totals
    }

    fn take(&mut self, name: &str, metric: &Metric) {
        let label = |wanted: &str| {
            metric.get_label().iter().find(|label| label.name() == wanted).map_or("", |label| label.value())
        };
        let route = RouteLabel::from_word(label("route"));
        let count = metric.get_counter().get_value();
        match name {
            "http_requests_total" if route != Some(RouteLabel::Open) => self.count("Requests", count),
            // An artifact's transfer takes as long as its bytes do.
            "http_requests_duration_seconds" if route.is_some_and(is_metadata) => {
                self.distribution("LatencyMs").add(metric);
            }
            "overhead_seconds" if route != Some(RouteLabel::Open) => {
                self.distribution("OverheadMs").add(metric);
            }
            "upstream_duration_seconds" => self.distribution("UpstreamLatencyMs").add(metric),
            "auth_cache_requests_total" => {
                let found = CacheResult::from_word(label("result")) != Some(CacheResult::Miss);
                match (CacheTier::from_word(label("tier")), found) {
                    (Some(CacheTier::Memory), true) => self.count("AuthCacheHit", count),
                    (Some(CacheTier::Memory), false) => self.count("AuthCacheMiss", count),
                    // A miss in memory that is found in Redis counts as a hit.
                    (Some(CacheTier::Redis), true) => {
                        self.count("AuthCacheHit", count);
                        self.count("AuthCacheMiss", -count);
                    }
                    _ => {}
                }
            }
            "auth_validations_total" if label("outcome") == ValidationOutcome::Unavailable.word() => {
                self.count("AuthServiceErrors", count);
            }
            "upstream_requests_total" => {
                if let Some(outcome) = UpstreamOutcome::from_word(label("outcome")) {
                    self.upstream_calls(outcome, count);
                }
            }
            "audit_records_total" if label("outcome") != DeliveryOutcome::Ok.word() => {
                self.count("AuditLost", count);
            }
            "denied_total" => *self.errors.entry(label("reason").to_owned()).or_default() += count,
            "upstream_up" => self.gauge("UpstreamUp", metric),
            "upstream_accepts" => self.gauge("UpstreamAccepts", metric),
            "key_file_last_reload_successful" => self.gauge("KeyFileInForce", metric),
            "certificate_expiry_timestamp_seconds" => self.certificate(metric.get_gauge().get_value()),
            "auth_service_up" => self.gauge("AuthUp", metric),
            "redis_up" => self.gauge("RedisUp", metric),
            _ => {}
        }
    }

    fn upstream_calls(&mut self, outcome: UpstreamOutcome, count: f64) {
        if outcome != UpstreamOutcome::ClientAborted {
            self.count("ProxyAttempts", count);
        }
        if outcome.is_failure() {
            self.count("ProxyFailures", count);
        }
        if outcome == UpstreamOutcome::ErrorStatus {
            *self.errors.entry("mlflow_error_status".to_owned()).or_default() += count;
        }
    }

    fn count(&mut self, name: &'static str, more: f64) {
        *self.counts.entry(name).or_default() += more;
    }

    fn gauge(&mut self, name: &'static str, metric: &Metric) {
        self.gauges.insert(name, metric.get_gauge().get_value());
    }

    /// Days until the first certificate expires.
    fn certificate(&mut self, ends: f64) {
        let days = (ends - Timestamp::now().as_second() as f64) / 86_400.0;
        let first = self.gauges.entry("CertificateDays").or_insert(days);
        *first = first.min(days);
    }

    fn distribution(&mut self, name: &'static str) -> &mut Distribution {
        self.distributions.entry(name).or_default()
    }
}

fn is_metadata(route: RouteLabel) -> bool {
    match route {
        RouteLabel::Class(class) => !class.moves_artifacts(),
        RouteLabel::Open => false,
        RouteLabel::Unknown => true,
    }
}
