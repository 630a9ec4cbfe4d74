//! The log of a process: what it holds of each request, and that nobody waits for it.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use hokusai_gateway::auth::{
    key::{Environment, generate},
    key_file::edit::{self, NewKey},
};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::support::{
    Server, ask, eventually, gateway::create_key as create_key_of, process::Process, server::Answer,
};

fn create_key(folder: &Path) -> String {
    let created = edit::create(&folder.join("keys.toml"), &NewKey::of("ada", Environment::Test)).unwrap();
    created.key.expose_secret().to_owned()
}

fn request(key: &str, line: &str, trace: &str) -> String {
    format!(
        "{line} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\
         traceparent: 00-{trace}-00f067aa0ba902b7-01\r\ncontent-length: 0\r\n\r\n"
    )
}

/// The request lines of a process that has ended.
fn lines(folder: &Path) -> Vec<Value> {
    let log = fs::read_to_string(folder.join("log")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["message"] == "request").collect()
}

#[actix_web::test]
async fn sampling_leaves_out_successful_reads_and_nothing_else() {
    let mlflow = Server::start(|request| match request.target() {
        "/api/2.0/mlflow/runs/get?fail" => Answer::json(500, "{}"),
        "/api/2.0/mlflow/runs/get?redirect" => Answer::json(302, "{}"),
        "/api/2.0/mlflow/runs/get?broken" => {
            Answer::bytes_then_close("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}")
        }
        _ => Answer::ok("{}"),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(folder.path());
    let settings = [("MLFLOW_SERVER_URL", &*mlflow.url()), ("HOKUSAI__TELEMETRY__SAMPLE_READS", "0")];
    let mut gateway = Process::serve(folder.path(), &settings);
    for line in [
        "GET /api/2.0/mlflow/runs/get?dropped",
        "POST /api/2.0/mlflow/runs/search",
        "GET /live",
        "POST /api/2.0/mlflow/runs/create",
        "GET /api/2.0/mlflow/runs/get?fail",
        "GET /api/2.0/mlflow/runs/get?redirect",
        "GET /api/2.0/mlflow/runs/get?broken",
        "GET /nowhere",
        "GET /api/3.0/mlflow/workspaces",
    ] {
        ask(gateway.address, request(&key, line, "0af7651916cd43dd8448eb211c80319c")).await;
    }
    gateway.terminate();
    gateway.wait();
    eventually("the log is read", async || lines(folder.path()).len() >= 5).await;
    let told: Vec<String> = lines(folder.path())
        .iter()
        .map(|line| {
            format!(
                "{} {} {}",
                line["path"].as_str().unwrap(),
                line["route"].as_str().unwrap(),
                line["status"]
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "/api/2.0/mlflow/runs/create write 200",
            "/api/2.0/mlflow/runs/get read 500",
            "/api/2.0/mlflow/runs/get read 200",
            "/nowhere unknown 404",
            "/api/3.0/mlflow/workspaces admin 403",
        ]
    );
}

#[actix_web::test]
async fn a_key_of_ours_that_has_ended_is_named_in_the_log_and_no_client_is_told_which_it_was() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.toml");
    let expired = create_key_of(&file, "eve", Some(Timestamp::now() - SignedDuration::from_hours(1)));
    let revoked = create_key_of(&file, "mallory", None);
    edit::revoke(&file, &revoked.id).unwrap();
    let unknown = generate(Environment::Test);
    let mut gateway = Process::serve(folder.path(), &[("MLFLOW_SERVER_URL", &mlflow.url())]);
    let mut answers = Vec::new();
    for key in [&expired.key, &revoked.key, &unknown] {
        let get =
            request(key.expose_secret(), "GET /api/2.0/mlflow/runs/get", "0af7651916cd43dd8448eb211c80319c");
        let answer = ask(gateway.address, get).await;
        let mut body = answer.json();
        body.as_object_mut().unwrap().remove("request_id");
        answers.push((answer.status, body));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "one answer for all: {answers:?}");
    gateway.terminate();
    gateway.wait();
    eventually("the log is read", async || lines(folder.path()).len() >= 3).await;
    let told: Vec<_> = lines(folder.path())
        .iter()
        .map(|line| json!([line["key_id"], line["user_id"], line["key_state"]]))
        .collect();
    assert_eq!(
        told,
        [
            json!([expired.id, "eve", "expired"]),
            json!([revoked.id, "mallory", "revoked"]),
            json!([null, null, "unknown"])
        ]
    );
    // The audit stream, among the lines by default.
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    let records =
        log.lines().filter(|line| line.contains("\"previous\"") && line.contains("credential_rejected"));
    let records: Vec<Value> = records.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        records
            .iter()
            .map(|record| json!([record["key_id"], record["user_id"], record["key_state"]]))
            .collect::<Vec<_>>(),
        told
    );
}

#[actix_web::test]
async fn a_key_that_the_auth_service_vouched_for_before_is_named_when_it_is_refused() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let (asked, folder) = (AtomicUsize::new(0), tempfile::tempdir().unwrap());
    let auth = Server::start(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => {
            Answer::ok(r#"{"is_valid": true, "key_id": "k-7", "user_id": "u-7", "scopes": ["mlflow:read"]}"#)
        }
        _ => Answer::ok(r#"{"is_valid": false}"#),
    })
    .await;
    let (mlflow_url, auth_url) = (mlflow.url(), auth.url());
    let settings = [
        ("MLFLOW_SERVER_URL", &*mlflow_url),
        ("HOKUSAI_AUTH_SERVICE_URL", &*auth_url),
        ("HOKUSAI__AUTH__CACHE__TTL", "50ms"),
    ];
    let mut gateway = Process::serve(folder.path(), &settings);
    let get = || request("some-key", "GET /api/2.0/mlflow/runs/get", "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(ask(gateway.address, get()).await.status, 200);
    actix_rt::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(ask(gateway.address, get()).await.status, 401);
    gateway.terminate();
    gateway.wait();
    eventually("the log is read", async || lines(folder.path()).len() >= 2).await;
    let refused = &lines(folder.path())[1];
    assert_eq!(
        json!([refused["key_id"], refused["user_id"], refused["key_state"]]),
        json!(["k-7", "u-7", "refused"])
    );
}

#[actix_web::test]
async fn the_filter_can_leave_out_request_lines_and_nothing_else() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(folder.path());
    let filter = ("HOKUSAI__TELEMETRY__FILTER", "info,hokusai_gateway::request=off");
    let mut gateway = Process::serve(folder.path(), &[("MLFLOW_SERVER_URL", &mlflow.url()), filter]);
    let get = request(&key, "GET /api/2.0/mlflow/runs/get", "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(ask(gateway.address, get).await.status, 200);
    gateway.terminate();
    gateway.wait();
    assert!(lines(folder.path()).is_empty());
    assert!(fs::read_to_string(folder.path().join("log")).unwrap().contains("\"stopped\""));
}

/// Whoever chose the id by which lines are left out could hide from the log, or fill it.
#[actix_web::test]
async fn no_client_can_choose_whether_its_reads_have_lines() {
    const REQUESTS: usize = 200;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    for trace in ["0af7651916cd43dd8448eb2100000001", "0af7651916cd43dd8448eb21ffffffff"] {
        let folder = tempfile::tempdir().unwrap();
        let key = create_key(folder.path());
        let settings = [("MLFLOW_SERVER_URL", &*mlflow.url()), ("HOKUSAI__TELEMETRY__SAMPLE_READS", "0.5")];
        let mut gateway = Process::serve(folder.path(), &settings);
        let get = request(&key, "GET /api/2.0/mlflow/runs/get", trace);
        let get = get.replace("\r\n\r\n", &format!("\r\nx-request-id: {trace}\r\n\r\n"));
        for _ in 0..REQUESTS {
            assert_eq!(ask(gateway.address, &get).await.status, 200);
        }
        gateway.terminate();
        gateway.wait();
        let log = || fs::read_to_string(folder.path().join("log")).unwrap();
        eventually("the log is read", async || log().contains("\"stopped\"")).await;
        // Half of them, give or take eight standard deviations.
        let told = lines(folder.path()).len();
        assert!((43..=157).contains(&told), "{told} of {REQUESTS}");
    }
}

#[actix_web::test]
async fn a_log_that_nobody_reads_holds_no_request_up() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(folder.path());
    let gateway = Process::serve_unread(folder.path(), &[("MLFLOW_SERVER_URL", &mlflow.url())]);
    // A pipe holds 64 KiB, and each line has a few hundred bytes.
    for _ in 0..1000 {
        let get = request(&key, "GET /api/2.0/mlflow/runs/get", "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(ask(gateway.address, get).await.status, 200);
    }
}

#[actix_web::test]
async fn what_is_refused_is_not_told_under_the_name_of_the_request_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    create_key(folder.path());
    let mut gateway = Process::serve(folder.path(), &[("MLFLOW_SERVER_URL", "http://127.0.0.1:9")]);
    let refused =
        "POST /refused HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n";
    let both = format!("{refused}GET /behind HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(ask(gateway.address, both).await.status, 400);
    gateway.terminate();
    gateway.wait();
    eventually("the log is read", async || !lines(folder.path()).is_empty()).await;
    let told = lines(folder.path());
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0]["method"], &told[0]["path"]), (&json!("-"), &json!("")), "{told:?}");
}
