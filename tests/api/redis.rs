//! What instances share through a real Redis, and that none of its failures is theirs.

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
        let before = listeners(redis_url);
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

#[actix_web::test]
async fn what_one_instance_was_told_the_others_know() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let mut fleet = vec![gateway_that_remembers(&stage, &redis).await];
    let calls = stage.calls();
    for _ in 0..3 {
        fleet.push(stage.gateway(&redis.url()).await);
        until_listening(&redis, fleet.len()).await;
        assert_eq!(get(fleet.last().unwrap()).await.status, 200);
        assert_eq!(stage.mlflow.requests().last().unwrap().header("x-hokusai-key-id"), Some("k-1"));
    }
    assert_eq!(stage.calls(), calls);
}

#[actix_web::test]
async fn instances_with_another_pepper_believe_nothing() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    assert_eq!(get(&stage.gateway(&redis.url()).await).await.status, 200);
    until_stored(&redis).await;
    let stranger = stage.gateway_with(&redis.url(), "the pepper of another fleet").await;
    // Twice, where it begins to listen for revocations in the middle of its question.
    let calls = stage.calls();
    assert_eq!(get(&stranger).await.status, 200);
    assert!(stage.calls() > calls);
}

#[actix_web::test]
async fn whatever_else_lies_in_redis_is_no_verdict() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    assert_eq!(get(&stage.gateway(&redis.url()).await).await.status, 200);
    let key = until_stored(&redis).await;
    // Another key's verdict, moved here.
    assert_eq!(ask(stage.gateway(&redis.url()).await.address, get_with("other")).await.status, 200);
    let other = until_some_key(&redis, |other| other.starts_with("hokusai:verdict:") && other != key).await;

    stage.refuses.store(true, Ordering::Relaxed);
    let steps: [&[&str]; 5] = [
        &["set", &key, "junk"],
        &["copy", &other, &key, "replace"],
        &["eval", "return redis.call('set', KEYS[1], string.rep('x', 10000000))", "1", &key],
        &["eval", "redis.call('del', KEYS[1]) return redis.call('lpush', KEYS[1], 'a')", "1", &key],
        &["del", &key],
    ];
    for step in steps {
        redis.cli(step);
        let calls = stage.calls();
        assert_eq!(get(&stage.gateway(&redis.url()).await).await.status, 401, "{step:?}");
        assert_eq!(stage.calls(), calls + 1, "{step:?}");
    }
}

#[actix_web::test]
async fn a_revocation_reaches_every_instance() {
    for message in ["k-1", "*"] {
        let (redis, stage) = (Redis::start(&[]), Stage::set().await);
        let mut fleet = Vec::new();
        for _ in 0..3 {
            fleet.push(stage.gateway(&redis.url()).await);
        }
        until_listening(&redis, 3).await;
        for gateway in &fleet {
            assert_eq!(get(gateway).await.status, 200);
        }
        stage.refuses.store(true, Ordering::Relaxed);
        // Remembered: nobody asks.
        assert_eq!(get(&fleet[0]).await.status, 200);
        redis.cli(&["publish", "hokusai:revoked", message]);
        for gateway in &fleet {
            until_status(gateway, 401).await;
        }
    }
}

#[actix_web::test]
async fn an_instance_that_was_not_there_to_hear_of_a_revocation_finds_word_of_it() {
    for message in ["k-1", "*"] {
        let (redis, stage) = (Redis::start(&[]), Stage::set().await);
        let first = stage.gateway(&redis.url()).await;
        until_listening(&redis, 1).await;
        assert_eq!(get(&first).await.status, 200);
        until_stored(&redis).await;
        stage.refuses.store(true, Ordering::Relaxed);
        redis.cli(&["publish", "hokusai:revoked", message]);
        until_some_key(&redis, |key| key.starts_with("hokusai:{revoked}:")).await;
        // The verdict itself is still there.
        assert_eq!(get(&stage.gateway(&redis.url()).await).await.status, 401);
    }
}

