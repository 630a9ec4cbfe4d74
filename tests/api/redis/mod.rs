//! What instances share through a real Redis, and that none of its failures is theirs.

mod fleets;
mod outages;
mod revocations;
mod verdicts;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;
use tokio::time::timeout;

use crate::support::{
    Gateway, GatewayBuilder, Response, Server, ask,
    client::Connection,
    eventually,
    process::Process,
    redis::{Redis, cli as redis_cli},
    server::Answer,
};

const VALID: &str = r#"{"is_valid": true, "user_id": "u-1", "key_id": "k-1"}"#;

/// An auth service that accepts every key until it is told to refuse them, and a fake MLflow.
struct Stage {
    auth: Server,
    mlflow: Server,
    refuses: Arc<AtomicBool>,
}

impl Stage {
    async fn set() -> Self {
        let refuses = Arc::new(AtomicBool::new(false));
        let refusing = Arc::clone(&refuses);
        let auth = Server::start(move |_| {
            Answer::ok(if refusing.load(Ordering::Relaxed) { r#"{"is_valid": false}"# } else { VALID })
        });
        let mlflow = Server::start(|_| Answer::ok("{}"));
        Self { auth: auth.await, mlflow: mlflow.await, refuses }
    }

    async fn gateway(&self, redis_url: &str) -> Gateway {
        self.gateway_with(redis_url, "a pepper of the fleet's").await
    }

    async fn gateway_with(&self, redis_url: &str, pepper: &str) -> Gateway {
        let before = settled_listeners(redis_url).await;
        let gateway = self.gateway_that_may_not_listen(redis_url, pepper).await;
        // What it asks in the moment in which it begins to listen for revocations it asks twice.
        if before.is_some() {
            eventually("it listens", async || listeners(redis_url) > before).await;
        }
        gateway
    }

    async fn gateway_that_may_not_listen(&self, redis_url: &str, pepper: &str) -> Gateway {
        GatewayBuilder::default()
            .set("AUTH__SERVICE__URL", &self.auth.url())
            .set("AUTH__PEPPER", pepper)
            .set("REDIS__URL", redis_url)
            .start(&self.mlflow)
            .await
    }

    fn calls(&self) -> usize {
        self.auth.validations().len()
    }
}

fn get_with(key: &str) -> String {
    format!("GET /api/2.0/mlflow/runs/get HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\r\n")
}

async fn get(gateway: &Gateway) -> Response {
    ask(gateway.address, get_with("the-key")).await
}

/// How many listen for revocations, where one server says so for all.
fn listeners(url: &str) -> Option<usize> {
    let port = url.strip_prefix("redis://127.0.0.1:")?.parse().ok()?;
    let answer = redis_cli(port, &["pubsub", "numsub", "hokusai:revoked"]);
    answer.split_whitespace().last()?.parse().ok()
}

/// The same without a gateway's test of its own Redis, which listens for a moment.
async fn settled_listeners(url: &str) -> Option<usize> {
    let mut fewest = listeners(url)?;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        fewest = fewest.min(listeners(url)?);
    }
    Some(fewest)
}

async fn until_listening(redis: &Redis, count: usize) {
    eventually("the gateways listen", async || listeners(&redis.url()) >= Some(count)).await;
}

/// A gateway that listens for revocations and has shared its verdict on the key.
async fn gateway_that_remembers(stage: &Stage, redis: &Redis) -> Gateway {
    let gateway = stage.gateway(&redis.url()).await;
    until_listening(redis, 1).await;
    assert_eq!(get(&gateway).await.status, 200);
    until_stored(redis).await;
    gateway
}

async fn until_status(gateway: &Gateway, status: u16) {
    eventually("the status changes", async || get(gateway).await.status == status).await;
}

/// Waits until Redis holds a key that `wanted` accepts, and tells it. (The actors run on the thread of the test.)
async fn until_some_key(redis: &Redis, wanted: impl Fn(&str) -> bool) -> String {
    let found = || redis.cli(&["--scan"]).lines().find(|key| wanted(key)).map(str::to_owned);
    eventually("such a key is stored", async || found().is_some()).await;
    found().unwrap()
}

async fn until_stored(redis: &Redis) -> String {
    until_some_key(redis, |key| key.starts_with("hokusai:verdict:")).await
}

/// Two instances that share verdicts and revocations through `url`.
async fn a_fleet_shares_through(url: &str) {
    let stage = Stage::set().await;
    let first = stage.gateway(url).await;
    let second = stage.gateway(url).await;
    // A first connection may take longer than a request waits; a later request finds it.
    let shared = async || {
        let calls = stage.calls();
        let key = format!("key-{calls}");
        for gateway in [&first, &second] {
            assert_eq!(ask(gateway.address, get_with(&key)).await.status, 200);
            actix_rt::time::sleep(Duration::from_millis(50)).await;
        }
        stage.calls() == calls + 1
    };
    eventually("the second knows what the first was told", shared).await;
}

/// How many of the requests are admitted, taking turns among the addresses.
async fn admitted(fleet: &[SocketAddr], requests: usize) -> usize {
    let mut count = 0;
    for number in 0..requests {
        let response = ask(fleet[number % fleet.len()], get_with("the-key")).await;
        assert!([200, 429].contains(&response.status), "{response:?}");
        count += usize::from(response.status == 200);
    }
    count
}

const PER_HOUR: &str = "HOKUSAI__LIMITS__PER_HOUR";

/// Three processes that share one Redis, one auth service and their limits.
fn fleet_of_three(stage: &Stage, redis_url: &str, limit: (&str, &str)) -> Vec<(Process, TempDir)> {
    let serve = |_| {
        let folder = tempfile::tempdir().unwrap();
        let settings = [
            ("MLFLOW_SERVER_URL", stage.mlflow.url()),
            ("HOKUSAI_AUTH_SERVICE_URL", stage.auth.url()),
            ("HOKUSAI__AUTH__PEPPER", "a pepper of the fleet's".to_owned()),
            ("REDIS_URL", redis_url.to_owned()),
            (limit.0, limit.1.to_owned()),
            ("HOKUSAI__LIMITS__INSTANCES", "3".to_owned()),
        ];
        let settings: Vec<(&str, &str)> =
            settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        (Process::serve(folder.path(), &settings), folder)
    };
    (0..3).map(serve).collect()
}

fn addresses(fleet: &[(Process, TempDir)]) -> Vec<SocketAddr> {
    fleet.iter().map(|(process, _)| process.address).collect()
}

/// PUTs so many bytes as an artifact.
async fn put_artifact(address: SocketAddr, bytes: usize) -> u16 {
    let body = "x".repeat(bytes);
    let put = format!(
        "PUT /api/2.0/mlflow-artifacts/artifacts/a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer the-key\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    ask(address, put).await.status
}
