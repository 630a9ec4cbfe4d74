//! What `explain` tells of the things that a request changes, and whose they are.

use std::{
    io::Write as _,
    process::{Output, Stdio},
};

use hokusai_gateway::auth::{
    key::Environment,
    key_file::edit::{self, NewKey},
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    audit_owners::mlflow,
    support::{Server, process::command, server::Answer},
};

const LOG_BATCH: &str = "/api/2.0/mlflow/runs/log-batch";

struct Asked {
    folder: TempDir,
    key: String,
    url: String,
}

impl Asked {
    fn new(url: String, scopes: &[&str]) -> Self {
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        Self::with(url, NewKey { scopes: Some(scopes), ..NewKey::of("ada", Environment::Test) })
    }

    fn with(url: String, new: NewKey) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let created = edit::create(&folder.path().join("keys.toml"), &new).unwrap();
        Self { folder, key: created.key.expose_secret().to_owned(), url }
    }

    /// The body goes in by standard input.
    fn run(&self, ownership: &str, path: &str, body: Option<&str>, format: &str) -> Output {
        let mut explain = command(self.folder.path());
        explain.args(["explain", "--format", format, "--method", "POST", "--path", path]);
        explain.args(body.map_or(&[][..], |_| &["--body", "-"]));
        explain.env("MLFLOW_SERVER_URL", &self.url).env("HOKUSAI_API_KEY", &self.key);
        explain.env("HOKUSAI__POLICY__OWNERSHIP", ownership);
        let piped = explain.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = piped.spawn().unwrap();
        running.stdin.take().unwrap().write_all(body.unwrap_or_default().as_bytes()).unwrap();
        running.wait_with_output().unwrap()
    }

    fn explain(&self, ownership: &str, path: &str, body: Option<&str>) -> (Option<i32>, Value) {
        let output = self.run(ownership, path, body, "json");
        let told = serde_json::from_slice(&output.stdout);
        (output.status.code(), told.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))))
    }
}

#[actix_web::test]
async fn the_owner_of_what_a_body_names_is_asked_of_mlflow_and_decides() {
    let mlflow = mlflow().await;
    let asked = Asked::new(mlflow.url(), &["mlflow:write"]);
    let told = actix_web::web::block(move || {
        [r#"{"run_id": "r-acme"}"#, r#"{"run_id": "r-ada"}"#, r#"{"run_id": "r-none"}"#, r#"{"runId": 7}"#]
            .map(|body| asked.explain("enforce", LOG_BATCH, Some(body)))
    });
    let told = told.await.unwrap();
    let expected = [
        (Some(1), json!({"run_id": "r-acme"}), json!("acme"), json!("not_owner")),
        (Some(0), json!({"run_id": "r-ada"}), json!("ada"), Value::Null),
        (Some(0), json!({"run_id": "r-none"}), Value::Null, Value::Null),
        (Some(1), json!({"run_id": 7}), Value::Null, json!("ambiguous_body")),
    ];
    for ((code, told), (expected_code, subject, owner, reason)) in told.iter().zip(expected) {
        let found = (*code, &told["subject"], &told["owner"], &told["verdict"]["reason"]);
        assert_eq!(found, (expected_code, &subject, &owner, &reason), "{told}");
    }
    let words = "run body.run_id, logged_model body.metrics[].model_id | none";
    assert_eq!(told[0].1["changes"], words);
}

#[actix_web::test]
async fn why_an_owner_is_not_asked_for_is_told() {
    let mlflow = mlflow().await;
    let url = mlflow.url();
    let told = actix_web::web::block(move || {
        let (writer, administrator) =
            (Asked::new(url.clone(), &["mlflow:write"]), Asked::new(url, &["mlflow:admin"]));
        let body = Some(r#"{"run_id": "r-acme"}"#);
        [
            writer.explain("enforce", LOG_BATCH, None),
            writer.explain("off", LOG_BATCH, body),
            administrator.explain("enforce", LOG_BATCH, body),
            Asked { url: "http://127.0.0.1:1".to_owned(), ..writer }.explain("enforce", LOG_BATCH, body),
        ]
    });
    let told = told.await.unwrap();
    for ((code, told), begin) in told.iter().zip([
        "not asked: the body names what is changed",
        "not asked: policy.ownership is off",
        "not asked: an administrator",
        "unknown: MLflow could not be asked",
    ]) {
        assert!(told["owner"].as_str().is_some_and(|owner| owner.starts_with(begin)), "{begin}: {told}");
        assert_eq!(*code, Some(0), "{told}");
    }
    assert_eq!(mlflow.requests().len(), 0);
}

#[actix_web::test]
async fn a_body_decides_the_class_as_it_does_at_the_gateway() {
    let asked = Asked::new("http://127.0.0.1:1".to_owned(), &["mlflow:read"]);
    let mutation = r#"{"query": "mutation { a }"}"#;
    let (code, told) =
        actix_web::web::block(move || asked.explain("off", "/graphql", Some(mutation))).await.unwrap();
    assert_eq!((code, &told["verdict"]["reason"]), (Some(1), &json!("scope_missing")), "{told}");
}

#[actix_web::test]
async fn a_model_of_another_workspace_is_refused_as_it_is_at_the_gateway() {
    let mlflow = Server::start(|request| match request.target() {
        "/api/2.0/mlflow/logged-models/m-mine" => Answer::ok("{}"),
        _ => Answer::json(404, "{}"),
    })
    .await;
    let team = "team-a".to_owned().try_into().ok();
    let asked = Asked::with(mlflow.url(), NewKey { workspace: team, ..NewKey::of("ada", Environment::Test) });
    let told = actix_web::web::block(move || {
        ["m-mine", "m-theirs"].map(|model| {
            let body = json!({"run_id": "r", "metrics": [{"key": "a", "model_id": model}]}).to_string();
            asked.explain("off", LOG_BATCH, Some(&body))
        })
    });
    let [(mine, _), (theirs, told)] = told.await.unwrap();
    assert_eq!((mine, theirs, &told["verdict"]["status"]), (Some(0), Some(1), &json!(403)), "{told}");
}

#[test]
fn a_body_that_cannot_be_read_is_told_by_its_file() {
    let asked = Asked::new("http://127.0.0.1:1".to_owned(), &["mlflow:write"]);
    let mut explain = command(asked.folder.path());
    explain.args(["explain", "--path", LOG_BATCH, "--body", "nowhere.json"]);
    let output = explain.env("MLFLOW_SERVER_URL", &asked.url).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("--body nowhere.json"), "{told}");
}
