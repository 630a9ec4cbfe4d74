//! What a body may change where things have owners: spans, tags, authors, assessments.

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

#[actix_web::test]
async fn spans_are_added_to_ones_own_traces_and_to_new_ones_alone() {
    let (mlflow, gateway) = gateway(&WRITER).await;
    for (ids, status) in
        [(&[MINE][..], 200), (&[NEW], 200), (&[MINE, NEW], 200), (&[HERS], 403), (&[MINE, NEW, HERS], 403)]
    {
        let before = changes(&mlflow).len();
        let body = spans(ids, "a");
        let response = send(&gateway, "POST", TRACES, PROTOBUF, &body).await;
        assert_eq!(response.status, status, "{ids:?}: {}", response.text());
        let sent = changes(&mlflow).split_off(before);
        let expected = if status == 200 { vec![body] } else { vec![] };
        assert_eq!(sent.into_iter().map(|request| request.body).collect::<Vec<_>>(), expected, "{ids:?}");
    }
    let refused = send(&gateway, "POST", TRACES, PROTOBUF, &spans(&[HERS], "a")).await;
    assert_eq!(refused.reason(), "not_owner");
    assert!(refused.text().contains(r#"the experiment \"e2\" belongs to grace"#), "{}", refused.text());
}

#[actix_web::test]
async fn the_experiment_and_the_run_of_spans_are_judged_too() {
    let (_mlflow, gateway) = gateway(&WRITER).await;
    let protobuf = "content-type: application/x-protobuf\r\n";
    for (fields, status) in [
        ("x-mlflow-experiment-id: 1\r\n".to_owned(), 200),
        ("x-mlflow-experiment-id: 2\r\n".to_owned(), 403),
        ("".to_owned(), 400),
        ("x-mlflow-experiment-id: 1\r\nx-mlflow-experiment-id: 2\r\n".to_owned(), 400),
        ("x-mlflow-experiment-id: 01\r\n".to_owned(), 400),
        (format!("x-mlflow-experiment-id: 1\r\nx-mlflow-run-id: {MY_RUN}\r\n"), 200),
        (format!("x-mlflow-experiment-id: 1\r\nx-mlflow-run-id: {HER_RUN}\r\n"), 403),
    ] {
        let response =
            send(&gateway, "POST", TRACES, &format!("{protobuf}{fields}"), &spans(&[NEW], "a")).await;
        assert_eq!(response.status, status, "{fields}: {}", response.text());
    }
}

#[actix_web::test]
async fn compressed_spans_are_read_and_go_on_as_they_were_read() {
    let (mlflow, gateway) = gateway(&WRITER).await;
    let fields = format!("{PROTOBUF}content-encoding: gzip\r\n");
    let hers = send(&gateway, "POST", TRACES, &fields, &gzip(&spans(&[HERS], "a"))).await;
    assert_eq!(hers.status, 403);
    let mine = spans(&[MINE], "a");
    assert_eq!(send(&gateway, "POST", TRACES, &fields, &gzip(&mine)).await.status, 200);
    let sent = changes(&mlflow).pop().unwrap();
    assert_eq!((sent.body, sent.headers.iter().any(|(name, _)| name == "content-encoding")), (mine, false));
    for (what, body, status) in [
        ("damaged", gzip(&spans(&[MINE], "a"))[4..].to_vec(), 400),
        ("a bomb", gzip(&vec![0; 5 * 1024 * 1024]), 413),
    ] {
        let response = send(&gateway, "POST", TRACES, &fields, &body).await;
        assert_eq!(response.status, status, "{what}: {}", response.text());
    }
}

#[actix_web::test]
async fn spans_in_json_are_judged_as_those_in_protobuf() {
    let (_mlflow, gateway) = gateway(&WRITER).await;
    let fields = "content-type: application/json\r\nx-mlflow-experiment-id: 1\r\n";
    for (name, id, status) in [
        ("traceId", "0a".repeat(16), 200),
        ("traceId", "0b".repeat(16), 403),
        ("trace_id", "CwsLCwsLCwsLCwsLCwsLCw==".to_owned(), 400),
        ("traceId", "0b".repeat(17), 400),
    ] {
        let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": [{name: id}]}]}]}).to_string();
        assert_eq!(send(&gateway, "POST", TRACES, fields, body.as_bytes()).await.status, status, "{body}");
    }
}

#[actix_web::test]
async fn spans_that_cannot_be_judged_go_nowhere() {
    let (mlflow, gateway) = gateway(&WRITER).await;
    for (fields, body, status) in [
        (PROTOBUF.to_owned(), b"no protobuf".to_vec(), 400),
        (PROTOBUF.replace("x-protobuf", "grpc"), spans(&[MINE], "a"), 400),
        (format!("{PROTOBUF}content-encoding: br\r\n"), spans(&[MINE], "a"), 400),
        (PROTOBUF.to_owned(), spans(&[MINE], "mlflow.traceTag.hokusai.user"), 403),
        (PROTOBUF.to_owned(), vec![0; 4 * 1024 * 1024 + 1], 413),
    ] {
        let response = send(&gateway, "POST", TRACES, &fields, &body).await;
        assert_eq!(response.status, status, "{fields}: {}", response.text());
    }
    assert_eq!(changes(&mlflow).len(), 0);
}

#[actix_web::test]
async fn an_administrators_spans_pass_as_they_come() {
    let (mlflow, gateway) = gateway(&["mlflow:admin"]).await;
    let fields = format!("{PROTOBUF}content-encoding: gzip\r\n");
    let body = gzip(&spans(&[HERS], "mlflow.traceTag.hokusai.user"));
    assert_eq!(send(&gateway, "POST", TRACES, &fields, &body).await.status, 200);
    assert_eq!((mlflow.requests().len(), mlflow.request().body), (1, body));
}

#[actix_web::test]
async fn a_row_of_the_operators_own_leaves_no_spans_unread() {
    let rows = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&rows, "[write]\nPOST /v1/traces body=any\n").unwrap();
    let mlflow = Server::start(answer).await;
    let gateway = GatewayBuilder::default()
        .set("POLICY__OWNERSHIP", "enforce")
        .set("MLFLOW__ROUTES_FILE", rows.path().to_str().unwrap())
        .start(&mlflow)
        .await;
    assert_eq!(send(&gateway, "POST", TRACES, PROTOBUF, &spans(&[HERS], "a")).await.status, 403);
}

#[actix_web::test]
async fn without_owners_spans_pass_as_they_come() {
    let mlflow = Server::start(answer).await;
    let gateway = Gateway::start(&mlflow).await;
    let fields = format!("{PROTOBUF}content-encoding: zstd\r\n");
    let body = vec![0; 5 * 1024 * 1024];
    assert_eq!(send(&gateway, "POST", TRACES, &fields, &body).await.status, 200);
    assert_eq!(mlflow.request().body, body);
}

const SET_RUN_TAG: &str = "/api/2.0/mlflow/runs/set-tag";

#[actix_web::test]
async fn what_is_not_everybodys_is_refused_on_ones_own_things_too() {
    let (mlflow, gateway) = gateway(&WRITER).await;
    let trace = |more: &Value| {
        let location = json!({"mlflow_experiment": {"experiment_id": "1"}});
        let mut info = json!({"trace_id": format!("tr-{}", "0c".repeat(16)), "trace_location": location});
        info.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"trace": {"trace_info": info}})
    };
    let batch = |field: &str, key: &str| json!({"run_id": MY_RUN, field: [{"key": key, "value": "x"}]});
    let (tags, assessments) = ("hokusai.", "assessments of a new trace");
    let author = "mlflow.user of a run names the user of the API key";
    for (path, body, words) in [
        (SET_RUN_TAG, json!({"run_id": MY_RUN, "key": "hokusai.user", "value": "grace"}), tags),
        (SET_RUN_TAG, json!({"run_id": MY_RUN, "key": "hokusai.writers", "value": "grace"}), tags),
        (SET_RUN_TAG, json!({"run_id": MY_RUN, "key": "mlflow.user", "value": "grace"}), author),
        ("/api/2.0/mlflow/runs/delete-tag", json!({"run_id": MY_RUN, "key": "mlflow.user"}), author),
        ("/api/2.0/mlflow/runs/log-batch", batch("tags", "hokusai.key_id"), tags),
        ("/api/2.0/mlflow/runs/log-batch", batch("tags", "mlflow.user"), author),
        ("/api/3.0/mlflow/datasets/create", json!({"name": "d", "tags": "{\"hokusai.a\": 1}"}), tags),
        (
            "/api/2.0/mlflow/experiments/create",
            json!({"name": "e", "tags": [{"key": "hokusai.owner"}]}),
            tags,
        ),
        (
            "/api/2.0/mlflow/registered-models/create",
            json!({"name": "m", "tags": [{"key": "hokusai.owner"}]}),
            tags,
        ),
        ("/api/3.0/mlflow/traces", trace(&json!({"tags": {"hokusai.user": "x"}})), tags),
        ("/api/3.0/mlflow/traces", trace(&json!({"assessments": [{"assessment_id": "a-1"}]})), assessments),
        ("/api/3.0/mlflow/traces", trace(&json!({"assessments": [{"overrides": "a-1"}]})), assessments),
    ] {
        // As old clients send it, too.
        for body in [body.clone(), body.to_string().into()] {
            let before = changes(&mlflow).len();
            let response = post(&gateway, path, &body).await;
            let found = (response.status, &*response.reason(), changes(&mlflow).len() - before);
            assert_eq!(found, (403, "not_owner", 0), "{path} {body}: {}", response.text());
            assert!(response.text().contains(words), "{path} {body}: {}", response.text());
        }
    }
    for (path, body) in [
        (SET_RUN_TAG, json!({"run_id": MY_RUN, "key": "mlflow.user", "value": "ada"})),
        ("/api/2.0/mlflow/runs/log-batch", batch("params", "hokusai.rate")),
        ("/api/2.0/mlflow/runs/log-batch", batch("metrics", "hokusai.loss")),
        (
            "/api/2.0/mlflow/runs/log-parameter",
            json!({"run_id": MY_RUN, "key": "hokusai.rate", "value": "hokusai.owner"}),
        ),
        (
            "/api/2.0/mlflow/experiments/set-experiment-tag",
            json!({"experiment_id": "1", "key": "hokusai.writers", "value": "bob"}),
        ),
        ("/api/3.0/mlflow/traces", trace(&json!({"assessments": [{"assessment_name": "a"}]}))),
    ] {
        let response = post(&gateway, path, &body).await;
        assert_eq!(response.status, 200, "{path} {body}: {}", response.text());
    }
}

