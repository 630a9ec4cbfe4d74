//! Spans for a collector of traces, of a whole process: its tracer is one for all that it serves.

use std::{collections::BTreeSet, fs, net::TcpListener};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{ResourceSpans, Span, span::SpanKind, status::StatusCode},
};
use prost::Message as _;
use secrecy::ExposeSecret as _;

use crate::support::{Server, ask, eventually, gateway::create_key, process::Process, server::Answer};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT: &str = "00f067aa0ba902b7";

fn resources(collector: &Server) -> Vec<ResourceSpans> {
    let bodies = collector.requests().into_iter().map(|request| request.body);
    bodies.flat_map(|body| ExportTraceServiceRequest::decode(&*body).unwrap().resource_spans).collect()
}

/// The spans that a collector was sent.
fn spans(collector: &Server) -> Vec<Span> {
    resources(collector).into_iter().flat_map(|of| of.scope_spans).flat_map(|of| of.spans).collect()
}

/// The only one of this name.
fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut named = spans.iter().filter(|span| span.name == name);
    let found = named.next().unwrap_or_else(|| panic!("no {name}: {spans:#?}"));
    assert!(named.next().is_none(), "{name}: {spans:#?}");
    found
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    Some(match found.value.clone()?.value? {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

fn keys(attributes: &[KeyValue]) -> BTreeSet<&str> {
    attributes.iter().map(|attribute| &*attribute.key).collect()
}

fn status(span: &Span) -> StatusCode {
    span.status.as_ref().map_or(StatusCode::Unset, |status| status.code())
}

fn get(key: &str, target: &str, rest: &str) -> String {
    format!("GET /api/2.0/mlflow/{target} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n{rest}\r\n")
}

fn traceparent(flags: &str) -> String {
    format!("traceparent: 00-{TRACE}-{CLIENT}-{flags}\r\n")
}

/// How many spans came to this end.
async fn counted(gateway: &Process, outcome: &str) -> u64 {
    let metrics = ask(gateway.metrics_address.unwrap(), "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let name = format!("hokusai_gateway_trace_spans_total{{outcome=\"{outcome}\"}} ");
    let value = metrics.text().lines().find_map(|line| line.strip_prefix(&name)?.parse().ok());
    value.unwrap_or_default()
}

#[actix_web::test]
async fn each_sampled_request_is_a_span_between_the_clients_and_mlflows() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let collector = Server::start(|_| Answer::bytes("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(&folder.path().join("keys.toml"), "ada", None).key.expose_secret().to_owned();
    let endpoint = format!("{}/base", collector.url());
    let settings = [("MLFLOW_SERVER_URL", &*mlflow.url()), ("HOKUSAI__TELEMETRY__OTLP_ENDPOINT", &endpoint)];
    let gateway = Process::serve(folder.path(), &settings);
    ask(gateway.address, "GET /live HTTP/1.1\r\nhost: a\r\n\r\n").await;
    for (flags, target) in [("01", "runs/get"), ("00", "runs/get"), ("01", "secrets")] {
        let mine = format!("{}x-request-id: mine\r\n", traceparent(flags));
        ask(gateway.address, get(&key, &format!("{target}?token={key}"), &mine)).await;
    }
    eventually("the spans are there", async || spans(&collector).len() >= 3).await;
    let seen = &collector.requests()[0];
    assert_eq!(
        (seen.target(), seen.header("content-type")),
        ("/base/v1/traces", Some("application/x-protobuf"))
    );
    assert!(!String::from_utf8_lossy(&seen.body).contains(&key));
    let resource = resources(&collector)[0].resource.clone().unwrap().attributes;
    for (key, is) in [
        ("service.name", "hokusai-gateway"),
        ("service.version", hokusai_gateway::VERSION),
        ("deployment.environment.name", "production"),
    ] {
        assert_eq!(text(&resource, key).as_deref(), Some(is));
    }

    let spans = spans(&collector);
    assert_eq!(spans.len(), 3, "neither what is not sampled nor /live is sent: {spans:#?}");
    let (span, call, refused) =
        (named(&spans, "GET read"), named(&spans, "MLflow"), named(&spans, "GET unknown"));
    assert_eq!(
        (hex::encode(&span.trace_id), hex::encode(&span.parent_span_id)),
        (TRACE.into(), CLIENT.into())
    );
    assert_eq!((span.kind, call.kind), (SpanKind::Server as i32, SpanKind::Client as i32));
    assert_eq!((&call.trace_id, &call.parent_span_id), (&span.trace_id, &span.span_id));
    assert!(span.start_time_unix_nano <= call.start_time_unix_nano);
    assert!(call.start_time_unix_nano < call.end_time_unix_nano);
    assert!(call.end_time_unix_nano <= span.end_time_unix_nano);
    // MLflow's parent is the call that is exported, and what is not sampled says so.
    let parents: Vec<String> =
        mlflow.requests().iter().map(|request| request.header("traceparent").unwrap().to_owned()).collect();
    assert_eq!(parents[0], format!("00-{TRACE}-{}-01", hex::encode(&call.span_id)));
    assert!(parents[1].starts_with(&format!("00-{TRACE}-")) && parents[1].ends_with("-00"), "{parents:?}");
    for (span, status, error) in [(span, "200", None), (refused, "404", Some("route_unknown"))] {
        assert_eq!(text(&span.attributes, "http.request.method").as_deref(), Some("GET"));
        assert_eq!(text(&span.attributes, "http.response.status_code").as_deref(), Some(status));
        assert_eq!(text(&span.attributes, "hokusai.request_id").as_deref(), Some("mine"));
        assert_eq!(text(&span.attributes, "error.type").as_deref(), error);
    }
    assert_eq!(text(&span.attributes, "http.route").as_deref(), Some("read"));
    // Nothing of what a client sends, but its id.
    let told = ["hokusai.request_id", "http.request.method", "http.response.status_code", "http.route"];
    assert_eq!((keys(&span.attributes), keys(&call.attributes)), (told.into(), BTreeSet::new()));
    assert_eq!(counted(&gateway, "ok").await, 3);
}

#[actix_web::test]
async fn the_validation_and_redis_are_spans_below_the_requests_that_failed_are_marked_and_a_drain_sends_all()
{
    let mlflow = Server::start(|_| Answer::Close).await;
    let auth = Server::start(|_| {
        Answer::ok(r#"{"is_valid": true, "key_id": "k-7", "user_id": "u-7", "scopes": ["mlflow:read"]}"#)
    })
    .await;
    let collector = Server::start(|_| Answer::bytes("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    // Connections are made, and nobody answers.
    let redis = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        ("MLFLOW_SERVER_URL", &*mlflow.url()),
        ("HOKUSAI_AUTH_SERVICE_URL", &auth.url()),
        ("HOKUSAI__REDIS__URL", &format!("redis://{}", redis.local_addr().unwrap())),
        ("HOKUSAI__LIMITS__MODE", "off"),
        ("HOKUSAI__TELEMETRY__OTLP_ENDPOINT", &collector.url()),
        // No filter of the log decides about spans.
        ("HOKUSAI__TELEMETRY__FILTER", "error,hokusai_gateway=info"),
    ];
    let mut gateway = Process::serve(folder.path(), &settings);
    assert_eq!(ask(gateway.address, get("some-key", "runs/get", "x-request-id: mine\r\n")).await.status, 502);
    gateway.terminate();
    // Not here, where the collector runs.
    actix_web::web::block(move || gateway.wait()).await.unwrap();
    let spans = spans(&collector);
    let request = named(&spans, "GET read");
    assert!(request.parent_span_id.is_empty());
    assert_eq!(status(request), StatusCode::Error);
    let calls: Vec<_> = spans.iter().filter(|span| span.name != "GET read").collect();
    for call in &calls {
        assert_eq!((&call.trace_id, &call.parent_span_id), (&request.trace_id, &request.span_id), "{call:?}");
        assert_eq!(call.kind, SpanKind::Client as i32, "{call:?}");
    }
    assert!(spans.iter().all(|span| span.events.is_empty()), "events name users: {spans:#?}");
    // What Redis is told, and no request waits for, may be cut short.
    for (name, is) in
        [("validation", StatusCode::Unset), ("MLflow", StatusCode::Error), ("Redis", StatusCode::Error)]
    {
        let is_there = calls.iter().any(|call| call.name == name && status(call) == is);
        assert!(is_there, "no {name}: {spans:#?}");
    }
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(log.contains(&hex::encode(&request.trace_id)), "the request's line has another trace: {log}");
    let event = log.lines().find(|line| line.contains("request failed")).unwrap();
    assert!(event.contains(r#""request_id":"mine""#), "{event}");
}

#[actix_web::test]
async fn only_what_failed_is_marked_and_a_tracestate_goes_on_only_behind_one_valid_traceparent() {
    let mlflow = Server::start(|request| match request.target().contains("?fail") {
        true => Answer::json(500, "{}"),
        false => Answer::ok("{}"),
    })
    .await;
    let auth = Server::start(|request| match request.header("authorization") {
        Some("Bearer good") => {
            Answer::ok(r#"{"is_valid": true, "key_id": "k-7", "scopes": ["mlflow:read"]}"#)
        }
        Some("Bearer refused") => Answer::ok(r#"{"is_valid": false}"#),
        _ => Answer::page(500),
    })
    .await;
    let collector = Server::start(|_| Answer::bytes("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        ("MLFLOW_SERVER_URL", &*mlflow.url()),
        ("HOKUSAI_AUTH_SERVICE_URL", &auth.url()),
        ("HOKUSAI__TELEMETRY__OTLP_ENDPOINT", &collector.url()),
    ];
    let gateway = Process::serve(folder.path(), &settings);
    let one = traceparent("01");
    let (two, bad) = (one.repeat(2), one.replace("00-", "ff-"));
    for (key, target, trace) in [
        ("good", "runs/get", &*one),
        ("good", "runs/get?fail", &two),
        ("refused", "runs/get", &bad),
        ("unlucky", "runs/get", ""),
    ] {
        let rest = format!("{trace}tracestate: a=1\r\ntracestate: b=2\r\n");
        ask(gateway.address, get(key, target, &rest)).await;
    }
    let of_mlflow = mlflow.requests();
    let sent: Vec<_> = of_mlflow
        .iter()
        .map(|request| (request.all("tracestate").collect(), request.all("traceparent").count()))
        .collect();
    assert_eq!(sent, [(vec!["a=1,b=2"], 1), (vec![], 1)]);
    assert!(!of_mlflow[1].header("traceparent").unwrap().contains(TRACE), "{:?}", of_mlflow[1]);
    eventually("the spans are there", async || spans(&collector).len() >= 9).await;
    let mut spans = spans(&collector);
    spans.sort_by_key(|span| span.start_time_unix_nano);
    let (unset, error) = (StatusCode::Unset, StatusCode::Error);
    for (name, expected) in [
        ("GET read", &[unset, error, unset, error][..]),
        ("validation", &[unset, unset, error]),
        ("MLflow", &[unset, error]),
    ] {
        let found: Vec<_> = spans.iter().filter(|span| span.name == name).map(status).collect();
        assert_eq!(found, expected, "{name}: {spans:#?}");
    }
}

#[actix_web::test]
async fn a_collector_that_is_gone_silent_or_refuses_holds_no_request_up() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let silent = Server::start(|_| Answer::Silence).await;
    let refuses = Server::start(|_| Answer::page(500)).await;
    for collector in ["http://127.0.0.1:1", &silent.url(), &refuses.url()] {
        let folder = tempfile::tempdir().unwrap();
        let key = create_key(&folder.path().join("keys.toml"), "ada", None).key.expose_secret().to_owned();
        let settings =
            [("MLFLOW_SERVER_URL", &*mlflow.url()), ("HOKUSAI__TELEMETRY__OTLP_ENDPOINT", collector)];
        let gateway = Process::serve(folder.path(), &settings);
        assert_eq!(ask(gateway.address, get(&key, "runs/get", "")).await.status, 200);
        let is_under_way = async || counted(&gateway, "failed").await >= 1 || silent.begun() == 1;
        eventually("they are being sent", is_under_way).await;
        for _ in 0..100 {
            assert_eq!(ask(gateway.address, get(&key, "runs/get", "")).await.status, 200);
        }
        eventually("they are counted", async || counted(&gateway, "failed").await >= 1).await;
    }
}

#[actix_web::test]
async fn each_question_whose_a_thing_is_is_a_span_of_the_request_that_asks() {
    let mlflow = Server::start(|request| match request.target() {
        target if target.contains("/runs/get") => {
            Answer::ok(r#"{"run": {"info": {"run_id": "a", "experiment_id": "1"}}}"#)
        }
        target if target.contains("/experiments/get") => {
            Answer::ok(r#"{"experiment": {"experiment_id": "1"}}"#)
        }
        _ => Answer::ok("{}"),
    })
    .await;
    let collector = Server::start(|_| Answer::bytes("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(&folder.path().join("keys.toml"), "ada", None).key.expose_secret().to_owned();
    let settings = [
        ("MLFLOW_SERVER_URL", &*mlflow.url()),
        ("HOKUSAI__TELEMETRY__OTLP_ENDPOINT", &collector.url()),
        ("HOKUSAI__POLICY__OWNERSHIP", "enforce"),
    ];
    let gateway = Process::serve(folder.path(), &settings);
    let body = r#"{"run_id": "a", "key": "k", "value": 1}"#;
    let change = format!(
        "POST /api/2.0/mlflow/runs/log-metric HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n{}\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        traceparent("01"),
        body.len()
    );
    assert_eq!(ask(gateway.address, change).await.status, 200);
    eventually("the spans are there", async || spans(&collector).len() >= 4).await;
    let spans = spans(&collector);
    let request = named(&spans, "POST write");
    let calls: Vec<_> = spans.iter().filter(|span| span.name == "MLflow").collect();
    assert_eq!(calls.len(), 3, "{spans:#?}");
    assert!(calls.iter().all(|call| call.parent_span_id == request.span_id), "{spans:#?}");
}
