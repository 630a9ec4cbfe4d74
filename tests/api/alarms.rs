//! The CloudWatch alarms, put to the gateway's own data points: for each outage the right ones go off, and no others.

use std::{
    collections::BTreeSet,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use jiff::Timestamp;
use tempfile::TempDir;

use self::cloudwatch::{Period, off, periods};
use crate::support::{
    PATIENCE, Server, ask, eventually, metric_at,
    process::{Process, command},
    redis::Redis,
    server::Answer,
};

mod cloudwatch;

const PERIOD: &str = "2s";
const BODY: &str = r#"{"is_valid": true, "scopes": ["mlflow:read"]}"#;
/// How long MLflow takes where it is slow: longer than the alarm likes.
const SLOW: Duration = Duration::from_millis(700);

/// A gateway between things that can fail, and somebody who asks it all the time.
struct World {
    mlflow: Server,
    is_slow: Arc<AtomicBool>,
    auth: Server,
    redis: Redis,
    gateway: Process,
    folder: TempDir,
    /// How many ask at once. Each that finds a verdict too old is a miss, so they are as few as can be.
    askers: usize,
    /// Every other request has a key of its own.
    new_keys: bool,
    asked: AtomicUsize,
}

impl World {
    /// One with which nothing is wrong.
    async fn new() -> Self {
        // One of many requests asks the auth service and Redis again.
        Self::with_verdicts_for("700ms").await
    }

    async fn with_verdicts_for(ttl: &str) -> Self {
        let is_slow = Arc::new(AtomicBool::new(false));
        let slow = Arc::clone(&is_slow);
        let mlflow = Server::start(move |request| match Answer::ok("{}") {
            Answer::Bytes(answer) if slow.load(Ordering::Relaxed) && request.target() != "/health" => {
                Answer::After(SLOW, answer)
            }
            answer => answer,
        })
        .await;
        let auth = Server::start(|_| Answer::ok(BODY)).await;
        let (redis, folder) = (Redis::start(&[]), tempfile::tempdir().unwrap());
        let settings = [
            ("MLFLOW_SERVER_URL", &*mlflow.url()),
            ("HOKUSAI_AUTH_SERVICE_URL", &auth.url()),
            ("HOKUSAI__AUTH__SERVICE__USAGE", "off"),
            ("HOKUSAI__AUTH__CACHE__TTL", ttl),
            ("HOKUSAI__AUTH__PEPPER", "obviously-a-pepper-of-a-test-0000"),
            ("HOKUSAI__MLFLOW__PROBE_INTERVAL", "500ms"),
            ("REDIS_URL", &redis.url()),
            ("HOKUSAI__TELEMETRY__EMF", "true"),
            ("HOKUSAI__TELEMETRY__EMF_INTERVAL", PERIOD),
        ];
        let gateway = Process::serve(folder.path(), &settings);
        let world = Self {
            mlflow,
            is_slow,
            auth,
            redis,
            gateway,
            folder,
            askers: 1,
            new_keys: false,
            asked: AtomicUsize::new(0),
        };
        world.ask().await;
        world
    }

    fn periods(&self) -> Vec<Period> {
        periods(&fs::read_to_string(self.folder.path().join("log")).unwrap())
    }

    async fn ask(&self) {
        let count = self.asked.fetch_add(1, Ordering::Relaxed);
        let key = if self.new_keys && count.is_multiple_of(2) {
            format!("new-{count}")
        } else {
            "the-key".to_owned()
        };
        let head = "GET /api/mlflow/version HTTP/1.1\r\nhost: a\r\nauthorization: Bearer";
        ask(self.gateway.address, format!("{head} {key}\r\n\r\n")).await;
    }

    /// At most 50 requests a second of each asker, until `done`.
    async fn ask_until(&self, done: impl AsyncFn() -> bool) {
        let asking = async || loop {
            self.ask().await;
            actix_rt::time::sleep(Duration::from_millis(20)).await;
        };
        tokio::select! {
            _ = join_all((0..self.askers).map(|_| asking())) => (),
            () = until(done) => (),
        }
    }

    /// The alarms that go off in the first busy period that begins from now on.
    async fn off(&self) -> Vec<String> {
        let now = Timestamp::now();
        let busy = || self.periods().into_iter().find(|period| period.is_since(now) && period.is_busy());
        self.ask_until(async || busy().is_some()).await;
        off(&busy().unwrap()).into_iter().collect()
    }
}

/// Some periods of two seconds are awaited, and on a machine that does much else not each has requests enough.
async fn until(done: impl AsyncFn() -> bool) {
    let waiting = async {
        while !done().await {
            actix_rt::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(4 * PATIENCE, waiting).await.expect("a period is over");
}

#[actix_web::test]
async fn nothing_wrong() {
    assert_eq!(World::new().await.off().await, [""; 0]);
}

#[actix_web::test]
async fn mlflow_killed() {
    let world = World::new().await;
    world.mlflow.kill();
    assert_eq!(world.off().await, ["errors-upstream_unavailable", "mlflow-down"]);
}

#[actix_web::test]
async fn the_auth_service_killed() {
    let world = World::new().await;
    world.auth.kill();
    // Its keys go on working; that it is gone is the only news.
    assert_eq!(world.off().await, ["auth-service-down"]);
}

#[actix_web::test]
async fn redis_killed() {
    let mut world = World::new().await;
    world.redis.stop();
    // The gateway tests it every five seconds.
    let metrics = world.gateway.metrics_address.unwrap();
    eventually("that is found", async || metric_at(metrics, "redis_up").await == Some(0.0)).await;
    assert_eq!(world.off().await, ["redis-down"]);
}

#[actix_web::test]
async fn mlflow_slow() {
    let mut world = World::with_verdicts_for("60s").await;
    // More than 30 requests in a period, though each takes so long.
    world.askers = 24;
    world.is_slow.store(true, Ordering::Relaxed);
    assert_eq!(world.off().await, ["latency"]);
}

#[actix_web::test]
async fn a_cold_cache() {
    let mut world = World::new().await;
    world.new_keys = true;
    assert_eq!(world.off().await, ["cache"]);
}

#[actix_web::test]
async fn a_key_file_that_is_refused_until_it_is_mended() {
    let (mlflow, folder) = (Server::start(|_| Answer::ok("{}")).await, tempfile::tempdir().unwrap());
    let created = command(folder.path()).args(["keys", "create", "--user", "ada"]).output().unwrap();
    assert!(created.status.success());
    let settings = [
        ("MLFLOW_SERVER_URL", &*mlflow.url()),
        ("HOKUSAI__MLFLOW__PROBE_INTERVAL", "200ms"),
        ("HOKUSAI__TELEMETRY__EMF", "true"),
        ("HOKUSAI__TELEMETRY__EMF_INTERVAL", "500ms"),
    ];
    let gateway = Process::serve(folder.path(), &settings);
    let log = folder.path().join("log");
    let metrics = gateway.metrics_address.unwrap();
    // Of the first period in which the key file is in force, or not.
    let off_when_in_force = async |in_force: f64| {
        let metric = async || metric_at(metrics, "key_file_last_reload_successful").await;
        eventually("the key file is read", async || metric().await == Some(in_force)).await;
        let now = Timestamp::now();
        let told = || {
            let periods = periods(&fs::read_to_string(&log).unwrap());
            periods.into_iter().find(|period| period.is_since(now))
        };
        eventually("a period is over", async || told().is_some()).await;
        off(&told().unwrap()).into_iter().collect::<Vec<_>>()
    };
    let file = folder.path().join("keys.toml");
    let good = fs::read(&file).unwrap();
    assert_eq!(off_when_in_force(1.0).await, [""; 0], "with nothing wrong");
    fs::write(&file, "[[keys").unwrap();
    assert_eq!(off_when_in_force(0.0).await, ["key-file-refused"]);
    fs::write(&file, good).unwrap();
    assert_eq!(off_when_in_force(1.0).await, [""; 0], "mended");
}

#[test]
fn a_gateway_that_tells_nothing() {
    assert_eq!(off(&Period::default()), BTreeSet::from(["heartbeat".to_owned()]));
}
