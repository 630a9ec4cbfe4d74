//! What a body may change where things have owners: spans, tags, authors, assessments.

mod authors;
mod otlp;

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::KeyValue,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prost::Message as _;
use serde_json::{Value, json};

use crate::support::{
    Gateway, GatewayBuilder, Response, Server, ask,
    client::Connection,
    server::{Answer, Recorded},
};

/// What MLflow has: the experiment 1 is ada's, and 2 is grace's. In them are traces and runs.
const MINE: [u8; 16] = [0x0a; 16];
const HERS: [u8; 16] = [0x0b; 16];
const NEW: [u8; 16] = [0x0c; 16];
const MY_RUN: &str = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";
const HER_RUN: &str = "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b";

fn answer(request: &Recorded) -> Answer {
    let (path, query) = request.target().split_once('?').unwrap_or((request.target(), ""));
    let owner = |id: &str| if id == "1" { "ada" } else { "grace" };
    let experiment_of = |id: &str| match id.trim_start_matches("tr-") {
        id if id.starts_with("0a") => Some("1"),
        id if id.starts_with("0b") => Some("2"),
        _ => None,
    };
    let missing = || Answer::json(404, r#"{"error_code": "RESOURCE_DOES_NOT_EXIST"}"#);
    if !request.line.starts_with("GET ") {
        return Answer::ok("{}");
    }
    let id = query.rsplit_once('=').map_or_else(|| path.rsplit('/').next().unwrap(), |(_, id)| id);
    let answer = match path {
        path if path.ends_with("/experiments/get") => {
            let tags = json!([{"key": "hokusai.owner", "value": owner(id)}]);
            json!({"experiment": {"experiment_id": id, "name": format!("e{id}"), "lifecycle_stage": "active", "tags": tags}})
        }
        path if path.ends_with("/runs/get") => {
            let Some(experiment) = experiment_of(id) else { return missing() };
            json!({"run": {"info": {"run_id": id, "experiment_id": experiment}}})
        }
        path if path.contains("/traces/") => {
            let id = path.trim_end_matches("/info").rsplit('/').next().unwrap();
            let Some(experiment) = experiment_of(id) else { return missing() };
            json!({"trace_info": {"request_id": id, "experiment_id": experiment}})
        }
        path if path.ends_with("/label-schemas/list") => json!({}),
        _ => return missing(),
    };
    Answer::ok(&answer.to_string())
}

async fn gateway(scopes: &[&str]) -> (Server, Gateway) {
    let mlflow = Server::start(answer).await;
    let gateway =
        GatewayBuilder::default().set("POLICY__OWNERSHIP", "enforce").scopes(scopes).start(&mlflow).await;
    (mlflow, gateway)
}

const WRITER: [&str; 3] = ["mlflow:read", "mlflow:write", "mlflow:delete"];

/// The requests that changed something.
fn changes(mlflow: &Server) -> Vec<Recorded> {
    mlflow.requests().into_iter().filter(|request| !request.line.starts_with("GET ")).collect()
}

async fn send(gateway: &Gateway, method: &str, path: &str, fields: &str, body: &[u8]) -> Response {
    let head = gateway.request(method, path, &format!("{fields}content-length: {}\r\n\r\n", body.len()));
    ask(gateway.address, [head.as_bytes(), body].concat()).await
}

async fn post(gateway: &Gateway, path: &str, body: &Value) -> Response {
    send(gateway, "POST", path, "content-type: application/json\r\n", body.to_string().as_bytes()).await
}

fn spans(ids: &[[u8; 16]], attribute: &str) -> Vec<u8> {
    let span = |id: &[u8; 16]| Span {
        trace_id: id.to_vec(),
        span_id: vec![1; 8],
        attributes: vec![KeyValue { key: attribute.to_owned(), ..KeyValue::default() }],
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: ids.iter().map(span).collect(), ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

const PROTOBUF: &str = "content-type: application/x-protobuf\r\nx-mlflow-experiment-id: 1\r\n";
const TRACES: &str = "/v1/traces";

const SET_RUN_TAG: &str = "/api/2.0/mlflow/runs/set-tag";

#[actix_web::test]
async fn a_body_that_names_what_it_changes_may_be_larger_than_others() {
    let (mlflow, gateway) = gateway(&WRITER).await;
    let batch = |bytes: usize| {
        let params: Vec<_> =
            (0..bytes / 6000).map(|at| json!({"key": at.to_string(), "value": "x".repeat(5970)})).collect();
        json!({"run_id": MY_RUN, "params": params})
    };
    for (bytes, status) in [(1_700_000, 200), (4_100_000, 200), (4_400_000, 413)] {
        let response = post(&gateway, "/api/2.0/mlflow/runs/log-batch", &batch(bytes)).await;
        assert_eq!(response.status, status, "{bytes}: {}", response.text());
    }
    assert_eq!(changes(&mlflow).len(), 2);
    // Records are not read.
    let records = json!({"records": "x".repeat(5_000_000)});
    assert_eq!(post(&gateway, "/api/3.0/mlflow/datasets/0a/records", &records).await.status, 200);
}

#[actix_web::test]
async fn a_mutation_of_graphql_is_for_administrators() {
    let mutation = json!({"query": "mutation { a }"});
    for (scopes, body, status) in [
        (&WRITER[..], &mutation, 403),
        (&WRITER, &json!({"query": "{ a }"}), 200),
        (&["mlflow:admin"], &mutation, 200),
    ] {
        let (mlflow, gateway) = gateway(scopes).await;
        let response = post(&gateway, "/graphql", body).await;
        assert_eq!(response.status, status, "{body}: {}", response.text());
        assert_eq!(mlflow.requests().len(), usize::from(status == 200));
    }
}

#[actix_web::test]
async fn the_listing_of_label_schemas_that_creates_one_is_judged_in_query_and_body() {
    let (_mlflow, gateway) = gateway(&WRITER).await;
    let list = "/api/3.0/mlflow/label-schemas/list";
    for method in ["GET", "HEAD"] {
        for (query, body, status) in [
            ("?experiment_id=1", "", 200),
            ("?experiment_id=2", "", 403),
            ("", r#"{"experiment_id": "1"}"#, 200),
            ("", r#"{"experiment_id": "2"}"#, 403),
            ("", r#"{"experimentId": "2"}"#, 403),
            ("?experiment_id=1", r#"{"experiment_id": "2"}"#, 400),
            ("?experiment_id=1&experiment_id=2", "", 400),
            ("", "", 400),
        ] {
            let fields = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
            let path = format!("{list}{query}");
            let length = if body.is_empty() {
                String::new()
            } else {
                format!("content-length: {}\r\n\r\n{body}", body.len())
            };
            let request = gateway.request(method, &path, &format!("{fields}{length}"));
            let response = if method == "HEAD" {
                let mut connection = Connection::open(gateway.address).await;
                connection.send(request).await;
                connection.response(true).await
            } else {
                ask(gateway.address, request).await
            };
            // A HEAD takes no body.
            let status = if method == "HEAD" && !body.is_empty() { 400 } else { status };
            assert_eq!(response.status, status, "{method} {path} {body}");
        }
    }
}

#[actix_web::test]
async fn no_trace_of_the_clients_reaches_mlflow_where_it_calls_a_model() {
    let (mlflow, gateway) = gateway(&["mlflow:gateway_invoke"]).await;
    let fields = format!("traceparent: 00-{}-{}-01\r\ntracestate: a=b\r\n", "0b".repeat(16), "0b".repeat(8));
    let paths = ["openai/v1/chat/completions", "e/mlflow/invocations", "proxy/e/v1/a"]
        .map(|path| format!("/api/mlflow/gateway/{path}"));
    for path in paths {
        let response = send(&gateway, "POST", &path, &fields, b"{}").await;
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        let sent = mlflow.requests().pop().unwrap();
        let is_told = sent.headers.iter().any(|(_, value)| value.contains(&"0b".repeat(16)));
        assert!(!is_told, "{path}: {:?}", sent.headers);
    }
}

#[actix_web::test]
async fn while_ownership_only_reports_every_body_passes_as_it_came() {
    let mlflow = Server::start(answer).await;
    let gateway = GatewayBuilder::default().set("POLICY__OWNERSHIP", "report").start(&mlflow).await;
    let json = "content-type: application/json\r\n";
    let large = json!({"run_id": MY_RUN, "params": [{"key": "a", "value": "x".repeat(5_000_000)}]});
    for (path, fields, body) in [
        (TRACES, PROTOBUF.to_owned(), spans(&[HERS], "mlflow.traceTag.hokusai.user")),
        (TRACES, format!("{PROTOBUF}content-encoding: gzip\r\n"), gzip(&spans(&[HERS], "a"))[4..].to_vec()),
        (TRACES, format!("{PROTOBUF}content-encoding: zstd\r\n"), b"zstd".to_vec()),
        (TRACES, PROTOBUF.to_owned(), vec![0; 5_000_000]),
        (SET_RUN_TAG, json.to_owned(), br#"{"run_id": "a", "runId": "b", "key": "k"}"#.to_vec()),
        (
            SET_RUN_TAG,
            json.to_owned(),
            json!({"run_id": HER_RUN, "key": "mlflow.user"}).to_string().into_bytes(),
        ),
        (SET_RUN_TAG, json.to_owned(), br#"{"run_id": 7}"#.to_vec()),
        ("/api/2.0/mlflow/runs/log-batch", json.to_owned(), large.to_string().into_bytes()),
        ("/api/2.0/mlflow/runs/create", json.to_owned(), br#"{"experiment_id": "1", "tags": {}}"#.to_vec()),
    ] {
        let response = send(&gateway, "POST", path, &fields, &body).await;
        assert_eq!(response.status, 200, "{path} {fields}: {}", response.text());
        assert!(changes(&mlflow).pop().unwrap().body == body, "{path} {fields}");
    }
}
