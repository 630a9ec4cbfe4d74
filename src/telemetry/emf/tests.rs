use super::*;
use std::time::Duration;

use actix_web::http::StatusCode;

use crate::{
    settings::Settings,
    telemetry::{Dependency, WorkerMetrics},
    vocabulary::{
        CacheResult, CacheTier, MethodLabel, Reason, RouteClass, RouteLabel, UpstreamOutcome,
        ValidationOutcome,
    },
};

fn emf(metrics: &Metrics) -> Emf {
    let mlflow = ("HOKUSAI__MLFLOW__URL".to_owned(), "http://mlflow".to_owned());
    let settings = Settings::load(None, [mlflow]).unwrap().telemetry;
    Emf::new(&settings, Totals::of(&metrics.gather()))
}

fn written(emf: &mut Emf, metrics: &Metrics) -> Vec<Value> {
    let lines = emf.lines(Timestamp::UNIX_EPOCH, Totals::of(&metrics.gather()));
    assert!(lines.iter().all(|line| line.len() < 16 * 1024));
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_minute_is_the_difference_to_the_minute_before() {
    let metrics = Metrics::new().unwrap();
    let worker = WorkerMetrics::new(metrics.clone());
    let request = |route: RouteLabel, milliseconds: u64| {
        worker.request_began();
        worker.request_ended(route, MethodLabel::Get, StatusCode::OK, Duration::from_millis(milliseconds));
    };
    request(RouteClass::Read.into(), 3);
    let mut emf = emf(&metrics);
    request(RouteClass::Read.into(), 3);
    request(RouteClass::Write.into(), 3);
    request(RouteClass::Read.into(), 700);
    request(RouteClass::ArtifactRead.into(), 90_000);
    request(RouteLabel::Open, 1);
    worker.upstream_called(UpstreamOutcome::Ok, Duration::from_millis(2));
    worker.upstream_called(UpstreamOutcome::Reset, Duration::from_millis(2));
    worker.upstream_called(UpstreamOutcome::ClientAborted, Duration::from_millis(2));
    metrics.key_looked_up(CacheTier::Memory, CacheResult::Hit);
    metrics.key_looked_up(CacheTier::Memory, CacheResult::Miss);
    metrics.key_looked_up(CacheTier::Redis, CacheResult::Hit);
    metrics.key_validated(ValidationOutcome::Unavailable, Duration::ZERO);
    metrics.set_dependency_up(Dependency::Upstream, true);
    metrics.set_upstream_accepts(false);
    metrics.key_file_reloaded(false);
    let in_days = |days: i64| Timestamp::now().as_second() + days * 86_400 + 3600;
    metrics.set_certificate_expiry("server", in_days(30));
    metrics.set_certificate_expiry("mlflow_client", in_days(3));
    metrics.denied(Reason::UpstreamUnavailable);
    let lines = written(&mut emf, &metrics);
    for (name, expected) in [
        ("Requests", json!(4)),
        ("AuthCacheHit", json!(2)),
        ("AuthCacheMiss", json!(0)),
        ("AuthServiceErrors", json!(1)),
        ("ProxyAttempts", json!(2)),
        ("ProxyFailures", json!(1)),
        ("UpstreamUp", json!(1)),
        ("UpstreamAccepts", json!(0)),
        ("KeyFileInForce", json!(0)),
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
    assert_eq!((&lines[1]["ErrorClass"], &lines[1]["Errors"]), (&json!("upstream_unavailable"), &json!(1)));
    assert_eq!(lines.len(), 2);

    let days = lines[0]["CertificateDays"].as_f64().unwrap();
    assert!((3.0..3.1).contains(&days), "{days}");

    let quiet = written(&mut emf, &metrics);
    assert_eq!(quiet.len(), 1);
    assert_eq!((&quiet[0]["Requests"], &quiet[0]["LatencyMs"]), (&json!(0), &Value::Null));
}

#[test]
fn a_value_above_every_bound_counts_too() {
    let metrics = Metrics::new().unwrap();
    let worker = WorkerMetrics::new(metrics.clone());
    let mut emf = emf(&metrics);
    worker.response_began(RouteClass::Read.into(), Duration::from_secs(60));
    assert_eq!(written(&mut emf, &metrics)[0]["OverheadMs"]["Values"], json!([2000]));
}
