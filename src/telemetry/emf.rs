//! CloudWatch's Embedded Metric Format: lines on standard output from which CloudWatch makes metrics by itself
//! (docs.aws.amazon.com, AmazonCloudWatch, "Specification: Embedded metric format").
//!
//! Made of what Prometheus is told, once a minute, as the difference to the minute before.

use std::collections::BTreeMap;

use jiff::Timestamp;
use prometheus::proto::{Metric, MetricFamily};
use serde_json::{Map, Value, json};
use tokio::{
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval},
};

use super::{Lines, Metrics};
use crate::settings::Telemetry;

const NAMESPACE: &str = "Hokusai/Gateway";
/// Routes whose time is that of artifacts, and says nothing of metadata.
const ARTIFACTS: [&str; 2] = ["artifact_read", "artifact_write"];
/// How calls of MLflow fail; a client that goes away is none of its failures.
const FAILURES: [&str; 5] = ["error_status", "connect", "timeout", "reset", "protocol"];

/// Asks for what is still to be told, and is answered when it is.
pub(crate) type LastLines = mpsc::Sender<oneshot::Sender<()>>;

/// The actor that writes them. Never returns.
pub(crate) async fn run(
    settings: Telemetry,
    metrics: Metrics,
    out: Lines,
    mut last: mpsc::Receiver<oneshot::Sender<()>>,
) {
    let mut emf = Emf::new(&settings, Totals::of(&metrics.gather()));
    let mut ticks = interval(settings.emf_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        let ending = tokio::select! {
            _ = ticks.tick() => None,
            Some(ending) = last.recv() => Some(ending),
        };
        for line in emf.lines(Timestamp::now(), Totals::of(&metrics.gather())) {
            out.add(line.as_bytes());
        }
        if let Some(ending) = ending {
            let _ = ending.send(());
        }
    }
}

/// What a minute is told by.
struct Emf {
    service: String,
    env: String,
    before: Totals,
}

/// Counters and distributions since the start of the process, and gauges as they are.
#[derive(Debug, Clone, Default)]
struct Totals {
    counts: BTreeMap<&'static str, f64>,
    distributions: BTreeMap<&'static str, Distribution>,
    errors: BTreeMap<String, f64>,
    gauges: BTreeMap<&'static str, f64>,
}

#[derive(Debug, Clone, Default)]
struct Distribution {
    /// Bounds in milliseconds, and how many values are not above them.
    buckets: Vec<(f64, f64)>,
    count: f64,
    sum: f64,
}

impl Emf {
    fn new(settings: &Telemetry, before: Totals) -> Self {
        Self { service: settings.service.clone(), env: settings.env.clone(), before }
    }

    /// A line for all that has no class, and one for each class of errors.
    fn lines(&mut self, now: Timestamp, totals: Totals) -> Vec<String> {
        let before = std::mem::replace(&mut self.before, totals.clone());
        let mut metrics = Map::new();
        let mut units = Vec::new();
        for (name, total) in &totals.counts {
            units.push((*name, "Count"));
            metrics.insert(
                (*name).to_owned(),
                rounded(total - before.counts.get(name).copied().unwrap_or_default()),
            );
        }
        for (name, distribution) in &totals.distributions {
            if let Some(values) = distribution.since(before.distributions.get(name)) {
                units.push((*name, "Milliseconds"));
                metrics.insert((*name).to_owned(), values);
            }
        }
        for (name, value) in &totals.gauges {
            units.push((*name, "None"));
            metrics.insert((*name).to_owned(), rounded(*value));
        }
        units.push(("Heartbeat", "Count"));
        metrics.insert("Heartbeat".to_owned(), 1.into());
        let mut lines = vec![self.line(now, &units, metrics, None)];
        for (class, total) in &totals.errors {
            let count = total - before.errors.get(class).copied().unwrap_or_default();
            if count > 0.0 {
                let errors = Map::from_iter([("Errors".to_owned(), rounded(count))]);
                lines.push(self.line(now, &[("Errors", "Count")], errors, Some(class)));
            }
        }
        lines
    }

    fn line(
        &self,
        now: Timestamp,
        units: &[(&str, &str)],
        metrics: Map<String, Value>,
        class: Option<&str>,
    ) -> String {
        let mut dimensions = vec!["Service", "Env"];
        dimensions.extend(class.map(|_| "ErrorClass"));
        let definitions: Vec<Value> =
            units.iter().map(|(name, unit)| json!({ "Name": name, "Unit": unit })).collect();
        let mut line = Map::new();
        let directive = json!({ "Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": definitions });
        line.insert(
            "_aws".to_owned(),
            json!({ "Timestamp": now.as_millisecond(), "CloudWatchMetrics": [directive] }),
        );
        line.insert("Service".to_owned(), self.service.as_str().into());
        line.insert("Env".to_owned(), self.env.as_str().into());
        if let Some(class) = class {
            line.insert("ErrorClass".to_owned(), class.into());
        }
        line.extend(metrics);
        format!("{}\n", Value::Object(line))
    }
}

