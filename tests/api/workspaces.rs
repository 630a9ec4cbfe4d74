//! A key that is bound to a workspace of MLflow's does not get out of it.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use actix_rt::time::sleep;
use hokusai_gateway::auth::{key::Environment, key_file::edit::NewKey};

use crate::support::{
    Gateway, GatewayBuilder, Response, Server, ask,
    client::Connection,
    server::{Answer, Recorded},
};

/// A key of an administrator who is bound to team-a: no scope is in the way of anything.
async fn bound_gateway(mlflow: &Server, workspace: &str) -> Gateway {
    let key = NewKey {
        scopes: Some(vec!["mlflow:admin".to_owned()]),
        workspace: Some(workspace.to_owned().try_into().unwrap()),
        ..NewKey::of("ada", Environment::Test)
    };
    GatewayBuilder::default().key(key).start(mlflow).await
}

async fn echo() -> Server {
    Server::start(|_| Answer::ok("{}")).await
}

fn workspaces_of(request: &Recorded) -> Vec<&str> {
    request.all("x-mlflow-workspace").collect()
}

fn json(gateway: &Gateway, method: &str, target: &str, body: &str) -> String {
    let rest = format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    gateway.request(method, target, &rest)
}

fn is_refused(response: &Response) -> bool {
    response.status == 403
        && response.reason() == "scope_missing"
        && response.text().contains("bound to the workspace `team-a`")
}

#[actix_web::test]
async fn mlflow_is_told_the_keys_workspace_and_no_other() {
    let mlflow = echo().await;
    let gateway = bound_gateway(&mlflow, "team-a").await;
    for lie in [
        "",
        "X-MLFLOW-WORKSPACE: team-b\r\n",
        "x-mlflow-workspace: team-b\r\nX-Mlflow-Workspace: team-c\r\n",
        "X-MLFLOW-WORKSPACE:\r\n",
        "X-MLFLOW-WORKSPACE: team-a\r\nconnection: x-mlflow-workspace\r\n",
    ] {
        let get = gateway.request("GET", "/api/2.0/mlflow/runs/get", lie);
        assert_eq!(ask(gateway.address, get).await.status, 200, "{lie}");
        assert_eq!(workspaces_of(mlflow.requests().last().unwrap()), ["team-a"], "{lie}");
    }
    let underscore = gateway.request("GET", "/api/2.0/mlflow/runs/get", "X_MLFLOW_WORKSPACE: team-b\r\n");
    assert_eq!(ask(gateway.address, underscore).await.status, 400);
}

#[actix_web::test]
async fn a_key_that_is_not_bound_chooses_for_itself() {
    let mlflow = echo().await;
    let gateway = Gateway::start(&mlflow).await;
    let get = gateway.request("GET", "/api/2.0/mlflow/runs/get", "X-MLFLOW-WORKSPACE: team-b\r\n");
    ask(gateway.address, get).await;
    assert_eq!(workspaces_of(&mlflow.request()), ["team-b"]);
}

