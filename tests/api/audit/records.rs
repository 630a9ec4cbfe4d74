//! Which requests leave a record, and what is in it.

use serde_json::{Value, json};

use super::Stage;
use crate::support::{GatewayBuilder, ask, client::Connection, metric, stream};

#[actix_web::test]
async fn which_key_deleted_this_run_is_in_one_record() {
    let stage = Stage::set(GatewayBuilder::default()).await;
    stage.send("POST", "/api/mlflow/ajax-api/2.0/mlflow/runs/delete?x=1", r#"{"run_id": "run-7"}"#).await;
    let record = stage.until(1).await.remove(0);
    for (name, expected) in [
        ("key_id", json!(stage.gateway.key_id)),
        ("user_id", json!("ada")),
        ("client_ip", json!("127.0.0.1")),
        ("request_id", json!("r-1")),
        ("route", json!("delete")),
        ("operation", json!("/ajax-api/2.0/mlflow/runs/delete")),
        ("method", json!("POST")),
        ("path", json!("/api/mlflow/ajax-api/2.0/mlflow/runs/delete")),
        ("subject", json!({"run_id": "run-7"})),
        ("outcome", json!("ok")),
        ("status", json!(200)),
        ("reason", Value::Null),
        ("bytes_in", json!(19)),
        ("bytes_out", json!(4)),
    ] {
        assert_eq!(record[name], expected, "{name}");
    }
    assert!(record["time"].as_str().unwrap().starts_with("20"));
}

#[actix_web::test]
async fn every_change_and_every_refusal_leaves_a_record_and_a_read_leaves_none() {
    let stage = Stage::set(GatewayBuilder::default()).await;
    stage.send("GET", "/api/2.0/mlflow/runs/get?run_id=1", "").await;
    stage.send("POST", "/api/2.0/mlflow/runs/search", "{}").await;
    stage.send("POST", "/api/2.0/mlflow/runs/create", "{}").await;
    stage.send("PUT", "/api/2.0/mlflow-artifacts/artifacts/1/a%20b", "bytes").await;
    stage.send("POST", "/api/2.0/mlflow/runs/log-batch?fail", "{}").await;
    stage.send("POST", "/graphql", r#"{"query": "{ a }"}"#).await;
    stage.send("POST", "/graphql", r#"{"query": "mutation { a }"}"#).await;
    stage.send("GET", "/api/3.0/mlflow/workspaces/team-b", "").await;
    stage.send("GET", "/nowhere", "").await;
    stage.send("POST", "/api/2.0/mlflow/runs/delete", "{").await;
    ask(stage.gateway.address, "GET /api/2.0/mlflow/runs/get HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let told: Vec<String> = stage
        .until(8)
        .await
        .iter()
        .map(|record| {
            let text = |name: &str| record[name].as_str().unwrap_or("-").to_owned();
            format!(
                "{} {} {} {} {}",
                text("route"),
                text("outcome"),
                record["status"],
                text("reason"),
                record["subject"]
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "write ok 200 - {}",
            r#"artifact_write ok 200 - {"artifact_path":"1/a b"}"#,
            "write failed 500 - {}",
            "write ok 200 - {}",
            r#"admin denied 403 scope_missing {"workspace_name":"team-b"}"#,
            "unknown denied 404 route_unknown {}",
            "delete denied 400 ambiguous_body {}",
            "read denied 401 credential_missing {}",
        ]
    );
    assert_eq!(metric(&stage.gateway, r#"audit_records_total{outcome="ok"}"#).await, 8.0);
    assert_eq!(stream::whole(&stage.text()), Some((1, 9)), "and one that it was begun");
}

#[actix_web::test]
async fn a_login_is_recorded_with_its_key_and_one_that_fails_as_a_refusal() {
    let stage = Stage::set(GatewayBuilder::default()).await;
    for key in [&*stage.gateway.key, "hk_test_wrong"] {
        let form = format!("key={key}");
        let head =
            format!("POST /login HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", form.len());
        ask(stage.gateway.address, head + &form).await;
    }
    let records = stage.until(2).await;
    let told = records.iter().map(|record| {
        ["operation", "user_id", "key_id", "outcome", "status", "reason"].map(|name| record[name].clone())
    });
    let expected = [
        json!(["/login", "ada", stage.gateway.key_id, "ok", 303, null]),
        json!([null, null, null, "denied", 401, "credential_rejected"]),
    ];
    assert_eq!(told.map(|told| json!(told)).collect::<Vec<_>>(), expected);
}

#[actix_web::test]
async fn a_transfer_that_its_client_broke_off_is_told_as_such() {
    let stage = Stage::set(GatewayBuilder::default()).await;
    let mut leaving = Connection::open(stage.gateway.address).await;
    let target = "/api/2.0/mlflow-artifacts/artifacts/1/a";
    let rest = "content-length: 1000000\r\n\r\n".to_owned() + &"x".repeat(200_000);
    leaving.send(stage.gateway.request("PUT", target, &rest)).await;
    stage.mlflow.until_begun().await;
    drop(leaving);
    let record = stage.until(1).await.remove(0);
    assert_eq!((&record["outcome"], &record["route"]), (&json!("aborted"), &json!("artifact_write")));
    assert!(record["bytes_in"].as_u64().unwrap() >= 65_536, "{record}");
}

#[actix_web::test]
async fn no_key_gets_into_a_record_by_a_name_that_is_kept() {
    let stage = Stage::set(GatewayBuilder::default().scopes(&["mlflow:admin"])).await;
    let key = stage.gateway.key.clone();
    ask(
        stage.gateway.address,
        format!("GET /api/2.0/mlflow/runs/get?key={key}&name={key} HTTP/1.1\r\nhost: a\r\n\r\n"),
    )
    .await;
    stage
        .send("POST", &format!("/mlflow/gateway/gemini/v1beta/models/m:generateContent?key={key}"), "{}")
        .await;
    let body = format!(
        r#"{{"name": "m", "source": "s3://u:{key}@b/c?sig={key}", "alias": "{key}", "run_ids": ["{key}"]}}"#
    );
    stage.send("POST", "/api/2.0/mlflow/model-versions/create", &body).await;
    stage.send("DELETE", &format!("/api/2.0/mlflow-artifacts/artifacts/{key}/a%3Fb"), "").await;
    let records = stage.until(4).await;
    assert!(!stage.text().contains(&key), "{}", stage.text());
    // What else there is of the names stays, or nobody would find what was done.
    let expected = json!({"name": "m", "source": "s3://b/c", "alias": "hk_test_…", "run_ids": ["hk_test_…"]});
    assert_eq!(records[2]["subject"], expected);
    assert_eq!(records[3]["subject"], json!({"artifact_path": "hk_test_…/a?b"}));
}