impl Totals {
    fn of(families: &[MetricFamily]) -> Self {
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
        let count = metric.get_counter().get_value();
        match name {
            "http_requests_total" if label("route") != "open" => self.count("Requests", count),
            "http_requests_duration_seconds"
                if label("route") != "open" && !ARTIFACTS.contains(&label("route")) =>
            {
                self.distribute("LatencyMs", metric);
            }
            "overhead_seconds" if label("route") != "open" => self.distribute("OverheadMs", metric),
            "upstream_duration_seconds" => self.distribute("UpstreamLatencyMs", metric),
            "auth_cache_requests_total" => match (label("tier"), label("result")) {
                ("memory", "hit" | "negative" | "stale") => self.count("AuthCacheHit", count),
                ("memory", _) => self.count("AuthCacheMiss", count),
                // What memory missed and Redis had is a hit after all.
                (_, "hit" | "negative" | "stale") => {
                    self.count("AuthCacheHit", count);
                    self.count("AuthCacheMiss", -count);
                }
                _ => {}
            },
            "auth_validations_total" if label("outcome") == "unavailable" => {
                self.count("AuthServiceErrors", count)
            }
            "upstream_requests_total" if label("outcome") != "client_aborted" => {
                self.count("ProxyAttempts", count);
                if FAILURES.contains(&label("outcome")) {
                    self.count("ProxyFailures", count);
                }
                if label("outcome") == "error_status" {
                    *self.errors.entry("mlflow_error_status".to_owned()).or_default() += count;
                }
            }
            "audit_records_total" if label("outcome") != "ok" => self.count("AuditLost", count),
            "denied_total" => *self.errors.entry(label("reason").to_owned()).or_default() += count,
            "upstream_up" => self.gauge("UpstreamUp", metric),
            "upstream_accepts" => self.gauge("UpstreamAccepts", metric),
            "certificate_expiry_timestamp_seconds" => self.certificate(metric.get_gauge().get_value()),
            "auth_service_up" => self.gauge("AuthUp", metric),
            "redis_up" => self.gauge("RedisUp", metric),
            _ => {}
        }
    }

    fn count(&mut self, name: &'static str, more: f64) {
        *self.counts.entry(name).or_default() += more;
    }

    fn gauge(&mut self, name: &'static str, metric: &Metric) {
        self.gauges.insert(name, metric.get_gauge().get_value());
    }

    /// Days that are left to the first one to end, as the time is now.
    fn certificate(&mut self, ends: f64) {
        let days = (ends - Timestamp::now().as_second() as f64) / 86_400.0;
        let first = self.gauges.entry("CertificateDays").or_insert(days);
        *first = first.min(days);
    }

    fn distribute(&mut self, name: &'static str, metric: &Metric) {
        let histogram = metric.get_histogram();
        let distribution = self.distributions.entry(name).or_default();
        distribution.count += histogram.get_sample_count() as f64;
        distribution.sum += histogram.get_sample_sum() * 1e3;
        for (at, bucket) in histogram.get_bucket().iter().enumerate() {
            let (bound, count) = (bucket.upper_bound() * 1e3, bucket.cumulative_count() as f64);
            match distribution.buckets.get_mut(at) {
                Some((_, total)) => *total += count,
                None => distribution.buckets.push((bound, count)),
            }
        }
    }
}

impl Distribution {
    /// What came since, each value as the bound that it is not above; `None` if nothing did.
    fn since(&self, before: Option<&Self>) -> Option<Value> {
        let nothing = Self::default();
        let before = before.unwrap_or(&nothing);
        let (mut values, mut counts, mut below) = (Vec::new(), Vec::new(), 0.0);
        let last = self.buckets.last().map_or(0.0, |(bound, _)| *bound);
        let all = self.buckets.iter().enumerate().map(|(at, (bound, count))| {
            (*bound, count - before.buckets.get(at).map_or(0.0, |(_, count)| *count))
        });
        for (bound, cumulative) in
            all.chain([(last * 2.0, self.count - before.count)]).filter(|(bound, _)| bound.is_finite())
        {
            if cumulative > below {
                values.push(rounded(bound));
                counts.push(rounded(cumulative - below));
                below = cumulative;
            }
        }
        let (min, max) = (values.first()?.clone(), values.last()?.clone());
        Some(json!({
            "Values": values, "Counts": counts,
            "Min": min, "Max": max, "Count": rounded(below), "Sum": rounded(self.sum - before.sum),
        }))
    }
}

