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
use tempfile::TempDir;

use self::cloudwatch::{Period, off, periods};
use crate::support::{
    PATIENCE, Server, ask, eventually,
    process::{Process, command},
    redis::Redis,
    server::Answer,
};

mod cloudwatch;

const PERIOD: &str = "2s";
const BODY: &str = r#"{"is_valid": true, "scopes": ["mlflow:read"]}"#;
/// How long MLflow takes where it is slow: longer than the alarm likes.
const SLOW: Duration = Duration::from_millis(700);

/// How many ask a slow MLflow at once, each again and again: more than 30 requests in a period.
const ASKERS: u32 = 24;

/// A gateway between things that can fail, and somebody who asks it all the time.
struct World {
    mlflow: Server,
    is_slow: Arc<AtomicBool>,
    auth: Server,
    redis: Redis,
    gateway: Process,
    folder: TempDir,
    /// Every other request has a key of its own.
    new_keys: bool,
    asked: AtomicUsize,
}

impl World {
    /// One with which nothing is wrong.
    async fn new() -> Self {
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
            ("HOKUSAI__AUTH__SERVICE__REPORT_USAGE", "false"),
            // One of many requests asks the auth service and Redis again.
            ("HOKUSAI__AUTH__CACHE__TTL", "700ms"),
            ("HOKUSAI__AUTH__PEPPER", "obviously-a-pepper-of-a-test-0000"),
            ("HOKUSAI__MLFLOW__PROBE_INTERVAL", "500ms"),
            ("REDIS_URL", &redis.url()),
            ("HOKUSAI__TELEMETRY__EMF", "true"),
            ("HOKUSAI__TELEMETRY__EMF_INTERVAL", PERIOD),
        ];
        let gateway = Process::serve(folder.path(), &settings);
        let asked = AtomicUsize::new(0);
        let world = Self { mlflow, is_slow, auth, redis, gateway, folder, new_keys: false, asked };
        world.ask_until(async || world.periods().len() > 1).await;
        assert_eq!(world.off().await, [""; 0], "with nothing wrong");
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

    /// At most 150 requests a second, until `done`.
    async fn ask_until(&self, done: impl AsyncFn() -> bool) {
        let asking = async || loop {
            self.ask().await;
            actix_rt::time::sleep(Duration::from_millis(20)).await;
        };
        tokio::select! {
            _ = join_all((0..3).map(|_| asking())) => (),
            () = until(done) => (),
        }
    }

    /// The alarms that go off in a busy period which lies wholly in what was set up before the call.
    async fn off(&self) -> Vec<String> {
        let before = self.periods().len();
        let busy = || self.periods().into_iter().skip(before + 1).find(Period::is_busy);
        self.ask_until(async || busy().is_some()).await;
        off(&busy().unwrap()).into_iter().collect()
    }
}

/// Some periods of two seconds are awaited, and on a machine that does much else not each has requests enough.
async fn until(done: impl AsyncFn() -> bool) {
    let waiting = async {
        while !done().await {
            actix_rt::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(4 * PATIENCE, waiting).await.expect("a period is over");
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
    assert_eq!(world.off().await, ["redis-down"]);
}

#[actix_web::test]
async fn mlflow_slow() {
    let world = World::new().await;
    world.is_slow.store(true, Ordering::Relaxed);
    let before = world.periods().len();
    let busy = || world.periods().into_iter().skip(before + 1).find(Period::is_busy);
    // One after the other: all at once they would find the cache empty all at once.
    let askers = (0..ASKERS).map(|asker| async move { actix_rt::time::sleep(SLOW * asker / ASKERS).await });
    let asking = askers.map(|begin| async {
        begin.await;
        while busy().is_none() {
            world.ask().await;
        }
    });
    join_all(asking).await;
    assert_eq!(off(&busy().unwrap()), BTreeSet::from(["latency".to_owned()]));
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
        ("HOKUSAI__TELEMETRY__EMF_INTERVAL", PERIOD),
    ];
    let _gateway = Process::serve(folder.path(), &settings);
    let told = || periods(&fs::read_to_string(folder.path().join("log")).unwrap());
    // Of the second period from here: the first one began before.
    let off_now = async || {
        let before = told().len();
        eventually("two periods are over", async || told().len() > before + 1).await;
        off(&told().swap_remove(before + 1)).into_iter().collect::<Vec<_>>()
    };
    let file = folder.path().join("keys.toml");
    let good = fs::read(&file).unwrap();
    assert_eq!(off_now().await, [""; 0], "with nothing wrong");
    fs::write(&file, "[[keys").unwrap();
    assert_eq!(off_now().await, ["key-file-refused"]);
    fs::write(&file, good).unwrap();
    assert_eq!(off_now().await, [""; 0], "mended");
}

#[test]
fn a_gateway_that_tells_nothing() {
    assert_eq!(off(&Period::default()), BTreeSet::from(["heartbeat".to_owned()]));
}
