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
    metrics.key_file_read(false);
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
