//! The table of the gateway's families, and how they are made and registered.

use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    core::Collector,
};

type Made<T> = Result<T, prometheus::Error>;

/// Fields with the names of their families; the comment is the family's help text, the function makes it.
macro_rules! families {
    ($(#[doc = $help:literal] $name:ident: $kind:ident = $make:ident($($more:expr),*);)+) => {
        #[derive(Debug)]
        pub(super) struct Families { $(#[doc = $help] pub(super) $name: $kind),+ }

        impl Families {
            pub(super) fn register(to: &Registry) -> Made<Self> {
                Ok(Self { $($name: $make(to, stringify!($name), $help.trim_start() $(, $more)*)?),+ })
            }
        }
    };
}

families! {
    /// Always 1: its labels say which build is running.
    build_info: IntGaugeVec = gauges(&["version", "git_sha"]);
    /// Connections that were closed, or not accepted, because there were too many.
    connections_dropped_total: IntCounter = counter();
    /// Unix time at which a certificate that the gateway presents, or an authority that it trusts, expires.
    certificate_expiry_timestamp_seconds: IntGaugeVec = gauges(&["certificate"]);
    /// Requests that ended in a panic of the gateway: each is a bug.
    panics_total: IntCounter = counter();

    /// Requests that have ended, by the class of their route, method and status.
    http_requests_total: IntCounterVec = counters(&["route", "method", "status"]);
    /// Seconds from a request's head to the last byte of its response.
    http_requests_duration_seconds: HistogramVec = histograms(&["route", "method", "status"], REQUEST_BUCKETS);
    /// Seconds of the gateway's own work until the response's head: without MLflow, the auth service and the client's body.
    overhead_seconds: HistogramVec = histograms(&["route"], OVERHEAD_BUCKETS);
    /// Requests in progress.
    in_flight_requests: IntGauge = gauge();
    /// Bytes of bodies: in from clients, out to clients.
    bytes_total: IntCounterVec = counters(&["direction"]);
    /// Requests that the gateway refused, or could not get MLflow's response for, by reason.
    denied_total: IntCounterVec = counters(&["reason"]);
    /// Requests over a limit of their key, by limit, and whether it is enforced or only reported.
    limits_exceeded_total: IntCounterVec = counters(&["limit", "mode"]);

    /// Calls to MLflow for clients' requests, by outcome.
    upstream_requests_total: IntCounterVec = counters(&["outcome"]);
    /// Seconds from a call to MLflow to the head of its response, or to its failure.
    upstream_duration_seconds: HistogramVec = histograms(&["outcome"], REQUEST_BUCKETS);
    /// 1 if MLflow was reached by the last probe, else 0.
    upstream_up: IntGaugeVec = gauges(&[]);
    /// 1 if MLflow answered the gateway's own API calls as it should, else 0.
    upstream_accepts: IntGaugeVec = gauges(&[]);
    /// 1 if the last call to the auth service got a verdict, else 0.
    auth_service_up: IntGaugeVec = gauges(&[]);
    /// 1 if Redis did what the gateway needs when it was last used or tested, else 0.
    redis_up: IntGaugeVec = gauges(&[]);

    /// Lookups of keys in the caches of the auth service's verdicts, by cache and result.
    auth_cache_requests_total: IntCounterVec = counters(&["tier", "result"]);
    /// Keys that the auth service was asked about, by outcome.
    auth_validations_total: IntCounterVec = counters(&["outcome"]);
    /// Seconds that the auth service took for a key, by outcome.
    auth_validation_duration_seconds: HistogramVec = histograms(&["outcome"], VALIDATION_BUCKETS);
    /// Unix time at which the keys in use were read from the key file.
    key_file_loaded_timestamp_seconds: IntGaugeVec = gauges(&[]);
    /// 1 if the last reload of the key file succeeded; 0 if it failed and the previous keys stay in use.
    key_file_last_reload_successful: IntGaugeVec = gauges(&[]);

    /// Questions whose a thing is that a request changes, by result.
    ownership_lookups_total: IntCounterVec = counters(&["result"]);

    /// Requests whose usage was to be reported to the auth service, by outcome.
    usage_reports_total: IntCounterVec = counters(&["outcome"]);
    /// Records for the audit stream, by outcome.
    audit_records_total: IntCounterVec = counters(&["outcome"]);
    /// Spans for the trace collector, by outcome.
    trace_spans_total: IntCounterVec = counters(&["outcome"]);
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

fn counter(to: &Registry, name: &str, help: &str) -> Made<IntCounter> {
    registered(to, IntCounter::new(name, help)?)
}

fn counters(to: &Registry, name: &str, help: &str, labels: &[&str]) -> Made<IntCounterVec> {
    registered(to, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn gauge(to: &Registry, name: &str, help: &str) -> Made<IntGauge> {
    registered(to, IntGauge::new(name, help)?)
}

/// Without a label: a gauge that is not there until it is first set.
fn gauges(to: &Registry, name: &str, help: &str, labels: &[&str]) -> Made<IntGaugeVec> {
    registered(to, IntGaugeVec::new(Opts::new(name, help), labels)?)
}

fn histograms(to: &Registry, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> Made<HistogramVec> {
    registered(to, HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?)
}

fn registered<T: Collector + Clone + 'static>(to: &Registry, family: T) -> Made<T> {
    to.register(Box::new(family.clone()))?;
    Ok(family)
}