#[actix_web::test]
async fn a_verdict_that_somebody_keeps_in_redis_for_ever_is_not_served_for_ever() {
    let redis = Redis::start(&[]);
    let fails = Arc::new(AtomicBool::new(false));
    let failing = Arc::clone(&fails);
    let auth = Server::start(move |_| {
        if failing.load(Ordering::Relaxed) { Answer::json(500, "{}") } else { Answer::ok(VALID) }
    })
    .await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let brief = async || {
        GatewayBuilder::default()
            .set("AUTH__SERVICE__URL", &auth.url())
            .set("AUTH__PEPPER", "a pepper of the fleet's")
            .set("AUTH__CACHE__TTL", "100ms")
            .set("AUTH__CACHE__STALE_TTL", "3s")
            .set("REDIS__URL", &redis.url())
            .start(&mlflow)
            .await
    };
    assert_eq!(get(&brief().await).await.status, 200);
    let stored = until_stored(&redis).await;
    redis.cli(&["persist", &stored]);
    fails.store(true, Ordering::Relaxed);
    // Another instance serves it for as long as it may be served at all, and no longer.
    let second = brief().await;
    until_listening(&redis, 2).await;
    actix_rt::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(get(&second).await.status, 200);
    actix_rt::time::sleep(Duration::from_millis(3500)).await;
    assert!(redis.cli(&["--scan"]).contains(&stored));
    assert_eq!(get(&second).await.status, 503);
}

#[actix_web::test]
async fn a_key_that_was_prolonged_is_not_refused_by_what_lies_in_redis() {
    let redis = Redis::start(&[]);
    let answer = |expires_at: jiff::Timestamp| {
        Answer::ok(&format!(r#"{{"is_valid": true, "key_id": "k-1", "expires_at": "{expires_at}"}}"#))
    };
    let prolonged = Arc::new(AtomicBool::new(false));
    let is_prolonged = Arc::clone(&prolonged);
    let auth = Server::start(move |_| {
        let seconds = if is_prolonged.load(Ordering::Relaxed) { 3600 } else { 1 };
        answer(jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds))
    })
    .await;
    let stage = Stage { auth, mlflow: Server::start(|_| Answer::ok("{}")).await, refuses: Arc::default() };
    assert_eq!(get(&stage.gateway(&redis.url()).await).await.status, 200);
    until_stored(&redis).await;
    prolonged.store(true, Ordering::Relaxed);
    actix_rt::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(get(&stage.gateway(&redis.url()).await).await.status, 200);
}

#[actix_web::test]
async fn a_revocation_of_another_key_costs_nobody_anything() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let gateway = gateway_that_remembers(&stage, &redis).await;
    redis.cli(&["publish", "hokusai:revoked", "somebody-elses"]);
    until_some_key(&redis, |key| key.starts_with("hokusai:{revoked}:")).await;
    assert_eq!(get(&gateway).await.status, 200);
    assert_eq!(stage.calls(), 1);
}

#[actix_web::test]
async fn a_verdict_that_is_under_way_when_its_key_is_revoked_is_not_remembered() {
    let redis = Redis::start(&[]);
    let auth = Server::start(|_| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", VALID.len());
        Answer::Pieces(vec![head.into_bytes(), VALID.as_bytes().to_vec()], Duration::from_millis(500))
    })
    .await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let stage = Stage { auth, mlflow, refuses: Arc::default() };
    let gateway = stage.gateway(&redis.url()).await;
    until_listening(&redis, 1).await;
    let asking = actix_rt::spawn(ask(gateway.address, get_with("the-key")));
    stage.auth.until_begun().await;
    redis.cli(&["publish", "hokusai:revoked", "k-1"]);
    until_some_key(&redis, |key| key.starts_with("hokusai:{revoked}:")).await;
    asking.await.unwrap();
    get(&gateway).await;
    assert_eq!(stage.calls(), 2);
}

#[actix_web::test]
async fn a_key_that_is_revoked_while_the_service_is_asked_in_vain_is_not_served_from_before() {
    let redis = Redis::start(&[]);
    let silent = Arc::new(AtomicBool::new(false));
    let is_silent = Arc::clone(&silent);
    let auth =
        Server::start(
            move |_| {
                if is_silent.load(Ordering::Relaxed) { Answer::Silence } else { Answer::ok(VALID) }
            },
        )
        .await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &auth.url())
        .set("AUTH__SERVICE__TIMEOUT", "1s")
        .set("AUTH__CACHE__TTL", "50ms")
        .set("REDIS__URL", &redis.url())
        .start(&mlflow)
        .await;
    until_listening(&redis, 1).await;
    assert_eq!(get(&gateway).await.status, 200);
    silent.store(true, Ordering::Relaxed);
    actix_rt::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(get(&gateway).await.status, 200, "served from before");

    let asking = actix_rt::spawn(ask(gateway.address, get_with("the-key")));
    auth.until(|request| request.target().ends_with("/validate")).await;
    let validations = auth.validations().len();
    eventually("it is asked again", async || {
        auth.validations().len() > validations || auth.validations().len() == 3
    })
    .await;
    redis.cli(&["publish", "hokusai:revoked", "k-1"]);
    assert_eq!(asking.await.unwrap().status, 503);
}

