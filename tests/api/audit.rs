//! The record of who did what to what.

use std::{fs, path::Path};

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Gateway, GatewayBuilder, Server, ask,
    client::Connection,
    eventually,
    gateway::create_key,
    metric,
    process::{Process, command},
    server::Answer,
    stream,
};

struct Stage {
    folder: TempDir,
    mlflow: Server,
    gateway: Gateway,
}

impl Stage {
    async fn set(builder: GatewayBuilder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mlflow = Server::start(|request| match request.target() {
            target if target.ends_with("?fail") => Answer::json(500, "{}"),
            target if target.ends_with("?endless") => Answer::Endless,
            _ => Answer::ok("four"),
        })
        .await;
        let file = folder.path().join("audit.jsonl");
        let gateway = builder.set("AUDIT__OUTPUT", file.to_str().unwrap()).start(&mlflow).await;
        Self { folder, mlflow, gateway }
    }

    fn text(&self) -> String {
        fs::read_to_string(self.folder.path().join("audit.jsonl")).unwrap()
    }

    fn records(&self) -> Vec<Value> {
        stream::requests(&self.text())
    }

    async fn until(&self, count: usize) -> Vec<Value> {
        eventually("the records are written", async || self.records().len() >= count).await;
        self.records()
    }

    async fn send(&self, method: &str, target: &str, body: &str) {
        let rest = format!("x-request-id: r-1\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        ask(self.gateway.address, self.gateway.request(method, target, &rest)).await;
    }
}

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
async fn a_file_that_somebody_takes_away_is_begun_anew_and_the_chain_goes_on() {
    let stage = Stage::set(GatewayBuilder::default().set("AUDIT__MAX_SIZE", "1KiB")).await;
    let taken = stage.folder.path().join("taken");
    stage.send("POST", "/api/2.0/mlflow/runs/create", "{}").await;
    stage.until(1).await;
    fs::rename(stage.folder.path().join("audit.jsonl"), &taken).unwrap();
    for _ in 0..9 {
        stage.send("POST", "/api/2.0/mlflow/runs/create", "{}").await;
    }
    eventually("they are written", async || {
        metric(&stage.gateway, r#"audit_records_total{outcome="ok"}"#).await == 10.0
    })
    .await;
    let mut files: Vec<_> =
        fs::read_dir(stage.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| *file != taken);
    let text: String =
        [vec![taken], files].concat().iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_by_key(|line| serde_json::from_str::<Value>(line).unwrap()["number"].as_u64());
    assert_eq!(stream::whole(&lines.join("\n")), Some((1, 11)));
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

#[actix_web::test]
async fn a_full_file_is_put_aside_and_the_chain_goes_on() {
    let stage = Stage::set(GatewayBuilder::default().set("AUDIT__MAX_SIZE", "2KiB")).await;
    for _ in 0..20 {
        stage.send("POST", "/api/2.0/mlflow/runs/create", "{}").await;
    }
    eventually("they are written", async || {
        metric(&stage.gateway, r#"audit_records_total{outcome="ok"}"#).await == 20.0
    })
    .await;
    let mut files: Vec<_> =
        fs::read_dir(stage.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    // The one that is being written has no number in its name.
    files.rotate_left(1);
    assert!(files.len() > 2, "{files:?}");
    assert!(files.iter().all(|file| fs::metadata(file).unwrap().len() <= 2048));
    let verify = |files: &[std::path::PathBuf]| {
        command(stage.folder.path()).args(["audit", "verify"]).args(files).output().unwrap()
    };
    let whole = verify(&files);
    assert_eq!(String::from_utf8(whole.stdout).unwrap(), WHOLE);
    let changed = fs::read_to_string(&files[1]).unwrap().replacen("\"write\"", "\"read\"", 1);
    fs::write(&files[1], changed).unwrap();
    let found = verify(&files);
    assert_eq!(found.status.code(), Some(1));
    let text = String::from_utf8(found.stderr).unwrap();
    assert!(text.contains(&format!("{}, line 1: was changed", files[1].display())), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    let first = files.remove(0);
    let beheaded = verify(&files[1..]);
    assert_eq!(beheaded.status.code(), Some(1));
    assert!(String::from_utf8(beheaded.stderr).unwrap().contains("earlier records are missing"));
    let continued =
        command(stage.folder.path()).args(["audit", "verify", "--continued"]).args(&files[1..]).output();
    assert_eq!(continued.unwrap().status.code(), Some(0));
    files[0] = first;
    assert!(String::from_utf8(verify(&files).stderr).unwrap().contains("line 1: does not follow"));
}

const WHOLE: &str = "records 1 to 21, unchanged\n\
    not shown: whether records after 21 are missing, or the whole stream was rewritten\n";

fn serve(folder: &Path, mlflow: &Server, settings: &[(&str, &str)]) -> Process {
    let url = mlflow.url();
    let all: Vec<_> = [("MLFLOW_SERVER_URL", &*url)].into_iter().chain(settings.iter().copied()).collect();
    Process::serve(folder, &all)
}

#[actix_web::test]
async fn a_restart_goes_on_with_the_chain_and_only_one_process_writes_a_file() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(&folder.path().join("keys.toml"), "ada", None);
    let file = folder.path().join("audit.jsonl");
    let settings = [("HOKUSAI__AUDIT__OUTPUT", file.to_str().unwrap())];
    let post = format!(
        "POST /api/2.0/mlflow/runs/create HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\ncontent-length: 0\r\n\r\n",
        key.key.expose_secret()
    );
    for count in 1..=3 {
        let mut gateway = serve(folder.path(), &mlflow, &settings);
        ask(gateway.address, &post).await;
        if count == 1 {
            let second = command(folder.path())
                .arg("serve")
                .env("MLFLOW_SERVER_URL", mlflow.url())
                .env("HOKUSAI__SERVER__BIND", "127.0.0.1:0")
                .envs(settings)
                .output()
                .unwrap();
            assert_eq!(second.status.code(), Some(1));
            let log = String::from_utf8(second.stdout).unwrap();
            assert!(log.contains("another process writes it"), "{log}");
        }
        // What was added is written before it ends.
        gateway.terminate();
        gateway.wait();
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(stream::whole(&text), Some((1, 3 * count)), "each between its beginning and its end");
        assert!(stream::verify(&text).killed.is_empty());
    }
    fs::write(&file, fs::read_to_string(&file).unwrap() + "{\"number\":4,\"prev").unwrap();
    let mut gateway = serve(folder.path(), &mlflow, &settings);
    ask(gateway.address, &post).await;
    gateway.terminate();
    gateway.wait();
    let text = fs::read_to_string(&file).unwrap();
    let found = stream::verify(&text);
    let faults: Vec<_> = found.faults.iter().map(ToString::to_string).collect();
    assert_eq!(faults, ["line 10: was cut off while it was written, as record 10 says"]);
    assert_eq!(found.last(), Some(13), "and what stands behind it is looked at");
    let told = command(folder.path()).args(["audit", "verify", "audit.jsonl"]).output().unwrap();
    assert_eq!(told.status.code(), Some(1), "a record is missing");
}

#[actix_web::test]
async fn a_process_that_was_killed_is_told_by_the_next_one() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    create_key(&folder.path().join("keys.toml"), "ada", None);
    let file = folder.path().join("audit.jsonl");
    let settings = [("HOKUSAI__AUDIT__OUTPUT", file.to_str().unwrap())];
    let text = || fs::read_to_string(&file).unwrap_or_default();
    let killed = serve(folder.path(), &mlflow, &settings);
    eventually("it has begun", async || stream::lines(&text()).len() == 1).await;
    drop(killed);
    let mut stopped = serve(folder.path(), &mlflow, &settings);
    stopped.terminate();
    stopped.wait();
    let _running = serve(folder.path(), &mlflow, &settings);
    eventually("it has begun", async || stream::lines(&text()).len() == 4).await;
    let found = stream::verify(&text());
    assert_eq!((found.is_whole(), found.killed), (true, vec![1]));
    let told = command(folder.path()).args(["audit", "verify", "audit.jsonl"]).output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("record 1: its process was killed"), "{told}");
}

#[actix_web::test]
async fn by_default_records_are_lines_among_those_of_the_log() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    create_key(&folder.path().join("keys.toml"), "ada", None);
    let gateway = serve(folder.path(), &mlflow, &[]);
    ask(gateway.address, "GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    eventually("the record is there", async || {
        let records: String = log()
            .lines()
            .filter(|line| line.contains("\"previous\""))
            .map(|line| format!("{line}\n"))
            .collect();
        // The first one is that it was begun, before it listens.
        stream::whole(&records).is_some_and(|(_, last)| last == 2)
    })
    .await;
}
