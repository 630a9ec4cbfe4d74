//! Records say whose the things are that a request changes, and what it names in its body, refused or not.

use std::fs;

use serde_json::{Value, json};

use crate::support::{GatewayBuilder, Server, ask, eventually, server::Answer, stream};

/// An MLflow with things of acme's, of ada's and of nobody's.
pub async fn mlflow() -> Server {
    Server::start(|request| {
        let (path, query) = request.target().split_once('?').unwrap_or((request.target(), ""));
        let path = path.trim_start_matches("/api/2.0/mlflow/").trim_start_matches("/api/3.0/mlflow/");
        let id = query.split_once('=').map_or(query, |(_, id)| id);
        let owned = |owner: Option<&str>| match owner {
            Some(owner) => json!([{"key": "hokusai.owner", "value": owner}]),
            None => json!([]),
        };
        let answer = match (path, id) {
            ("experiments/get", id) => {
                let owner = match id {
                    "1" => Some("acme"),
                    "2" => Some("ada"),
                    _ => None,
                };
                json!({"experiment": {"experiment_id": id, "name": format!("e{id}"), "tags": owned(owner)}})
            }
            ("runs/get", "r-acme") => json!({"run": {"info": {"run_id": id, "experiment_id": "1"}}}),
            ("runs/get", "r-ada") => json!({"run": {"info": {"run_id": id, "experiment_id": "2"}}}),
            ("logged-models/m-1", _) => json!({"model": {"info": {"model_id": "m-1", "experiment_id": "2"}}}),
            ("datasets/d-1/experiment-ids", _) => json!({"experiment_ids": ["2", "3"]}),
            ("registered-models/get", "theirs") => {
                json!({"registered_model": {"name": "theirs", "tags": owned(Some("acme"))}})
            }
            ("runs/get" | "registered-models/get", _) => {
                return Answer::json(404, r#"{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}"#);
            }
            _ => json!({}),
        };
        Answer::ok(&answer.to_string())
    })
    .await
}

/// Of each request the status, the reason, the subject and the owner; an owner that is absent is `-`.
async fn records(settings: GatewayBuilder, requests: &[(&str, &str, Value)]) -> Vec<Value> {
    let (folder, mlflow) = (tempfile::tempdir().unwrap(), mlflow().await);
    let file = folder.path().join("audit.jsonl");
    let gateway = settings.set("AUDIT__OUTPUT", file.to_str().unwrap()).start(&mlflow).await;
    let mut told = Vec::new();
    for (number, (method, path, body)) in (1..).zip(requests) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let rest = format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        ask(gateway.address, gateway.request(method, path, &rest)).await;
        let read = || stream::requests(&fs::read_to_string(&file).unwrap());
        eventually("its record is written", async || read().len() == number).await;
        let record = read().pop().unwrap();
        let owner = record.get("owner").cloned().unwrap_or_else(|| "-".into());
        told.push(json!([record["status"], record["reason"], record["subject"], owner]));
    }
    told
}

fn requests() -> [(&'static str, &'static str, Value); 13] {
    [
        ("POST", "/api/2.0/mlflow/runs/log-batch", json!({"run_id": "r-acme", "metrics": []})),
        (
            "POST",
            "/api/2.0/mlflow/runs/log-batch",
            json!({"run_id": "r-ada", "metrics": [{"key": "loss", "model_id": "m-1"}, {"key": "a"}]}),
        ),
        ("POST", "/api/3.0/mlflow/datasets/d-1/records", json!({"records": "[]"})),
        ("POST", "/api/2.0/mlflow/experiments/update", json!({"experimentId": "3", "newName": "x"})),
        ("POST", "/api/2.0/mlflow/experiments/create", json!({"name": "new"})),
        ("POST", "/api/2.0/mlflow/runs/set-tag", json!({"run_id": "r-ada", "run_uuid": "r-acme"})),
        ("POST", "/api/2.0/mlflow/runs/delete", json!({"run_id": "r-none"})),
        ("POST", "/api/2.0/mlflow/registered-models/rename", json!({"name": "theirs", "new_name": "mine"})),
        ("DELETE", "/api/2.0/mlflow/model-versions/delete", json!({"name": "theirs", "version": "3"})),
        (
            "POST",
            "/api/2.0/mlflow/experiments/create",
            json!({"name": "new", "artifact_location": "s3://user:secret@bucket/a?sig=b"}),
        ),
        ("DELETE", "/api/2.0/mlflow-artifacts/artifacts/1/x", Value::Null),
        (
            "POST",
            "/api/2.0/mlflow/runs/log-metric",
            json!({"run_id": "r-ada", "run_uuid": "r-acme", "model_id": "m-1"}),
        ),
        (
            "POST",
            "/api/2.0/mlflow/registered-models/set-tag",
            json!({"name": "theirs", "key": "hokusai.owner", "value": "ada"}),
        ),
    ]
}

#[actix_web::test]
async fn a_record_has_the_owner_of_what_is_changed_and_the_names_in_the_body_refused_or_not() {
    let expected = [
        json!([403, "not_owner", {"run_id": "r-acme"}, "acme"]),
        json!([200, null, {"run_id": "r-ada", "model_id": ["m-1"]}, "ada"]),
        json!([200, null, {"dataset_id": "d-1"}, ["ada", null]]),
        json!([200, null, {"experiment_id": "3", "new_name": "x"}, null]),
        json!([200, null, {"name": "new"}, null]),
        json!([400, "ambiguous_body", {"run_id": "r-ada", "run_uuid": "r-acme"}, "-"]),
        json!([200, null, {"run_id": "r-none"}, null]),
        json!([403, "not_owner", {"name": "theirs", "new_name": "mine"}, "acme"]),
        json!([403, "not_owner", {"name": "theirs", "version": "3"}, "acme"]),
        json!([403, "not_owner", {"name": "new", "artifact_location": "s3://bucket/a"}, null]),
        json!([403, "not_owner", {"artifact_path": "1/x"}, null]),
        json!([400, "ambiguous_body", {"run_id": "r-ada", "run_uuid": "r-acme", "model_id": "m-1"}, "-"]),
        json!([403, "not_owner", {"name": "theirs", "key": "hokusai.owner"}, "acme"]),
    ];
    let found = records(GatewayBuilder::default().set("POLICY__OWNERSHIP", "enforce"), &requests()).await;
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
}

#[actix_web::test]
async fn what_is_only_reported_has_its_owner_in_the_record_too() {
    let report = GatewayBuilder::default().set("POLICY__OWNERSHIP", "report");
    let found = records(report, &requests()[..1]).await;
    assert_eq!(found, [json!([200, null, {"run_id": "r-acme"}, "acme"])]);
}

#[actix_web::test]
async fn without_a_judgement_there_is_no_owner_and_the_subject_is_what_was_read() {
    let found = records(GatewayBuilder::default(), &requests()[..3]).await;
    assert_eq!(
        found,
        [
            json!([200, null, {}, "-"]),
            json!([200, null, {}, "-"]),
            json!([200, null, {"dataset_id": "d-1"}, "-"]),
        ]
    );
    let administrator = GatewayBuilder::default().scopes(&["mlflow:admin"]);
    let found = records(administrator.set("POLICY__OWNERSHIP", "enforce"), &requests()[..1]).await;
    assert_eq!(found, [json!([200, null, {"run_id": "r-acme"}, "-"])]);
}
