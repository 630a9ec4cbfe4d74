//! The audit stream on a full disk: what is lost is told, and where nothing may be lost nothing is changed.
//!
//! The disk is full as far as a limit on the size of files makes it (`RLIMIT_FSIZE`, which needs no rights): a write is done in
//! part, as on a disk. tests/e2e/test_full_disk.py fills a real one, before a real MLflow.

use std::{fs, path::PathBuf, time::Duration};

use secrecy::ExposeSecret as _;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    Response, Server, ask,
    client::{Connection, metric_at},
    eventually,
    gateway::create_key,
    process::{Process, command},
    server::Answer,
    stream,
};

const ROOM: u64 = 4096;

struct Stage {
    folder: TempDir,
    mlflow: Server,
    gateway: Process,
    key: String,
}

impl Stage {
    async fn set(on_failure: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mlflow = Server::start(|_| Answer::ok("{}")).await;
        let key = create_key(&folder.path().join("keys.toml"), "ada", None).key.expose_secret().to_owned();
        let (url, file) = (mlflow.url(), folder.path().join("audit.jsonl"));
        let settings = [
            ("MLFLOW_SERVER_URL", &*url),
            ("HOKUSAI__AUDIT__OUTPUT", file.to_str().unwrap()),
            ("HOKUSAI__AUDIT__ON_FAILURE", on_failure),
        ];
        let gateway = Process::serve_with_little_room(folder.path(), ROOM, &settings);
        Self { folder, mlflow, gateway, key }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    async fn delete(&self) -> Response {
        ask(self.gateway.address, delete(&self.key)).await
    }

    /// The requests that reached MLflow, the prober's apart.
    fn deleted(&self) -> usize {
        self.mlflow.requests().iter().filter(|request| request.target().ends_with("runs/delete")).count()
    }

    fn verify(&self) -> (Option<i32>, String) {
        let output = command(self.folder.path()).args(["audit", "verify", "audit.jsonl"]).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    }
}

fn delete(key: &str) -> String {
    let body = r#"{"run_id": "1"}"#;
    format!(
        "POST /api/2.0/mlflow/runs/delete HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[actix_web::test]
async fn what_a_full_disk_did_not_take_is_a_line_of_the_stream_as_soon_as_there_is_room() {
    let stage = Stage::set("open").await;
    for _ in 0..20 {
        assert_eq!(stage.delete().await.status, 200);
    }
    assert_eq!(stage.deleted(), 20);
    let metrics = stage.gateway.metrics_address.unwrap();
    let count = async |outcome| {
        metric_at(metrics, &format!(r#"audit_records_total{{outcome="{outcome}"}}"#))
            .await
            .unwrap_or_default()
    };
    eventually("each is written or lost", async || count("ok").await + count("failed").await == 20.0).await;
    let text = stage.text();
    assert!(text.len() as u64 <= ROOM && text.ends_with("\"}\n"), "nothing half is left: {text}");
    assert_eq!(stream::lines(&text).len(), text.lines().count());
    let kept = stream::requests(&text).len();
    assert!(kept > 0 && kept < 20, "{kept}");
    stage.gateway.give_room();
    let lost = |of: &str| {
        let events = stream::events(&stage.text(), "lost");
        events.iter().map(|event| event[of].as_u64().unwrap()).sum::<u64>()
    };
    eventually("it is told, without another record", async || lost("lost") + kept as u64 == 20).await;
    assert_eq!(lost("changes"), lost("lost"));
    let (code, told) = stage.verify();
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("records were lost"), "{told}");
    assert!(stream::verify(&stage.text()).faults.is_empty(), "and nothing else is wrong");
    assert_eq!(stage.delete().await.status, 200);
    eventually("records are kept again", async || stream::requests(&stage.text()).len() == kept + 1).await;
}

#[actix_web::test]
async fn where_a_change_must_have_its_record_none_reaches_mlflow_without_one() {
    let mut stage = Stage::set("closed").await;
    let mut answers = Vec::new();
    while answers.len() < 20 {
        answers.push(stage.delete().await);
    }
    let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert!(!made.is_empty() && !refused.is_empty());
    for answer in refused {
        assert_eq!((answer.status, &*answer.reason()), (503, "audit_unavailable"), "{answer:?}");
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(stage.deleted(), made.len(), "what was refused was not forwarded");
    let begun = |text: &str| stream::requests(text).iter().filter(|line| line["outcome"] == "begun").count();
    assert_eq!(begun(&stage.text()), made.len(), "and what was forwarded was written down before");
    let read = "GET /api/2.0/mlflow/runs/get?run_id=1 HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ";
    let read = ask(stage.gateway.address, format!("{read}{}\r\n\r\n", stage.key)).await;
    assert_eq!(read.status, 200, "what leaves no record is served");

    stage.gateway.give_room();
    assert_eq!(stage.delete().await.status, 200);
    stage.gateway.terminate();
    stage.gateway.wait();
    let (text, forwarded) = (stage.text(), stage.deleted());
    assert_eq!(begun(&text), forwarded);
    // The outcome of the last one before the disk was full may be what was lost.
    let found = stream::verify(&text);
    let changes: u64 = found.lost.iter().map(|lost| lost.changes).sum();
    assert!(changes <= 1 && found.unended.len() as u64 == changes, "{found:?}");
    let last = stream::requests(&text).pop().unwrap();
    let before = stream::requests(&text).iter().rposition(|line| line["outcome"] == "begun").unwrap();
    assert_eq!(last["begun"], stream::requests(&text)[before]["number"], "the outcome names its beginning");
    assert_eq!((&last["outcome"], &last["subject"]), (&json!("ok"), &json!({ "run_id": "1" })));
}

#[actix_web::test]
async fn what_waits_to_be_written_is_bounded_and_what_there_is_no_room_for_is_told() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(&folder.path().join("keys.toml"), "ada", None).key.expose_secret().to_owned();
    let settings = [
        ("MLFLOW_SERVER_URL", &*mlflow.url()),
        ("HOKUSAI__TELEMETRY__FILTER", "info,hokusai_gateway::request=off"),
    ];
    let mut gateway = Process::serve_unread(folder.path(), &settings);
    // Each record of 8 KiB, and room for some 800.
    let names: serde_json::Map<_, _> =
        (0..14).map(|number| (format!("a{number}_id"), json!("x".repeat(500)))).collect();
    let body = serde_json::Value::Object(names).to_string();
    let change = format!(
        "POST /api/2.0/mlflow/runs/delete HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    const CHANGES: u64 = 1_000;
    let mut connection = Connection::open(gateway.address).await;
    for _ in 0..CHANGES {
        connection.send(&change).await;
        assert_eq!(connection.response(false).await.status, 200, "nobody waits for a record");
    }
    let stranger = "GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n";
    assert_eq!(ask(gateway.address, stranger).await.status, 404);
    let (mut kept, mut lost, mut others, mut lost_changes) = (0, 0, 0, 0);
    while kept + lost + others < CHANGES + 1 {
        let line = gateway.next_line();
        let Some(line) = stream::lines(&line).pop() else { continue };
        kept += u64::from(line["outcome"] == "ok");
        others += u64::from(line["outcome"] == "denied");
        lost += line["lost"].as_u64().unwrap_or(0);
        lost_changes += line["changes"].as_u64().unwrap_or(0);
    }
    assert_eq!((others, lost_changes), (1, lost), "a refusal has room of its own");
    assert!((700..900).contains(&kept), "{kept} kept, {lost} lost");
}

#[actix_web::test]
async fn a_stream_that_nobody_takes_refuses_changes_after_a_second_and_holds_no_read_up() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(&folder.path().join("keys.toml"), "ada", None).key.expose_secret().to_owned();
    let closed = [("HOKUSAI__AUDIT__ON_FAILURE", "closed"), ("MLFLOW_SERVER_URL", &*mlflow.url())];
    let gateway = Process::serve_unread(folder.path(), &closed);
    let answer = loop {
        let asked = std::time::Instant::now();
        let answer = ask(gateway.address, delete(&key)).await;
        assert!(asked.elapsed() < Duration::from_secs(10), "nobody waits without a deadline");
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!((answer.status, &*answer.reason()), (503, "audit_unavailable"));
    let read = "GET /api/2.0/mlflow/runs/get?run_id=1 HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ";
    assert_eq!(ask(gateway.address, format!("{read}{key}\r\n\r\n")).await.status, 200);
}