/// Whole where it is whole, else to three places.
fn rounded(number: f64) -> Value {
    if number.fract() == 0.0 { (number as i64).into() } else { ((number * 1e3).round() / 1e3).into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Series;
    use crate::{
        settings::Settings,
        telemetry::{Call, Dependency, Lookup, Tier, Validation},
    };
    use actix_web::http::StatusCode;
    use std::time::Duration;

    fn emf(metrics: &Metrics) -> Emf {
        let mlflow = ("HOKUSAI__MLFLOW__URL".to_owned(), "http://mlflow".to_owned());
        let settings = Settings::load(None, [mlflow]).unwrap().telemetry;
        Emf::new(&settings, Totals::of(&metrics.gather()))
    }

    fn told(emf: &mut Emf, metrics: &Metrics) -> Vec<Value> {
        let lines = emf.lines(Timestamp::UNIX_EPOCH, Totals::of(&metrics.gather()));
        assert!(lines.iter().all(|line| line.len() < 16 * 1024));
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_minute_is_the_difference_to_the_minute_before() {
        let metrics = Metrics::new().unwrap();
        let series = Series::new(metrics.clone());
        let request = |route: &'static str, milliseconds: u64| {
            series.request_began();
            series.request_ended(route, "GET", StatusCode::OK, Duration::from_millis(milliseconds));
        };
        request("read", 3);
        let mut emf = emf(&metrics);
        request("read", 3);
        request("write", 3);
        request("read", 700);
        request("artifact_read", 90_000);
        request("open", 1);
        series.upstream_called(Call::Ok, Duration::from_millis(2));
        series.upstream_called(Call::Reset, Duration::from_millis(2));
        series.upstream_called(Call::ClientAborted, Duration::from_millis(2));
        metrics.key_looked_up(Tier::Memory, Lookup::Hit);
        metrics.key_looked_up(Tier::Memory, Lookup::Miss);
        metrics.key_looked_up(Tier::Redis, Lookup::Hit);
        metrics.key_validated(Validation::Unavailable, Duration::ZERO);
        metrics.found(Dependency::Upstream, true);
        metrics.accepted_upstream(false);
        let in_days = |days: i64| Timestamp::now().as_second() + days * 86_400 + 3600;
        metrics.certificate_ends("server", in_days(30));
        metrics.certificate_ends("mlflow_client", in_days(3));
        metrics.denied("upstream_unavailable");
        let lines = told(&mut emf, &metrics);
        for (name, expected) in [
            ("Requests", json!(4)),
            ("AuthCacheHit", json!(2)),
            ("AuthCacheMiss", json!(0)),
            ("AuthServiceErrors", json!(1)),
            ("ProxyAttempts", json!(2)),
            ("ProxyFailures", json!(1)),
            ("UpstreamUp", json!(1)),
            ("UpstreamAccepts", json!(0)),
            ("AuthUp", json!(0)),
            ("RedisUp", Value::Null),
            ("Heartbeat", json!(1)),
            (
                "LatencyMs",
                json!({"Values": [5, 1000], "Counts": [2, 1], "Min": 5, "Max": 1000, "Count": 3, "Sum": 706}),
            ),
        ] {
            assert_eq!(lines[0][name], expected, "{name}");
        }
        assert_eq!(
            (&lines[1]["ErrorClass"], &lines[1]["Errors"]),
            (&json!("upstream_unavailable"), &json!(1))
        );
        assert_eq!(lines.len(), 2);

        let days = lines[0]["CertificateDays"].as_f64().unwrap();
        assert!((3.0..3.1).contains(&days), "{days}");

        let quiet = told(&mut emf, &metrics);
        assert_eq!(quiet.len(), 1);
        assert_eq!((&quiet[0]["Requests"], &quiet[0]["LatencyMs"]), (&json!(0), &Value::Null));
    }

    #[test]
    fn what_is_above_every_bound_is_told_as_well() {
        let metrics = Metrics::new().unwrap();
        let series = Series::new(metrics.clone());
        let mut emf = emf(&metrics);
        series.answered("read", Duration::from_secs(60));
        assert_eq!(told(&mut emf, &metrics)[0]["OverheadMs"]["Values"], json!([2000]));
    }
}
