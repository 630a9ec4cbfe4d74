//! Either side is killed at random, under load, and in the end the auth service's book equals the audit stream.

use std::{cell::Cell, collections::BTreeMap, fs, net::SocketAddr, path::Path, rc::Rc, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    ledger::{Book, Totals},
    restarts::{batches, serve, stop},
};
use crate::support::{Server, eventually, metric_at, server::Answer};

/// What is done at random; a test that failed names its seed.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(rand::random::<u64>);
        #[expect(clippy::print_stdout, reason = "so that a failure can be repeated")]
        {
            println!("SEED={seed}");
        }
        Self(seed | 1)
    }

    fn throw(&mut self, sides: u64) -> u64 {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    async fn pause(&mut self) {
        actix_rt::time::sleep(Duration::from_millis(30 + self.throw(300))).await;
    }
}

/// Clients that create experiments, wherever the gateway is just then.
struct Load {
    gateway: Rc<Cell<SocketAddr>>,
    is_over: Rc<Cell<bool>>,
    clients: Vec<actix_rt::task::JoinHandle<u64>>,
}

impl Load {
    fn begin(address: SocketAddr) -> Self {
        let (gateway, is_over) = (Rc::new(Cell::new(address)), Rc::new(Cell::new(false)));
        let clients = (0..4).map(|number| {
            let (gateway, is_over) = (Rc::clone(&gateway), Rc::clone(&is_over));
            actix_rt::spawn(async move {
                let mut answered = 0;
                while !is_over.get() {
                    answered += u64::from(create(gateway.get(), number).await);
                    actix_rt::time::sleep(Duration::from_millis(2)).await;
                }
                answered
            })
        });
        let clients = clients.collect();
        Self { gateway, is_over, clients }
    }

    /// How many were answered with 200.
    async fn end(self) -> u64 {
        self.is_over.set(true);
        let mut answered = 0;
        for client in self.clients {
            answered += client.await.unwrap();
        }
        answered
    }
}

async fn create(gateway: SocketAddr, key: u32) -> bool {
    let asking = async {
        let mut stream = TcpStream::connect(gateway).await?;
        let body = "{\"name\": \"n\"}";
        let head = "POST /api/2.0/mlflow/experiments/create HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";
        let request = format!(
            "{head}authorization: Bearer key-of-{key}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await?;
        std::io::Result::Ok(response.starts_with(b"HTTP/1.1 200"))
    };
    asking.await.unwrap_or(false)
}

/// What the audit stream says of requests that were admitted.
fn audited(folder: &Path) -> Totals {
    let mut totals = BTreeMap::new();
    for line in fs::read_to_string(folder.join("audit.jsonl")).unwrap().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        if record["route"] == "write"
            && record["outcome"] != "denied"
            && record["reason"] != "auth_unavailable"
        {
            let status = record["status"].as_u64().unwrap() as u16;
            *totals.entry((record["key_id"].as_str().unwrap().to_owned(), status)).or_default() += 1;
        }
    }
    totals
}

#[actix_web::test]
async fn whichever_side_is_killed_the_totals_are_those_of_the_audit_stream() {
    let mut dice = Dice::new();
    let (folder, book) = (tempfile::tempdir().unwrap(), Book::default());
    let mlflow = Server::start(|_| Answer::ok("{\"experiment_id\": \"1\"}")).await;
    let mut ledger = book.open().await;
    let address = ledger.server.address;
    let audit = folder.path().join("audit.jsonl");
    let settings = [
        ("HOKUSAI__AUDIT__OUTPUT", audit.to_str().unwrap()),
        ("HOKUSAI__AUTH__SERVICE__USAGE_INTERVAL", "100ms"),
    ];
    let mut gateway = serve(folder.path(), &ledger, &mlflow, &settings);
    let load = Load::begin(gateway.address);
    for _ in 0..12 {
        dice.pause().await;
        match dice.throw(3) {
            0 => {
                stop(gateway).await;
                gateway = serve(folder.path(), &ledger, &mlflow, &settings);
                load.gateway.set(gateway.address);
            }
            1 => {
                // In the middle of what it does, between taking a batch and its answer too.
                ledger.server.kill();
                dice.pause().await;
                ledger = book.open_at(address).await;
            }
            _ => {
                book.answer_batches(503);
                dice.pause().await;
                book.answer_batches(0);
            }
        }
    }
    let answered = load.end().await;
    stop(gateway).await;
    let last = serve(folder.path(), &ledger, &mlflow, &settings);
    let audited = audited(folder.path());
    let total = audited.values().sum();
    book.until(total).await;
    assert_eq!(book.totals(), audited);
    assert!(answered > 100 && total >= answered, "{answered} of {total}");
    stop(last).await;
    assert!(batches(folder.path()).is_empty(), "{:?}", batches(folder.path()));
}

#[actix_web::test]
async fn the_totals_of_one_process_are_those_of_its_metrics_however_often_the_service_is_killed() {
    let mut dice = Dice::new();
    let (folder, book) = (tempfile::tempdir().unwrap(), Book::default());
    let mlflow = Server::start(|_| Answer::ok("{\"experiment_id\": \"1\"}")).await;
    let mut ledger = book.open().await;
    let address = ledger.server.address;
    let settings = [
        ("HOKUSAI__AUTH__SERVICE__USAGE_INTERVAL", "100ms"),
        ("HOKUSAI__SERVER__WORKERS", "2"),
        ("HOKUSAI__AUDIT__OUTPUT", "off"),
    ];
    let gateway = serve(folder.path(), &ledger, &mlflow, &settings);
    let load = Load::begin(gateway.address);
    for _ in 0..6 {
        dice.pause().await;
        ledger.server.kill();
        dice.pause().await;
        ledger = book.open_at(address).await;
    }
    let answered = load.end().await;
    let metrics = gateway.metrics_address.unwrap();
    let named = r#"http_requests_total{method="POST",route="write",status="200"}"#;
    assert_eq!(metric_at(metrics, named).await, Some(answered as f64));
    book.until(answered).await;
    let told = r#"usage_reports_total{outcome="ok"}"#;
    eventually("all are counted", async || metric_at(metrics, told).await == Some(answered as f64)).await;
    drop(ledger);
    stop(gateway).await;
}