#[actix_web::test]
async fn what_was_revoked_while_nobody_listened_is_forgotten_when_redis_returns() {
    let (mut redis, stage) = (Redis::start(&[]), Stage::set().await);
    let gateway = gateway_that_remembers(&stage, &redis).await;
    redis.stop();
    assert_eq!(get(&gateway).await.status, 200);
    stage.refuses.store(true, Ordering::Relaxed);
    redis.start_again();
    until_status(&gateway, 401).await;
}

#[actix_web::test]
async fn what_was_revoked_while_the_subscription_was_lost_is_not_believed_again() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let gateway = gateway_that_remembers(&stage, &redis).await;
    stage.refuses.store(true, Ordering::Relaxed);
    // Nobody hears the message, and what lies in Redis stays.
    redis.cli(&["client", "kill", "type", "pubsub"]);
    assert_eq!(redis.cli(&["publish", "hokusai:revoked", "k-1"]).trim(), "0");
    until_status(&gateway, 401).await;
}

#[actix_web::test]
async fn a_revocation_counts_also_where_redis_takes_no_word_of_it() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let gateway = gateway_that_remembers(&stage, &redis).await;
    stage.refuses.store(true, Ordering::Relaxed);
    redis.cli(&["config", "set", "maxmemory", "1"]);
    redis.cli(&["publish", "hokusai:revoked", "k-1"]);
    until_status(&gateway, 401).await;
    actix_rt::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(get(&gateway).await.status, 401, "the verdict in Redis is believed again");
}

#[actix_web::test]
async fn a_refusal_reaches_every_instance_also_when_redis_has_just_failed() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let other = gateway_that_remembers(&stage, &redis).await;
    let brief = GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &stage.auth.url())
        .set("AUTH__PEPPER", "a pepper of the fleet's")
        .set("AUTH__CACHE__TTL", "100ms")
        .set("REDIS__URL", &redis.url())
        .start(&stage.mlflow)
        .await;
    until_listening(&redis, 2).await;
    assert_eq!(get(&brief).await.status, 200);
    actix_rt::time::sleep(Duration::from_millis(150)).await;
    // Three that fail, and the breaker of the path that others use is open.
    redis.cli(&["client", "pause", "800", "all"]);
    for number in 0..4 {
        assert_eq!(ask(brief.address, get_with(&format!("key-{number}"))).await.status, 200);
    }
    stage.refuses.store(true, Ordering::Relaxed);
    assert_eq!(get(&brief).await.status, 401);
    until_status(&other, 401).await;
}

#[actix_web::test]
async fn a_flood_from_one_address_does_not_reach_redis() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    stage.refuses.store(true, Ordering::Relaxed);
    let gateway = GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &stage.auth.url())
        .set("AUTH__SERVICE__FAILURES_PER_MINUTE", "2")
        .set("REDIS__URL", &redis.url())
        .start(&stage.mlflow)
        .await;
    let monitor = redis.monitor();
    for number in 0..20 {
        ask(gateway.address, get_with(&format!("wrong-{number}"))).await;
    }
    redis.cli(&["echo", "the end"]);
    eventually("all is seen", async || monitor.text().contains("the end")).await;
    let text = monitor.text();
    let asked = text.lines().filter(|line| line.contains("GETRANGE") && line.contains(":verdict:")).count();
    assert!((1..=3).contains(&asked), "{asked}: {text}");
}

#[actix_web::test]
async fn a_key_that_the_service_refuses_is_gone_from_redis_too() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let brief = GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &stage.auth.url())
        .set("AUTH__CACHE__TTL", "100ms")
        .set("REDIS__URL", &redis.url())
        .start(&stage.mlflow)
        .await;
    assert_eq!(get(&brief).await.status, 200);
    until_stored(&redis).await;
    stage.refuses.store(true, Ordering::Relaxed);
    until_status(&brief, 401).await;
    eventually("the verdict is gone", async || !redis.cli(&["--scan"]).contains("hokusai:verdict:")).await;
}

