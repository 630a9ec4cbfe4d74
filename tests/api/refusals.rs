//! A definite no is one everywhere: a key that was good and is refused at one address ends at all of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::Value;

use crate::support::{
    Gateway, GatewayBuilder, Response, Server, ask, eventually, redis::Redis, server::Answer,
};

const HERE: &str = "192.0.2.1";
const THERE: &str = "198.51.100.7";

/// What the auth service is made to do.
#[derive(Default)]
struct Orders {
    /// It refuses every key, or those from [`HERE`] only.
    refuses: AtomicBool,
    refuses_here: AtomicBool,
    fails: AtomicBool,
}

struct Stage {
    auth: Server,
    mlflow: Server,
    orders: Arc<Orders>,
}

impl Stage {
    async fn set(valid: &'static str) -> Self {
        let orders: Arc<Orders> = Arc::default();
        let told = Arc::clone(&orders);
        let auth = Server::start(move |request| {
            let question: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let is_here = question["client_ip"] == HERE;
            let is_wrong = request.header("authorization").is_some_and(|key| key.contains("wrong"));
            if told.fails.load(Relaxed) {
                Answer::json(500, "{}")
            } else if is_wrong || told.refuses.load(Relaxed) || is_here && told.refuses_here.load(Relaxed) {
                Answer::ok(r#"{"is_valid": false}"#)
            } else {
                Answer::ok(valid)
            }
        })
        .await;
        Self { auth, mlflow: Server::start(|_| Answer::ok("{}")).await, orders }
    }

    fn gateway(&self) -> GatewayBuilder {
        GatewayBuilder::default()
            .set("AUTH__SERVICE__URL", &self.auth.url())
            .set("AUTH__SERVICE__USAGE", "off")
            .set("AUTH__SERVICE__TIMEOUT", "20s")
            .set("SERVER__TRUSTED_PROXIES", "127.0.0.1")
            .set("AUTH__PEPPER", "a pepper of the fleet's")
    }

    /// Two instances that share a Redis and listen.
    async fn fleet(&self, redis: &Redis) -> [Gateway; 2] {
        let instance = async || self.gateway().set("REDIS__URL", &redis.url()).start(&self.mlflow).await;
        let fleet = [instance().await, instance().await];
        let listeners = || redis.cli(&["pubsub", "numsub", "hokusai:revoked"]);
        eventually("both listen", async || listeners().split_whitespace().last() == Some("2")).await;
        fleet
    }

    /// What the service was asked from an address, by its own log.
    fn asked_from(&self, address: &str) -> usize {
        let from = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap()["client_ip"] == address;
        self.auth.validations().iter().filter(|asked| from(&asked.body)).count()
    }

    /// What reached MLflow from an address.
    fn served(&self, address: &str) -> usize {
        self.mlflow.requests().iter().filter(|seen| seen.header("x-forwarded-for") == Some(address)).count()
    }
}

async fn get(gateway: &Gateway, key: &str, from: &str) -> Response {
    let get = format!(
        "GET /api/2.0/mlflow/runs/get HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\nx-forwarded-for: {from}\r\n\r\n"
    );
    ask(gateway.address, get).await
}

const WITH_ID: &str = r#"{"is_valid": true, "user_id": "ada", "key_id": "k-1"}"#;
const WITHOUT_ID: &str = r#"{"is_valid": true, "user_id": "ada"}"#;

#[actix_web::test]
async fn a_refusal_here_ends_the_key_there() {
    for valid in [WITH_ID, WITHOUT_ID] {
        let stage = Stage::set(valid).await;
        let gateway = stage.gateway().start(&stage.mlflow).await;
        assert_eq!(get(&gateway, "the-key", THERE).await.status, 200);
        assert_eq!(get(&gateway, "another", THERE).await.status, 200);
        stage.orders.refuses.store(true, Relaxed);
        assert_eq!(get(&gateway, "the-key", THERE).await.status, 200, "remembered");
        assert_eq!(get(&gateway, "the-key", HERE).await.status, 401);
        assert_eq!(get(&gateway, "the-key", THERE).await.status, 401, "{valid}");
        // Nor is it believed in an outage.
        stage.orders.fails.store(true, Relaxed);
        actix_rt::time::sleep(Duration::from_millis(2100)).await;
        assert_eq!(get(&gateway, "the-key", THERE).await.status, 503);
        assert_eq!(stage.served(THERE), 3);
        // Keys that have an id of their own, and those that have none, end one by one.
        if valid == WITHOUT_ID {
            assert_eq!(get(&gateway, "another", THERE).await.status, 200);
        }
    }
}

#[actix_web::test]
async fn a_refusal_by_one_instance_ends_the_key_in_all_of_them() {
    for valid in [WITH_ID, WITHOUT_ID] {
        let (redis, stage) = (Redis::start(&[]), Stage::set(valid).await);
        let [one, other] = stage.fleet(&redis).await;
        assert_eq!(get(&other, "the-key", THERE).await.status, 200);
        eventually("whose it is, is left in Redis", async || {
            redis.cli(&["--scan"]).contains("hokusai:known:")
        })
        .await;
        stage.orders.refuses.store(true, Relaxed);
        // This one has never seen it.
        assert_eq!(get(&one, "the-key", HERE).await.status, 401);
        eventually("the other has heard", async || get(&other, "the-key", THERE).await.status == 401).await;
        assert_eq!(stage.asked_from(THERE), 2, "by the service's own word");
        // One that starts now, with the verdict still in Redis.
        let later = stage.gateway().set("REDIS__URL", &redis.url()).start(&stage.mlflow).await;
        let served = stage.served(THERE);
        assert_eq!(get(&later, "the-key", THERE).await.status, 401);
        assert_eq!(stage.served(THERE), served);
        assert!(!redis.cli(&["--scan"]).contains("hokusai:known:"));
    }
}

/// A key that may be used from some addresses only: it ends everywhere, is asked about anew, and goes on where it is good.
#[actix_web::test]
async fn a_key_that_is_refused_at_one_address_only_is_asked_about_anew_at_the_others() {
    let stage = Stage::set(WITH_ID).await;
    let gateway = stage.gateway().start(&stage.mlflow).await;
    stage.orders.refuses_here.store(true, Relaxed);
    for round in 1..=3 {
        for _ in 0..5 {
            assert_eq!(get(&gateway, "the-key", THERE).await.status, 200);
            assert_eq!(get(&gateway, "the-key", HERE).await.status, 401);
        }
        // A refusal is remembered: what it costs the others is one question in two seconds.
        assert!(stage.asked_from(THERE) <= 2 * round, "{}", stage.asked_from(THERE));
        actix_rt::time::sleep(Duration::from_millis(2050)).await;
    }
}

#[actix_web::test]
async fn keys_that_nobody_has_end_nothing() {
    let (redis, stage) = (Redis::start(&[]), Stage::set(WITH_ID).await);
    let [one, other] = stage.fleet(&redis).await;
    let monitor = redis.monitor();
    assert_eq!(get(&other, "the-key", THERE).await.status, 200);
    for number in 0..20 {
        assert_eq!(get(&one, &format!("wrong-{number}"), HERE).await.status, 401);
    }
    // What anybody may write into Redis makes no key known.
    let known =
        || redis.cli(&["--scan"]).lines().find(|key| key.starts_with("hokusai:known:")).map(str::to_owned);
    eventually("whose it is, is left in Redis", async || known().is_some()).await;
    redis.cli(&["set", &known().unwrap(), "k-2"]);
    stage.orders.refuses.store(true, Relaxed);
    assert_eq!(get(&one, "the-key", HERE).await.status, 401);
    eventually("the refusal is in Redis", async || monitor.text().matches("UNLINK").count() >= 21).await;
    // The gateway tries whether it may publish, on a channel of its own.
    assert!(!monitor.text().contains("\"PUBLISH\" \"hokusai:revoked"), "{}", monitor.text());
    assert_eq!(get(&other, "the-key", THERE).await.status, 200);
    assert!(!monitor.text().contains("the-key"));
}

/// The end of one key leaves the questions about others alone, which are under way.
#[actix_web::test]
async fn the_end_of_a_key_costs_no_other_key_a_question() {
    let body = WITH_ID;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let auth = Server::start(move |_| Answer::After(Duration::from_secs(2), head.clone().into_bytes())).await;
    let (redis, mlflow) = (Redis::start(&[]), Server::start(|_| Answer::ok("{}")).await);
    let stage = Stage { auth, mlflow, orders: Arc::default() };
    let [gateway, _other] = stage.fleet(&redis).await;
    let ask_about = || {
        let get = "GET /api/2.0/mlflow/runs/get HTTP/1.1\r\nhost: a\r\nauthorization: Bearer the-key\r\n\r\n";
        actix_rt::spawn(ask(gateway.address, get.to_owned()))
    };
    let mut asking = vec![ask_about()];
    stage.auth.until_begun().await;
    for number in 0..5 {
        redis.cli(&["publish", "hokusai:revoked", &format!("k-of-another-{number}")]);
        asking.push(ask_about());
    }
    for asked in asking {
        assert_eq!(asked.await.unwrap().status, 200);
    }
    ask_about().await.unwrap();
    assert_eq!(stage.auth.validations().len(), 1);
}