#[actix_web::test]
async fn the_auth_services_word_binds_a_key_too() {
    let auth = Server::start(|_| {
        Answer::ok(r#"{"is_valid": true, "key_id": "k-1", "is_admin": true, "workspace": "team-a"}"#)
    })
    .await;
    let mlflow = echo().await;
    let gateway = GatewayBuilder::default().set("AUTH__SERVICE__URL", &auth.url()).start(&mlflow).await;
    assert_eq!(gateway.get("/api/2.0/mlflow/runs/get").await.status, 200);
    assert!(is_refused(&gateway.get("/api/3.0/mlflow/workspaces").await));
    assert_eq!(workspaces_of(&mlflow.request()), ["team-a"]);
}

#[actix_web::test]
async fn no_route_and_no_path_leads_out_of_the_workspace() {
    let mlflow = echo().await;
    let gateway = bound_gateway(&mlflow, "team-a").await;
    for (method, target) in [
        ("GET", "/api/3.0/mlflow/workspaces"),
        ("POST", "/ajax-api/3.0/mlflow/workspaces"),
        ("DELETE", "/api/3.0/mlflow/workspaces/team-b?mode=CASCADE"),
        ("PATCH", "/ajax-api/3.0/mlflow/workspaces/team-a"),
        ("POST", "/ajax-api/3.0/mlflow/assistant/message"),
        ("PUT", "/ajax-api/3.0/mlflow/assistant/config"),
        ("POST", "/api/2.0/mlflow/webhooks"),
        ("GET", "/api/3.0/mlflow/gateway/budgets/windows"),
        ("POST", "/api/3.0/mlflow/gateway/guardrails/create"),
        ("POST", "/ajax-api/3.0/mlflow/demo/generate"),
        ("POST", "/ajax-api/3.0/jobs/"),
        ("GET", "/ajax-api/2.0/mlflow/gateway-proxy"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts/workspaces/team-b/1/a"),
        ("PUT", "/ajax-api/2.0/mlflow-artifacts/artifacts/workspaces/team-b/1/a"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts/workspaces%2Fteam-b/1/a"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts?path=workspaces/team-b"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts?path=1&path=workspaces/team-b"),
        ("POST", "/api/2.0/mlflow-artifacts/mpu/create/workspaces/team-b/1/a"),
        ("GET", "/api/2.0/mlflow-artifacts/presigned/workspaces/team-b/1/a"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts/1/mlflow/server-info"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts/1/mlflow/server-info/"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts/1/mlflow/server-inf%6f"),
        ("GET", "/api/3.0/mlflow/mcp-servers/mlflow/server-info/"),
        ("GET", "/api/2.0/mlflow-artifacts/art%69facts/workspaces/team-b/1/a"),
        ("GET", "/api/2.0/mlflow-artifacts/art%69facts/workspaces/team-b/1/a?path=1"),
    ] {
        let response = ask(gateway.address, gateway.request(method, target, "")).await;
        assert!(is_refused(&response), "{method} {target}: {response:?}");
    }
    assert!(mlflow.requests().is_empty());
    for (method, target) in [
        ("GET", "/api/2.0/mlflow-artifacts/artifacts%2Fworkspaces/team-b/1/a?path=1"),
        ("GET", "/api/2.0/mlflow-artifacts/presigned%2fworkspaces/team-b/1/a"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts?path=.%2Fworkspaces%252Fteam-b"),
        ("DELETE", "/api/2.0/mlflow-artifacts/artifacts/%25252e/workspaces/team-b/1/a?path=1"),
        ("DELETE", "/api/mlflow/api/2.0/mlflow-artifacts/artifacts/workspaces"),
    ] {
        let response = ask(gateway.address, gateway.request(method, target, "")).await;
        assert_eq!((response.status, response.reason().as_str()), (400, "bad_path"), "{target}");
    }
    assert!(mlflow.requests().is_empty());
    for target in [
        "/api/2.0/mlflow-artifacts/artifacts/workspaces/team-a/1/a",
        "/api/2.0/mlflow-artifacts/artifacts/1/a",
        "/api/2.0/mlflow-artifacts/artifacts?path=1/models",
        "/api/2.0/mlflow-artifacts/artifacts",
        "/api/3.0/mlflow/server-info",
        "/api/3.0/mlflow/gateway/secrets/list",
    ] {
        assert_eq!(gateway.get(target).await.status, 200, "{target}");
    }
}

#[actix_web::test]
async fn a_key_of_the_default_workspace_has_what_is_its_own() {
    let mlflow = echo().await;
    let gateway = bound_gateway(&mlflow, "default").await;
    let store = "/api/2.0/mlflow-artifacts";
    for rest in [
        "artifacts",
        "artifacts?path=",
        "artifacts?path=+",
        "artifacts?path=workspaces",
        "artifacts?path=%20workspaces",
        "artifacts?path=work%09spaces/team-b",
        "artifacts?path=%2520workspaces/team-b",
        "artifacts?path=workspaces%3b",
        "artifacts?path=team-b",
        "artifacts?path=1&path=%1fworkspaces",
        "artifacts/%20workspaces/team-b/1/a",
        "artifacts/workspaces%0a/team-b/1/a",
        "artifacts/workspaces;/team-b/1/a",
        "artifacts/WORKSPACES/team-b/1/a",
        "artifacts/team-b/1/a",
        "presigned/%2509workspaces/team-b/1/a",
    ] {
        let response = gateway.get(&format!("{store}/{rest}")).await;
        assert_eq!((response.status, response.reason().as_str()), (403, "scope_missing"), "{rest}");
        assert!(response.text().contains("bound to the workspace `default`"), "{rest}");
    }
    // MLflow reads no query of a HEAD.
    let head = gateway.request("HEAD", &format!("{store}/artifacts?path=1/x"), "");
    assert_eq!(ask(gateway.address, head).await.status, 403);
    for rest in ["artifacts/%20./workspaces/team-b/1/a", "artifacts?path=%09.", "artifacts?path=file:"] {
        let response = gateway.get(&format!("{store}/{rest}")).await;
        assert_eq!((response.status, response.reason().as_str()), (400, "bad_path"), "{rest}");
    }
    assert!(mlflow.requests().is_empty());
    for rest in [
        "artifacts/1/a;b",
        "artifacts?path=%201",
        "artifacts/workspaces/default/1/a",
        "artifacts?path=workspaces/default",
    ] {
        assert_eq!(gateway.get(&format!("{store}/{rest}")).await.status, 200, "{rest}");
    }
    let head = gateway.request("HEAD", &format!("{store}/artifacts/1/a?path=b"), "");
    assert_eq!(ask(gateway.address, head).await.status, 200);
    let gateway = bound_gateway(&mlflow, "team-a").await;
    let head = gateway.request("HEAD", &format!("{store}/artifacts?path=1/x"), "");
    assert_eq!(ask(gateway.address, head).await.status, 200);
}

#[actix_web::test]
async fn a_row_of_the_operators_own_below_the_store_is_judged_too() {
    let mlflow = echo().await;
    let rows = tempfile::NamedTempFile::new().unwrap();
    let text =
        "[artifact_read]\nGET /api/2.0/mlflow-artifacts/all\nGET /api/2.0/mlflow-artifacts/zip/{*what}\n";
    std::fs::write(&rows, text).unwrap();
    for (workspace, target, status) in [
        ("default", "all", 403),
        ("default", "zip/1", 200),
        ("default", "zip/%20workspaces", 403),
        ("team-a", "all", 200),
        ("team-a", "zip/workspaces/team-b/1", 403),
    ] {
        let key = NewKey {
            workspace: Some(workspace.to_owned().try_into().unwrap()),
            ..NewKey::of("ada", Environment::Test)
        };
        let gateway =
            GatewayBuilder::default().key(key).set("MLFLOW__ROUTES_FILE", rows.path().to_str().unwrap());
        let gateway = gateway.start(&mlflow).await;
        let response = gateway.get(&format!("/api/2.0/mlflow-artifacts/{target}")).await;
        assert_eq!(response.status, status, "{workspace} {target}");
    }
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