#[actix_web::test]
async fn no_failure_of_redis_is_a_failure_of_the_gateway() {
    let served = |url: String| async move {
        let stage = Stage::set().await;
        let gateway = stage.gateway_that_may_not_listen(&url, "a pepper of the fleet's").await;
        let mut connection = Connection::open(gateway.address).await;
        for number in 0..20 {
            connection.send(get_with(&format!("key-{number}"))).await;
            assert_eq!(connection.response(false).await.status, 200, "{url}");
        }
    };
    served("redis://127.0.0.1:1".to_owned()).await;
    served("redis://nowhere.invalid:6379".to_owned()).await;

    let redis = Redis::start(&[]);
    redis.freeze();
    // Three calls of 50 ms, and then none: not twenty, and none of the 2 s that a call may take.
    timeout(Duration::from_secs(2), served(redis.url())).await.expect("Redis holds requests up");

    let redis = Redis::start(&["--requirepass", "right"]);
    served(redis.url()).await;
    served(format!("redis://:wrong@127.0.0.1:{}", redis.port)).await;

    let redis = Redis::start(&["--maxmemory", "1mb", "--maxmemory-policy", "noeviction"]);
    served(redis.url()).await;

    let master = Redis::start(&[]);
    let replica = Redis::start(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
    served(replica.url()).await;
}

#[actix_web::test]
async fn a_user_of_redis_with_a_password_is_let_in() {
    let redis = Redis::start(&[]);
    redis.cli(&["acl", "setuser", "gateway", "on", ">s3cr3t", "~hokusai:*", "&hokusai:*", "+@all"]);
    redis.cli(&["acl", "setuser", "default", "off"]);
    let stage = Stage::set().await;
    let url = format!("redis://gateway:s3cr3t@127.0.0.1:{}", redis.port);
    let as_gateway = |rest: &[&str]| redis.cli(&[&["--user", "gateway", "--pass", "s3cr3t"], rest].concat());
    let listen =
        |count: &str| as_gateway(&["pubsub", "numsub", "hokusai:revoked"]).lines().any(|line| line == count);
    let first = stage.gateway(&url).await;
    eventually("it listens", async || listen("1")).await;
    assert_eq!(get(&first).await.status, 200);
    eventually("a verdict is stored", async || as_gateway(&["--scan"]).contains("hokusai:verdict:")).await;
    let second = stage.gateway(&url).await;
    eventually("both listen", async || listen("2")).await;
    assert_eq!(get(&second).await.status, 200);
    assert_eq!(stage.calls(), 1);
}

#[actix_web::test]
async fn no_key_is_ever_sent_to_redis() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let monitor = redis.monitor();
    let gateway = gateway_that_remembers(&stage, &redis).await;
    let stored = until_stored(&redis).await;
    stage.refuses.store(true, Ordering::Relaxed);
    redis.cli(&["publish", "hokusai:revoked", "k-1"]);
    until_status(&gateway, 401).await;
    eventually("the monitor has seen it", async || monitor.text().contains("hokusai:verdict:")).await;
    let seen = monitor.text() + &redis.cli(&["--scan"]) + &redis.cli(&["get", &stored]);
    assert!(!seen.contains("the-key"), "{seen}");
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

#[actix_web::test]
async fn a_fleet_shares_through_sentinel_and_follows_it_to_a_new_master() {
    let mut master = Redis::start(&[]);
    let replica = Redis::start(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
    let sentinel = Redis::sentinel("main", master.port);
    let url = format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port);
    a_fleet_shares_through(&url).await;
    assert!(master.cli(&["--scan"]).contains("hokusai:verdict:"));

    let stage = Stage::set().await;
    let gateway = stage.gateway(&url).await;
    until_listening(&master, 3).await;
    assert_eq!(get(&gateway).await.status, 200);
    master.stop();
    eventually("the replica is master", async || replica.cli(&["role"]).starts_with("master")).await;
    until_listening(&replica, 3).await;
    stage.refuses.store(true, Ordering::Relaxed);
    replica.cli(&["publish", "hokusai:revoked", "k-1"]);
    until_status(&gateway, 401).await;
}

#[actix_web::test]
async fn a_fleet_shares_through_a_cluster_of_three() {
    let nodes = Redis::cluster();
    let hosts: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    let url = format!("redis+cluster://{}", hosts.join(","));
    a_fleet_shares_through(&url).await;

    let stage = Stage::set().await;
    let gateway = stage.gateway(&url).await;
    until_listening(&nodes[0], 3).await;
    assert_eq!(get(&gateway).await.status, 200);
    stage.refuses.store(true, Ordering::Relaxed);
    // At another node than the one that is listened to.
    nodes[2].cli(&["publish", "hokusai:revoked", "k-1"]);
    until_status(&gateway, 401).await;
    assert_eq!(get(&stage.gateway(&url).await).await.status, 401);
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

#[actix_web::test]
async fn three_processes_together_admit_one_limit() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let monitor = redis.monitor();
    let fleet = fleet_of_three(&stage, &redis.url(), (PER_HOUR, "400"));
    let count = admitted(&addresses(&fleet), 480).await;
    // A batch of four may lie unused at each; nothing is admitted twice. (One more comes every nine seconds.)
    assert!((385..=402).contains(&count), "{count}");
    let calls = monitor.text().matches("hokusai:limit:read:k-1").count();
    assert!(calls > 0 && calls < 480, "{calls} lines in the monitor for 480 requests");
}

#[actix_web::test]
async fn three_processes_hear_of_a_revocation() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let fleet = fleet_of_three(&stage, &redis.url(), (PER_HOUR, "36000"));
    until_listening(&redis, 3).await;
    for address in addresses(&fleet) {
        assert_eq!(ask(address, get_with("the-key")).await.status, 200);
    }
    stage.refuses.store(true, Ordering::Relaxed);
    redis.cli(&["publish", "hokusai:revoked", "k-1"]);
    let refused = async || {
        let mut all = true;
        for address in addresses(&fleet) {
            all &= ask(address, get_with("the-key")).await.status == 401;
        }
        all
    };
    // A verdict would be believed for a minute; a revocation is to count within a second.
    timeout(Duration::from_secs(5), eventually("all three refuse", refused)).await.unwrap();
}

