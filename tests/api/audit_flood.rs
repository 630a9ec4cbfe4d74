//! The audit stream under a flood: it stays small, tells every change, and counts the rest.

use std::{fs, path::PathBuf};

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Server, ask,
    client::Connection,
    gateway::create_key,
    process::{Process, command},
    server::Answer,
    stream,
};

/// A process that writes a file.
struct Flooded {
    folder: TempDir,
    _mlflow: Server,
    gateway: Process,
    key: String,
    key_id: String,
}

impl Flooded {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mlflow = Server::start(|_| Answer::ok("{}")).await;
        let key = create_key(&folder.path().join("keys.toml"), "ada", None);
        let (url, file) = (mlflow.url(), folder.path().join("audit.jsonl"));
        let ours = [("MLFLOW_SERVER_URL", &*url), ("HOKUSAI__AUDIT__OUTPUT", file.to_str().unwrap())];
        let gateway = Process::serve(folder.path(), &[&ours, settings].concat());
        Self { folder, _mlflow: mlflow, gateway, key: key.key.expose_secret().to_owned(), key_id: key.id }
    }

    /// Sends so many requests over one connection, each with what is told of it, and tells their statuses, each once.
    async fn send(&self, count: usize, request: impl Fn(usize) -> String) -> Vec<u16> {
        let mut connection = Connection::open(self.gateway.address).await;
        let mut statuses = Vec::new();
        for number in 0..count {
            connection.send(request(number)).await;
            let response = connection.response(false).await;
            statuses.push(response.status);
            if response.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
                connection = Connection::open(self.gateway.address).await;
            }
        }
        statuses.sort_unstable();
        statuses.dedup();
        statuses
    }

    async fn change(&self, number: usize) {
        let delete = format!(
            "POST /api/2.0/mlflow/runs/delete HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\
             content-length: {}\r\n\r\n{}",
            self.key,
            json!({ "run_id": number.to_string() }).to_string().len(),
            json!({ "run_id": number.to_string() })
        );
        assert_eq!(ask(self.gateway.address, delete).await.status, 200);
    }

    /// What it has written when it has stopped; nothing is missing from it.
    fn stop(&mut self) -> String {
        self.gateway.terminate();
        assert!(self.gateway.wait().success());
        let text = fs::read_to_string(self.file()).unwrap();
        assert!(stream::whole(&text).is_some(), "{:?}", stream::verify(&text));
        let verified = command(self.folder.path()).args(["audit", "verify", "audit.jsonl"]).output().unwrap();
        assert_eq!(verified.status.code(), Some(0), "{verified:?}");
        text
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }
}

fn changes(text: &str) -> Vec<String> {
    let records = stream::requests(text).into_iter().filter(|record| record["outcome"] == "ok");
    records.map(|record| record["subject"]["run_id"].as_str().unwrap().to_owned()).collect()
}

fn refusals(text: &str) -> Vec<Value> {
    stream::requests(text).into_iter().filter(|record| record["outcome"] == "denied").collect()
}

fn counted(text: &str) -> u64 {
    stream::events(text, "more").iter().map(|sum| sum["more"].as_u64().unwrap()).sum()
}

#[actix_web::test]
async fn strangers_leave_a_few_short_lines_and_a_sum_and_every_change_meanwhile_has_its_record() {
    let mut flooded = Flooded::start(&[]).await;
    let long = "x".repeat(4_400);
    let request = |_| format!("POST /api/2.0/mlflow/runs/{long}?run_id={long} HTTP/1.1\r\nhost: a\r\n\r\n");
    let flood = async {
        for _ in 0..10 {
            assert!(flooded.send(200, request).await.iter().all(|status| [401, 404].contains(status)));
        }
    };
    let changing = async {
        for number in 0..50 {
            flooded.change(number).await;
        }
    };
    futures_util::future::join(flood, changing).await;
    let text = flooded.stop();
    assert_eq!(changes(&text), (0..50).map(|number| number.to_string()).collect::<Vec<_>>());
    let refusals = refusals(&text);
    assert_eq!(refusals.len() as u64 + counted(&text), 2_000, "all are told or counted");
    assert!(refusals.len() <= 40, "a minute may have ended meanwhile: {}", refusals.len());
    for record in &refusals {
        assert_eq!((&record["subject"], record["path"].as_str().unwrap().len()), (&json!({}), 256));
    }
    assert!(text.len() < 100_000, "{} bytes", text.len());
    let sum = &stream::events(&text, "more")[0];
    assert_eq!((&sum["client_ip"], &sum["key_id"]), (&json!("127.0.0.1"), &Value::Null));
}

#[actix_web::test]
async fn many_addresses_together_leave_no_more_than_a_bound_and_are_all_counted() {
    let mut flooded = Flooded::start(&[("HOKUSAI__SERVER__TRUSTED_PROXIES", "127.0.0.1")]).await;
    let request = |number: usize| {
        format!(
            "GET /nowhere HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 2001:db8:{:x}:{:x}::1\r\n\r\n",
            number / 65_536,
            number % 65_536
        )
    };
    flooded.send(3_000, request).await;
    flooded.change(7).await;
    let text = flooded.stop();
    assert_eq!(changes(&text), ["7"]);
    assert_eq!(refusals(&text).len() as u64 + counted(&text), 3_000);
    assert!(refusals(&text).len() <= 1_200, "600 in a minute: {}", refusals(&text).len());
    assert!(stream::events(&text, "more").len() <= 66, "{}", stream::events(&text, "more").len());
}

#[actix_web::test]
async fn a_key_that_is_refused_all_the_time_crowds_nobody_out() {
    let mut flooded = Flooded::start(&[]).await;
    let names = "x".repeat(500);
    let request = |_| {
        let query: Vec<_> = (0..14).map(|number| format!("a{number}_id={names}")).collect();
        format!(
            "GET /api/3.0/mlflow/workspaces?{} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\r\n",
            query.join("&"),
            flooded.key
        )
    };
    assert_eq!(flooded.send(500, request).await, [403]);
    let nameless = |_| "GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n".to_owned();
    flooded.send(1, nameless).await;
    flooded.change(7).await;
    let text = flooded.stop();
    assert_eq!(changes(&text), ["7"]);
    let refusals = refusals(&text);
    assert!(refusals.iter().any(|record| record["reason"] == "route_unknown"), "others have their record");
    assert!(refusals.len() <= 41, "{}", refusals.len());
    assert_eq!(refusals.len() as u64 + counted(&text), 501);
    let sum = &stream::events(&text, "more")[0];
    assert_eq!((&sum["client_ip"], &sum["key_id"]), (&Value::Null, &json!(flooded.key_id)));
}
