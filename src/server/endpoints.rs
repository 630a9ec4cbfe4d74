//! What actix-web-prom counts: the gateway's own endpoints, by their pattern. MLflow's routes are counted by their class.

use std::{collections::HashMap, io};

use actix_web_prom::{ActixMetricsConfiguration, PrometheusMetrics, PrometheusMetricsBuilder};

use crate::telemetry::Metrics;

/// Where Prometheus asks, on the management listener.
pub(super) const METRICS: &str = "/metrics";

/// On which of the two listeners an endpoint is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Listener {
    Main,
    Management,
}

/// The middleware for the endpoints of one listener; once for each listener of a process. Put it around a route, whose
/// guard bounds the methods, and never around the application: it would count every path and method that a client thinks of.
///
/// # Errors
/// Families that are registered already.
pub(crate) fn endpoint_metrics(metrics: &Metrics, listener: Listener) -> io::Result<PrometheusMetrics> {
    let names = ActixMetricsConfiguration::default()
        .http_requests_total_name("endpoint_requests_total")
        .http_requests_duration_seconds_name("endpoint_requests_duration_seconds");
    // The registry sets the prefix.
    let builder = PrometheusMetricsBuilder::new("")
        .registry(metrics.registry().clone())
        .metrics_configuration(names)
        .mask_unmatched_patterns("unmatched");
    let builder = match listener {
        Listener::Main => builder.const_labels(label("main")),
        Listener::Management => builder.const_labels(label("management")).endpoint(METRICS),
    };
    builder.build().map_err(io::Error::other)
}

fn label(listener: &str) -> HashMap<String, String> {
    HashMap::from([("listener".to_owned(), listener.to_owned())])
}