#[actix_web::test]
async fn without_redis_each_instance_admits_its_share() {
    let stage = Stage::set().await;
    let fleet = fleet_of_three(&stage, "redis://127.0.0.1:1", (PER_HOUR, "60"));
    let count = admitted(&addresses(&fleet), 120).await;
    assert!((60..=62).contains(&count), "{count}");
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

#[actix_web::test]
async fn three_processes_together_count_artifact_bytes() {
    let (stage, redis) = (Stage::set().await, Redis::start(&[]));
    let limit = ("HOKUSAI__LIMITS__ARTIFACT_BYTES_PER_HOUR", "1MiB");
    let processes = fleet_of_three(&stage, &redis.url(), limit);
    let fleet = addresses(&processes);
    assert_eq!(put_artifact(fleet[0], 600 << 10).await, 200);
    until_some_key(&redis, |key| key.starts_with("hokusai:limit:bytes:")).await;
    assert_eq!(put_artifact(fleet[1], 600 << 10).await, 200);
    eventually("the third knows what the others moved", async || {
        put_artifact(fleet[2], 600 << 10).await == 429
    })
    .await;
    let moved = stage.mlflow.requests().len();
    assert!(moved <= 3, "{moved} transfers of 600 KiB under a limit of 1 MiB");
}

#[actix_web::test]
async fn bytes_count_for_the_fleet_while_their_transfer_goes_on() {
    let (stage, redis) = (Stage::set().await, Redis::start(&[]));
    let limit = ("HOKUSAI__LIMITS__ARTIFACT_BYTES_PER_HOUR", "1MiB");
    let processes = fleet_of_three(&stage, &redis.url(), limit);
    let fleet = addresses(&processes);
    let mut under_way = Connection::open(fleet[0]).await;
    let body = "x".repeat(2 << 20);
    let head = "PUT /api/2.0/mlflow-artifacts/artifacts/a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer the-key\r\n\
                content-length: 10000000\r\n\r\n";
    under_way.send(format!("{head}{body}")).await;
    eventually("another instance knows of it", async || put_artifact(fleet[1], 1).await == 429).await;
}