#[actix_web::test]
async fn a_tag_in_a_path_is_the_gateways_however_it_is_written() {
    let (mlflow, gateway) = gateway(&WRITER).await;
    // MLflow knows no such model or dataset: the name alone is refused.
    for (key, status) in [
        ("hokusai.user", 403),
        ("HOKUSAI.user", 403),
        ("%68okusai.user", 403),
        ("hok%C3%BCsai.user", 403),
        ("%20hokusai.user", 403),
        ("user", 200),
    ] {
        let path = format!("/api/2.0/mlflow/logged-models/m-0c/tags/{key}");
        assert_eq!(send(&gateway, "DELETE", &path, "", b"").await.status, status, "{path}");
    }
    assert_eq!(changes(&mlflow).len(), 1);
}

#[actix_web::test]
async fn nothing_is_reserved_where_things_have_no_owners() {
    let mlflow = Server::start(answer).await;
    let gateway = Gateway::start(&mlflow).await;
    let body = json!({"run_id": HER_RUN, "key": "hokusai.user", "value": "x"});
    assert_eq!(post(&gateway, SET_RUN_TAG, &body).await.status, 200);
}

#[actix_web::test]
async fn a_run_says_whose_key_made_it_whatever_the_client_says() {
    let (mlflow, gateway) = gateway(&WRITER).await;
    let tag = |key: &str, value: &str| json!({"key": key, "value": value});
    let stamps = |more: Vec<Value>| {
        let own =
            [tag("mlflow.user", "ada"), tag("hokusai.user", "ada"), tag("hokusai.key_id", &gateway.key_id)];
        Value::from([more, own.to_vec()].concat())
    };
    for (path, body, expected) in [
        ("/api/2.0/mlflow/runs/create", json!({}), json!({"user_id": "ada", "tags": stamps(vec![])})),
        (
            "/api/2.0/mlflow/runs/create",
            json!({"user_id": "grace", "tags": [tag("a", "b"), tag("mlflow.user", "grace")]}),
            json!({"user_id": "ada", "tags": stamps(vec![tag("a", "b")])}),
        ),
        (
            "/api/2.0/mlflow/runs/create",
            json!({"userId": "grace", "tags": null}),
            json!({"user_id": "ada", "tags": stamps(vec![])}),
        ),
        (
            "/ajax-api/2.0/mlflow/runs/create-promptlab-run",
            json!({"user_id": "grace", "prompt_template": "a"}),
            json!({"user_id": "ada", "prompt_template": "a"}),
        ),
    ] {
        let (mut body, mut expected) = (body, expected);
        body["experiment_id"] = "1".into();
        expected["experiment_id"] = "1".into();
        for body in [body.clone(), body.to_string().into()] {
            let response = post(&gateway, path, &body).await;
            assert_eq!(response.status, 200, "{}", response.text());
            let sent: Value = serde_json::from_slice(&changes(&mlflow).pop().unwrap().body).unwrap();
            assert_eq!(sent, expected, "{path} {body}");
        }
    }
    let response =
        post(&gateway, "/api/2.0/mlflow/runs/create", &json!({"experiment_id": "1", "tags": {}})).await;
    assert_eq!(response.status, 400);
    assert!(response.text().contains("tags that are not a list"), "{}", response.text());
}

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
