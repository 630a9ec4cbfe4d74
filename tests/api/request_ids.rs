//! The id of a request, on every event that the request causes.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join;
use hokusai_gateway::auth::{
    key::Environment,
    key_file::edit::{self, NewKey},
};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::support::{
    Response, Server, ask, eventually,
    process::{Process, command},
    redis::Redis,
    server::Answer,
};

/// All that steps say, and nothing of others.
const FILTER: (&str, &str) = ("HOKUSAI__TELEMETRY__FILTER", "info,hokusai_gateway=debug");

/// A key that may only read.
fn create_key(folder: &Path) -> String {
    let key = NewKey { scopes: Some(vec!["mlflow:read".to_owned()]), ..NewKey::of("ada", Environment::Test) };
    edit::create(&folder.join("keys.toml"), &key).unwrap().key.expose_secret().to_owned()
}

async fn write_a_run(gateway: &Process, key: &str, id: &str) -> Response {
    let head = "POST /api/2.0/mlflow/runs/create HTTP/1.1\r\nhost: a\r\ncontent-length: 0";
    ask(gateway.address, format!("{head}\r\nauthorization: Bearer {key}\r\nx-request-id: {id}\r\n\r\n")).await
}

/// The messages of the events of one request, sorted; its one line is not among them.
fn events(log: &str, id: &str) -> Vec<String> {
    let of_request = log.lines().filter(|line| line.contains("\"request_id\""));
    let mut messages = Vec::new();
    for line in of_request {
        assert_eq!(line.matches("\"request_id\"").count(), 1, "{line}");
        let event: Value = serde_json::from_str(line).unwrap();
        if event["request_id"] == id && event.get("target").is_some() {
            messages.push(event["message"].as_str().unwrap().to_owned());
        }
    }
    messages.sort();
    messages
}

#[actix_web::test]
async fn events_of_every_step_carry_the_id_of_their_own_request() {
    let mlflow =
        Server::start(|_| Answer::After(Duration::from_millis(100), b"no HTTP at all\r\n\r\n".into())).await;
    // Connections are made, and nobody answers: each request waits, and the other goes on.
    let redis = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(folder.path());
    let settings = [
        ("MLFLOW_SERVER_URL", &*mlflow.url()),
        ("HOKUSAI__REDIS__URL", &format!("redis://{}", redis.local_addr().unwrap())),
        ("HOKUSAI__POLICY__MODE", "report"),
        ("HOKUSAI__LIMITS__MODE", "report"),
        ("HOKUSAI__LIMITS__PER_HOUR", "1"),
        ("HOKUSAI__AUDIT__OUTPUT", "off"),
        FILTER,
    ];
    let mut gateway = Process::serve(folder.path(), &settings);
    // It takes the only token.
    write_a_run(&gateway, &key, "before").await;
    let both = join(write_a_run(&gateway, &key, "one"), write_a_run(&gateway, &key, "two")).await;
    assert_eq!((both.0.status, both.1.status), (502, 502));
    gateway.terminate();
    gateway.wait();
    let log = || fs::read_to_string(folder.path().join("log")).unwrap();
    eventually("the log is read", async || log().contains("\"stopped\"")).await;
    for id in ["one", "two"] {
        assert_eq!(
            events(&log(), id),
            [
                "a call to Redis failed",
                "request failed",
                "the policy would have denied this",
                "the rate limit would have refused this",
            ],
            "{id}: {}",
            log()
        );
    }
}

#[actix_web::test]
async fn what_a_task_of_its_own_says_carries_the_id_of_the_request_that_started_it() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let auth = Server::start(|_| Answer::page(500)).await;
    let folder = tempfile::tempdir().unwrap();
    let settings = [("MLFLOW_SERVER_URL", &*mlflow.url()), ("HOKUSAI_AUTH_SERVICE_URL", &auth.url())];
    let mut gateway = Process::serve(folder.path(), &settings);
    assert_eq!(write_a_run(&gateway, "some-key", "asks").await.status, 503);
    gateway.terminate();
    gateway.wait();
    let log = || fs::read_to_string(folder.path().join("log")).unwrap();
    eventually("the log is read", async || log().contains("\"stopped\"")).await;
    assert_eq!(events(&log(), "asks"), ["request failed", "the auth service gave no verdict"], "{}", log());
}

#[actix_web::test]
async fn what_is_told_to_redis_and_what_is_no_request_carry_an_id_as_well() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let (is_revoked, folder) = (Arc::new(AtomicBool::new(false)), tempfile::tempdir().unwrap());
    let revoked = Arc::clone(&is_revoked);
    let auth = Server::start(move |_| {
        let is_valid = !revoked.load(Ordering::Relaxed);
        Answer::ok(&format!(r#"{{"is_valid": {is_valid}, "key_id": "k-1", "user_id": "ada"}}"#))
    })
    .await;
    let mut redis = Redis::start(&[]);
    let settings = [
        ("MLFLOW_SERVER_URL", &*mlflow.url()),
        ("HOKUSAI_AUTH_SERVICE_URL", &auth.url()),
        ("REDIS_URL", &redis.url()),
        ("HOKUSAI__AUTH__CACHE__TTL", "100ms"),
        FILTER,
    ];
    let mut gateway = Process::serve(folder.path(), &settings);
    write_a_run(&gateway, "some-key", "before").await;
    redis.stop();
    is_revoked.store(true, Ordering::Relaxed);
    actix_rt::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(write_a_run(&gateway, "some-key", "finds").await.status, 401);
    ask(gateway.address, "no request\r\n\r\n").await;
    let log = || fs::read_to_string(folder.path().join("log")).unwrap();
    eventually("it is told", async || log().contains("a revocation did not reach Redis")).await;
    gateway.terminate();
    gateway.wait();
    eventually("the log is read", async || log().contains("\"stopped\"")).await;
    let mut found = events(&log(), "finds");
    found.dedup();
    let expected =
        ["a call to Redis failed", "a revocation did not reach Redis", "request refused", "revoked"];
    assert_eq!(found, expected, "{}", log());
    let of_requests = |line: &&str| expected.iter().any(|message| line.contains(message));
    for line in log().lines().filter(of_requests) {
        assert!(line.contains("\"request_id\""), "{line}");
    }
    assert_eq!(log().matches("request refused").count(), 2, "{}", log());
}

#[actix_web::test]
async fn in_text_as_well_an_event_has_the_id_once() {
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(folder.path());
    let mut child = command(folder.path())
        .args(["serve"])
        .envs([
            ("HOKUSAI__SERVER__BIND", "127.0.0.1:0"),
            ("HOKUSAI__SERVER__SETTLE_TIME", "0s"),
            ("HOKUSAI__TELEMETRY__LOG", "text"),
            ("MLFLOW_SERVER_URL", "http://127.0.0.1:1"),
            ("NO_COLOR", "1"),
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let address = output.by_ref().lines().map(Result::unwrap).find_map(|line| {
        let (_, rest) = line.split_once("listening address=")?;
        rest.split_whitespace().next()?.parse().ok()
    });
    let get = format!(
        "GET /api/2.0/mlflow/runs/get HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\nx-request-id: mine\r\n\r\n"
    );
    assert_eq!(ask(address.unwrap(), get).await.status, 502);
    let event = output.lines().map(Result::unwrap).find(|line| line.contains("request failed")).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(event.contains("request{request_id=\"mine\"}"), "{event}");
    assert_eq!(event.matches("mine").count(), 1, "{event}");
}
