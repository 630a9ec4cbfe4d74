//! What the running process says of what it needs: one line at the start and at each change, with the reason and the fix.

mod redis;

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    Server, ask, eventually,
    process::{Process, command},
    redis::Redis,
    server::Answer,
};

const VALID: &str = r#"{"is_valid": true, "key_id": "k-1"}"#;

/// The lines of a process so far whose message begins like this.
fn lines(folder: &Path, message: &str) -> Vec<Value> {
    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"].as_str().is_some_and(|text| text.starts_with(message))).collect()
}

/// The first line like this, when it is there; no more than that one.
async fn the_line(folder: &Path, message: &str) -> Value {
    eventually(message, async || !lines(folder, message).is_empty()).await;
    let mut lines = lines(folder, message);
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.remove(0)
}

fn words<'a>(line: &'a Value, names: &[&str]) -> String {
    names.iter().map(|name| line[name].as_str().unwrap_or_default()).collect::<Vec<&'a str>>().join(" | ")
}

fn folder_with_a_key() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let keys = ["keys", "create", "--user", "ada"];
    assert!(command(folder.path()).args(keys).output().unwrap().status.success());
    folder
}

/// A user of Redis who may do all that the gateway does, but for this.
fn user(redis: &Redis, but: &str) -> String {
    let name = format!("gateway{but}").replace(' ', "");
    let acl = ["acl", "setuser", &name, "on", ">obviously", "~hokusai:*", "&hokusai:*", "+@all"];
    let said = redis.cli(&acl.into_iter().chain(but.split(' ')).collect::<Vec<_>>());
    assert!(said.contains("OK"), "{said}");
    format!("redis://{name}:obviously@127.0.0.1:{}", redis.port)
}

#[actix_web::test]
async fn mlflow_is_told_once_at_the_start_and_once_at_each_change() {
    let folder = folder_with_a_key();
    let started = |folder: &Path, mlflow: &str| {
        Process::serve(folder, &[("MLFLOW_SERVER_URL", mlflow), ("HOKUSAI__MLFLOW__PROBE_INTERVAL", "50ms")])
    };
    {
        let _gateway = started(folder.path(), "http://127.0.0.1:1");
        let line = the_line(folder.path(), "MLflow").await;
        assert_eq!(
            words(&line, &["message", "cause", "upstream"]),
            "MLflow cannot be reached | the server is not running, or listens on another port or on its own loopback \
             address only | mlflow"
        );
        assert!(words(&line, &["reason"]).contains("refused"), "{line}");
        assert!(words(&line, &["fix"]).contains("mlflow.url"), "{line}");
        actix_rt::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(lines(folder.path(), "MLflow").len(), 1, "looked at ten times, told once");
    }
    let status = Arc::new(AtomicU16::new(401));
    let answer = Arc::clone(&status);
    let mlflow = Server::start_asked(move |request| match request.is_api_look() {
        true => Answer::json(answer.load(Ordering::Relaxed), "{}"),
        false => Answer::ok("OK"),
    })
    .await;
    let _gateway = started(folder.path(), &mlflow.url());
    let mut expected = Vec::new();
    for (answers, message, cause) in [
        (401, "MLflow refuses the gateway", "mlflow.auth has none"),
        (200, "MLflow answers the gateway", ""),
        (500, "MLflow fails", "database"),
        (307, "MLflow refuses the gateway", "load balancer"),
        (200, "MLflow answers the gateway", ""),
    ] {
        status.store(answers, Ordering::Relaxed);
        expected.push(message);
        eventually(message, async || lines(folder.path(), "MLflow").len() == expected.len()).await;
        let told = lines(folder.path(), "MLflow");
        let told_messages: Vec<_> = told.iter().map(|line| line["message"].as_str().unwrap()).collect();
        assert_eq!(told_messages, expected);
        assert!(words(told.last().unwrap(), &["cause"]).contains(cause), "{told:?}");
    }
    mlflow.kill();
    eventually("it is gone", async || lines(folder.path(), "MLflow cannot be reached").len() == 1).await;
}

#[actix_web::test]
async fn a_key_file_in_force_is_told_at_the_start() {
    let folder = folder_with_a_key();
    let _gateway = Process::serve(folder.path(), &[("MLFLOW_SERVER_URL", "http://127.0.0.1:1")]);
    let lines = || lines(folder.path(), "key file loaded");
    eventually("it is logged", async || !lines().is_empty()).await;
    assert_eq!(lines()[0]["count"], 1);
}

#[actix_web::test]
async fn an_auth_service_is_told_at_the_start_and_when_it_fails_and_is_well_again() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let status = Arc::new(AtomicU16::new(500));
    let answer = Arc::clone(&status);
    let auth = Server::start(move |_| Answer::json(answer.load(Ordering::Relaxed), VALID)).await;
    let started = |folder: &Path, auth: &str| {
        Process::serve(folder, &[("MLFLOW_SERVER_URL", &mlflow.url()), ("HOKUSAI_AUTH_SERVICE_URL", auth)])
    };
    for (url, code) in [("http://127.0.0.1:1", "HG-A02"), ("http://nobody.invalid", "HG-A01")] {
        let folder = tempfile::tempdir().unwrap();
        let _gateway = started(folder.path(), url);
        let line = the_line(folder.path(), "the auth service").await;
        assert_eq!(
            words(&line, &["message", "code"]),
            format!("the auth service cannot be reached | {code}")
        );
        assert!(!words(&line, &["fix"]).is_empty() && !words(&line, &["reason"]).is_empty());
    }
    let folder = tempfile::tempdir().unwrap();
    let gateway = started(folder.path(), &auth.url());
    the_line(folder.path(), "the auth service takes connections").await;
    assert!(auth.requests().is_empty(), "it is asked nothing");
    for (answers, key, message) in [
        (500, "one", "the auth service gave no verdict"),
        (200, "two", "the auth service gives verdicts again"),
        (200, "three", "the auth service gives verdicts again"),
    ] {
        status.store(answers, Ordering::Relaxed);
        let get = "GET /api/2.0/mlflow/runs/get HTTP/1.1\r\nhost: a\r\nauthorization: Bearer";
        ask(gateway.address, format!("{get} {key}\r\n\r\n")).await;
        the_line(folder.path(), message).await;
    }
}
