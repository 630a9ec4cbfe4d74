//! Bodies: references, spans and tags.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use actix_rt::time::sleep;

use super::{bound_gateway, echo, is_refused, workspaces_of};
use crate::support::{Gateway, Server, ask, client::Connection, server::Answer};

fn json(gateway: &Gateway, method: &str, target: &str, body: &str) -> String {
    let rest = format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    gateway.request(method, target, &rest)
}

#[actix_web::test]
async fn no_body_leads_out_of_the_workspace() {
    let mlflow = echo().await;
    let gateway = bound_gateway(&mlflow, "team-a").await;
    let place = r#"{"key": "mlflow.artifactLocation", "value": "mlflow-artifacts:/workspaces/team-b/1"}"#;
    let list = format!(r#"{{"tags": [{place}]}}"#);
    let object = r#"{"trace": {"trace_info": {"tags": {"mlflow.trace.archiveLocation": "file:///"}}}}"#;
    let elsewhere = r#"{"name": "m", "source": "s3://bucket/workspaces/team-b/1"}"#;
    let assessment = r#"{"trace": {"traceInfo": {"assessments": [{"assessmentId": "a-1"}]}}}"#;
    for (method, target, body) in [
        ("PATCH", "/api/2.0/mlflow/traces/t-1/tags", place),
        ("PATCH", "/ajax-api/3.0/mlflow/traces/t-1/tags", place),
        ("POST", "/api/2.0/mlflow/traces", &list),
        ("PATCH", "/api/2.0/mlflow/traces/t-1", &list),
        ("POST", "/api/3.0/mlflow/traces", object),
        ("POST", "/api/3.0/mlflow/traces", &object.replace("Location", "Locatio\u{144}")),
        ("POST", "/ajax-api/3.0/mlflow/traces", assessment),
        ("POST", "/api/2.0/mlflow/model-versions/create", elsewhere),
        ("POST", "/api/2.0/mlflow/model-versions/create", r#"{"name": "m"}"#),
    ] {
        let response = ask(gateway.address, json(&gateway, method, target, body)).await;
        assert!(is_refused(&response), "{method} {target} {body}: {response:?}");
    }
    let twice = r#""{\"key\": \"mlflow.artifactLocation\"}""#;
    let request = json(&gateway, "PATCH", "/api/2.0/mlflow/traces/t-1/tags", twice);
    assert!(is_refused(&ask(gateway.address, request).await));
    for body in ["\u{feff}{}", r#"{"key": "a", "key": "b"}"#] {
        let request = json(&gateway, "PATCH", "/api/2.0/mlflow/traces/t-1/tags", body);
        let response = ask(gateway.address, request).await;
        assert_eq!((response.status, response.reason().as_str()), (400, "ambiguous_body"), "{body}");
    }
    assert!(mlflow.requests().is_empty());

    for (target, body) in [
        ("/api/2.0/mlflow/model-versions/create", r#"{"name": "m", "source": "runs:/r/model"}"#),
        ("/api/2.0/mlflow/model-versions/create", r#"{"name": "p", "source": "prompt-template"}"#),
        ("/api/3.0/mlflow/traces", r#"{"trace": {"trace_info": {"tags": {"mlflow.traceName": "a"}}}}"#),
    ] {
        let response = ask(gateway.address, json(&gateway, "POST", target, body)).await;
        assert_eq!(response.status, 200, "{target} {body}");
        assert_eq!(mlflow.requests().last().unwrap().text(), body);
    }
}

#[actix_web::test]
async fn metrics_are_written_only_to_models_of_the_workspace() {
    let mlflow = Server::start(|request| match request.target() {
        "/api/2.0/mlflow/logged-models/m-theirs" => Answer::json(404, "{}"),
        "/api/2.0/mlflow/logged-models/m-slow" => Answer::json(500, "{}"),
        _ => Answer::ok("{}"),
    })
    .await;
    let gateway = bound_gateway(&mlflow, "team-a").await;
    let batch = |ids: &[&str]| {
        let metrics: Vec<_> = ids.iter().map(|id| format!(r#"{{"key": "a", "model_id": "{id}"}}"#)).collect();
        let body = format!(r#"{{"run_id": "r", "metrics": [{}]}}"#, metrics.join(","));
        json(&gateway, "POST", "/api/2.0/mlflow/runs/log-batch", &body)
    };
    for (ids, status) in [
        (&[][..], 200),
        (&["m-mine", "m-mine"], 200),
        (&["m-mine", "m-theirs"], 403),
        (&["../../x"], 403),
        (&["m-slow"], 502),
    ] {
        let before = mlflow.requests().len();
        assert_eq!(ask(gateway.address, batch(ids)).await.status, status, "{ids:?}");
        let seen = mlflow.requests().split_off(before);
        let written = seen.iter().filter(|seen| seen.target().ends_with("/log-batch")).count();
        assert_eq!(written, usize::from(status == 200), "{ids:?}");
        assert!(seen.iter().all(|seen| workspaces_of(seen) == ["team-a"]), "{ids:?}");
    }
    let many: Vec<String> = (0..17).map(|number| format!("m-{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(is_refused(&ask(gateway.address, batch(&many)).await));
}

#[actix_web::test]
async fn a_model_is_looked_up_on_no_connection_that_mlflow_may_be_closing() {
    let answered = Mutex::new(HashMap::new());
    let mlflow = Server::start(move |request| {
        let before = answered.lock().unwrap().insert(request.connection, Instant::now());
        let is_late = before.is_some_and(|before| before.elapsed() > Duration::from_millis(600));
        if is_late { Answer::Close } else { Answer::ok("{}") }
    })
    .await;
    let gateway = bound_gateway(&mlflow, "team-a").await;
    let batch = |body| json(&gateway, "POST", "/api/2.0/mlflow/runs/log-batch", body);
    assert_eq!(ask(gateway.address, batch(r#"{"run_id": "r"}"#)).await.status, 200);
    sleep(Duration::from_millis(700)).await;
    let response = ask(gateway.address, batch(r#"{"run_id": "r", "metrics": [{"model_id": "m-1"}]}"#)).await;
    assert_eq!(response.status, 200, "{response:?}");
}

#[actix_web::test]
async fn spans_are_looked_at_as_they_pass() {
    let mlflow = echo().await;
    let gateway = bound_gateway(&mlflow, "team-a").await;
    let protobuf = "content-type: application/x-protobuf\r\n";
    let post = |headers: &str, body: &str| {
        let rest = format!("{headers}content-length: {}\r\n\r\n{body}", body.len());
        gateway.request("POST", "/v1/traces", &rest)
    };
    let harmless = "\n\u{14}mlflow.traceName and so on, \u{e9}t\u{e9}, \u{65e5}\u{672c}\u{8a9e}".repeat(1000);
    assert_eq!(ask(gateway.address, post(protobuf, &harmless)).await.status, 200);
    assert_eq!(mlflow.request().text(), harmless);

    let far = format!("{harmless}mlflow.traceTag.mlflow.Trace.spansLocation");
    let wide = "\n\u{1d}\u{ff4d}lflow.trace.archiveLocation\u{12}\u{1}a";
    for body in ["\n\u{17}mlflow.artifactLocation\u{12}\u{1}a", wide, &far] {
        assert!(is_refused(&ask(gateway.address, post(protobuf, body)).await), "{}", body.len());
    }
    for headers in [
        "",
        "content-type: application/json\r\n",
        "content-type: application/x-protobuf\r\ncontent-type: application/json\r\n",
        "content-type: application/x-protobuf\r\ncontent-encoding: gzip\r\n",
    ] {
        assert_eq!(ask(gateway.address, post(headers, "{}")).await.status, 400, "{headers}");
    }

    // A name that comes in two pieces.
    let mut connection = Connection::open(gateway.address).await;
    let head = format!("{protobuf}transfer-encoding: chunked\r\n\r\n10\r\n\n\u{17}mlflow.artifac\r\n");
    connection.send(gateway.request("POST", "/v1/traces", &head)).await;
    actix_rt::time::sleep(std::time::Duration::from_millis(100)).await;
    connection.send("a\r\ntLocation\u{12}\r\n0\r\n\r\n").await;
    assert!(is_refused(&connection.response(false).await));
    assert_eq!(mlflow.requests().iter().filter(|seen| seen.complete).count(), 1);
}

#[actix_web::test]
async fn no_tag_has_the_server_run_a_job() {
    let mlflow = echo().await;
    let gateway = bound_gateway(&mlflow, "team-a").await;
    let tag = r#"{"experiment_id": "1", "key": "mlflow.issueDetection.schedule", "value": "{}"}"#;
    let tags = r#"{"name": "a", "tags": [{"key": "mlflow.issueDetection.schedule", "value": "{}"}]}"#;
    for (target, body) in [("set-experiment-tag", tag), ("create", tags)] {
        let target = format!("/api/2.0/mlflow/experiments/{target}");
        let response = ask(gateway.address, json(&gateway, "POST", &target, body)).await;
        assert!(is_refused(&response), "{target}: {}", response.text());
    }
    let delete = "/api/2.0/mlflow/experiments/delete-experiment-tag";
    assert_eq!(ask(gateway.address, json(&gateway, "POST", delete, tag)).await.status, 200);
    assert_eq!(mlflow.requests().len(), 1);
}
