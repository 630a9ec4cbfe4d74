//! What is remembered of the auth service's answers, and what the service is spared.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::support::{
    Gateway, GatewayBuilder, Response, Server, ask, client::Connection, eventually, metric, server::Answer,
};

const TARGET: &str = "/api/2.0/mlflow/runs/get";
const VALID: &str = r#"{"is_valid": true, "user_id": "u-1", "key_id": "k-1"}"#;
const REFUSED: &str = r#"{"is_valid": false}"#;

/// An auth service whose answer can be changed, a fake MLflow, and a gateway that asks the one for the other.
struct Stage {
    auth: Server,
    mlflow: Server,
    gateway: Gateway,
    answers: Arc<[Answer]>,
    answer: Arc<AtomicUsize>,
}

impl Stage {
    /// The service gives the first of `answers` until told otherwise.
    async fn set(answers: Vec<Answer>, settings: &[(&str, &str)]) -> Self {
        let (answers, answer): (Arc<[Answer]>, _) = (answers.into(), Arc::new(AtomicUsize::new(0)));
        let auth = {
            let (answers, answer) = (Arc::clone(&answers), Arc::clone(&answer));
            Server::start(move |_| answers[answer.load(Ordering::Relaxed)].clone()).await
        };
        let mlflow = Server::start(|_| Answer::ok("{}")).await;
        let mut gateway = GatewayBuilder::default()
            .set("AUTH__SERVICE__URL", &auth.url())
            .set("AUTH__SERVICE__TIMEOUT", "1s")
            .set("SERVER__WORKERS", "2");
        for (variable, value) in settings {
            gateway = gateway.set(variable, value);
        }
        let gateway = gateway.start(&mlflow).await;
        Self { auth, mlflow, gateway, answers, answer }
    }

    fn now_answer(&self, number: usize) {
        assert!(number < self.answers.len());
        self.answer.store(number, Ordering::Relaxed);
    }

    async fn get(&self, key: &str) -> Response {
        ask(self.gateway.address, get(key)).await
    }

    fn calls(&self) -> usize {
        self.auth.validations().len()
    }
}

fn get(key: &str) -> String {
    format!("GET {TARGET} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\r\n")
}

/// A valid answer that takes its time, so that others come meanwhile.
fn slow_and_valid() -> Answer {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", VALID.len());
    Answer::Pieces(vec![head.into_bytes(), VALID.as_bytes().to_vec()], Duration::from_millis(150))
}

#[actix_web::test]
async fn a_good_key_is_asked_about_once() {
    let stage = Stage::set(vec![Answer::ok(VALID)], &[]).await;
    for _ in 0..20 {
        assert_eq!(stage.get("key").await.status, 200);
    }
    assert_eq!(stage.calls(), 1);
    assert_eq!(stage.mlflow.requests().len(), 20);
    assert!(stage.mlflow.requests().iter().all(|seen| seen.header("x-hokusai-key-id") == Some("k-1")));
}

#[actix_web::test]
async fn different_keys_are_different_questions() {
    let stage = Stage::set(vec![Answer::ok(VALID)], &[]).await;
    for key in ["a", "b", "a", "b", "A"] {
        assert_eq!(stage.get(key).await.status, 200);
    }
    assert_eq!(stage.calls(), 3);
}

#[actix_web::test]
async fn five_hundred_first_requests_with_one_key_make_one_call() {
    let stage = Stage::set(vec![slow_and_valid()], &[]).await;
    let asking: Vec<_> = (0..500).map(|_| actix_rt::spawn(ask(stage.gateway.address, get("key")))).collect();
    for asked in asking {
        assert_eq!(asked.await.unwrap().status, 200);
    }
    assert_eq!(stage.calls(), 1);
}

#[actix_web::test]
async fn when_the_first_to_ask_goes_away_the_others_still_get_their_answer() {
    let stage = Stage::set(vec![slow_and_valid()], &[]).await;
    let mut first = Connection::open(stage.gateway.address).await;
    first.send(get("key")).await;
    stage.auth.until_begun().await;
    let second = actix_rt::spawn(ask(stage.gateway.address, get("key")));
    drop(first);
    assert_eq!(second.await.unwrap().status, 200);
    assert_eq!(stage.calls(), 1);
}

#[actix_web::test]
async fn when_the_one_call_fails_nobody_tries_again_in_a_row() {
    let stage = Stage::set(vec![Answer::Silence], &[]).await;
    let asking: Vec<_> = (0..50).map(|_| actix_rt::spawn(ask(stage.gateway.address, get("key")))).collect();
    for asked in asking {
        let response = asked.await.unwrap();
        assert_eq!((response.status, response.reason().as_str()), (503, "auth_unavailable"));
    }
    assert_eq!(stage.calls(), 1);
}

#[actix_web::test]
async fn a_refused_key_is_remembered_for_a_moment_only() {
    let stage =
        Stage::set(vec![Answer::ok(REFUSED), Answer::ok(VALID)], &[("AUTH__CACHE__NEGATIVE_TTL", "1s")])
            .await;
    for _ in 0..5 {
        assert_eq!(stage.get("key").await.status, 401);
    }
    assert_eq!(stage.calls(), 1);
    stage.now_answer(1);
    actix_rt::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(stage.get("key").await.status, 200);
}

#[actix_web::test]
async fn a_key_that_was_good_goes_on_working_through_every_kind_of_outage() {
    let outages = vec![
        Answer::ok(VALID),
        Answer::json(500, VALID),
        Answer::Close,
        Answer::Silence,
        Answer::ok("<html>"),
        Answer::page(404),
        Answer::json(403, ""),
    ];
    let count = outages.len();
    let stage = Stage::set(outages, &[("AUTH__CACHE__TTL", "50ms")]).await;
    assert_eq!(stage.get("key").await.status, 200);
    actix_rt::time::sleep(Duration::from_millis(100)).await;
    for outage in 1..count {
        stage.now_answer(outage);
        assert_eq!(stage.get("key").await.status, 200, "outage {outage}");
        assert_eq!(stage.get("a-stranger").await.status, 503, "outage {outage}");
    }
}

#[actix_web::test]
async fn a_service_that_throttles_us_prolongs_no_key_and_is_asked_again() {
    let answers = vec![Answer::ok(VALID), Answer::json(429, "{}")];
    let stage = Stage::set(answers, &[("AUTH__CACHE__TTL", "50ms")]).await;
    assert_eq!(stage.get("key").await.status, 200);
    actix_rt::time::sleep(Duration::from_millis(100)).await;
    stage.now_answer(1);
    for key in ["key", "a-stranger"].repeat(6) {
        let response = stage.get(key).await;
        assert_eq!((response.status, response.reason().as_str()), (503, "auth_unavailable"), "{key}");
        assert_eq!(response.header("retry-after"), Some("1"), "{key}");
    }
    stage.now_answer(0);
    for key in ["key", "a-stranger"] {
        assert_eq!(stage.get(key).await.status, 200, "{key}");
    }
}

#[actix_web::test]
async fn a_key_that_is_refused_at_other_addresses_goes_on_at_its_own_until_it_is_refused_there() {
    let ended = Arc::new(AtomicUsize::new(0));
    let is_ended = Arc::clone(&ended);
    let auth = Server::start(move |request| {
        let is_its_own = request.text().contains("192.0.2.1\"");
        Answer::ok(if is_its_own && is_ended.load(Ordering::Relaxed) == 0 { VALID } else { REFUSED })
    })
    .await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &auth.url())
        .set("SERVER__TRUSTED_PROXIES", "127.0.0.1")
        .start(&mlflow)
        .await;
    let from = async |address: &str| {
        let head = get("key").replace("\r\n\r\n", &format!("\r\nx-forwarded-for: {address}\r\n\r\n"));
        ask(gateway.address, head).await.status
    };
    assert_eq!(from("192.0.2.1").await, 200);
    for thief in 1..=40 {
        assert_eq!(from(&format!("198.51.100.{thief}")).await, 401);
        assert_eq!(from("192.0.2.1").await, 200);
    }
    // Asked about anew once in two seconds, and not for each refusal.
    let asked = auth.validations().len() - 40;
    assert!(asked <= 10, "{asked} questions about the key at its own address");

    // No refusal is lost: the last one ends it, if a little later.
    ended.store(1, Ordering::Relaxed);
    assert_eq!(from("198.51.100.41").await, 401);
    eventually("it is asked about at its own address", async || from("192.0.2.1").await == 401).await;
}

#[actix_web::test]
async fn a_key_that_the_service_now_refuses_ends_whatever_is_remembered() {
    let answers = vec![Answer::ok(VALID), Answer::ok(REFUSED), Answer::json(500, "{}")];
    let stage =
        Stage::set(answers, &[("AUTH__CACHE__TTL", "50ms"), ("AUTH__CACHE__NEGATIVE_TTL", "50ms")]).await;
    assert_eq!(stage.get("key").await.status, 200);
    actix_rt::time::sleep(Duration::from_millis(100)).await;
    stage.now_answer(1);
    assert_eq!(stage.get("key").await.status, 401);
    actix_rt::time::sleep(Duration::from_millis(100)).await;
    stage.now_answer(2);
    assert_eq!(stage.get("key").await.status, 503);
}

#[actix_web::test]
async fn an_outage_never_prolongs_a_key() {
    let expires_at = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(1500);
    let valid = format!(r#"{{"is_valid": true, "user_id": "u-1", "expires_at": "{expires_at}"}}"#);
    let stage =
        Stage::set(vec![Answer::ok(&valid), Answer::json(500, "{}")], &[("AUTH__CACHE__TTL", "50ms")]).await;
    assert_eq!(stage.get("key").await.status, 200);
    stage.now_answer(1);
    actix_rt::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(stage.get("key").await.status, 200);
    eventually("the key ends", async || stage.get("key").await.status != 200).await;
    let response = stage.get("key").await;
    assert_eq!((response.status, response.reason().as_str()), (401, "credential_rejected"));
}

#[actix_web::test]
async fn without_a_stale_window_an_outage_is_told_at_once() {
    let settings = [("AUTH__CACHE__TTL", "50ms"), ("AUTH__CACHE__STALE_TTL", "0s")];
    let stage = Stage::set(vec![Answer::ok(VALID), Answer::json(500, "{}")], &settings).await;
    assert_eq!(stage.get("key").await.status, 200);
    stage.now_answer(1);
    actix_rt::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(stage.get("key").await.status, 503);
}

#[actix_web::test]
async fn a_dead_service_is_left_alone_and_found_again() {
    let stage = Stage::set(vec![Answer::json(500, "{}"), Answer::ok(VALID)], &[]).await;
    for number in 0..40 {
        assert_eq!(stage.get(&format!("key-{number}")).await.status, 503);
    }
    assert_eq!(stage.calls(), 5, "five failures open the breaker");
    stage.now_answer(1);
    eventually("the service is asked again", async || stage.get("key").await.status == 200).await;
}

#[actix_web::test]
async fn a_flood_of_wrong_keys_costs_the_service_its_cap_and_leaves_good_keys_alone() {
    let auth = Server::start(|request| {
        let good = request.header("authorization").unwrap().starts_with("Bearer good");
        Answer::ok(if good { VALID } else { REFUSED })
    })
    .await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &auth.url())
        .set("AUTH__SERVICE__FAILURES_PER_MINUTE", "10")
        .set("AUTH__CACHE__TTL", "100ms")
        .start(&mlflow)
        .await;
    assert_eq!(ask(gateway.address, get("good-one")).await.status, 200);

    let mut flood = Connection::open(gateway.address).await;
    let mut statuses = Vec::new();
    for number in 0..1000 {
        flood.send(get(&format!("wrong-{number}"))).await;
        statuses.push(flood.response(false).await);
    }
    let refused = statuses.iter().filter(|response| response.status == 401).count();
    let limited = statuses.iter().filter(|response| response.status == 429).count();
    assert_eq!(refused + limited, 1000);
    assert!((10..=12).contains(&refused), "{refused} keys were asked about");
    let last = statuses.last().unwrap();
    assert_eq!(last.reason(), "rate_limited");
    assert!(last.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);

    // The good key behind the same address: remembered, and asked about again when its time is over.
    for _ in 0..3 {
        assert_eq!(ask(gateway.address, get("good-one")).await.status, 200);
        actix_rt::time::sleep(Duration::from_millis(150)).await;
    }
}

#[actix_web::test]
async fn what_is_more_than_the_cap_waits_its_turn() {
    let settings = [("AUTH__SERVICE__MAX_IN_FLIGHT", "3"), ("AUTH__SERVICE__TIMEOUT", "20s")];
    let stage = Stage::set(vec![slow_and_valid()], &settings).await;
    let asking: Vec<_> = (0..10)
        .map(|number| actix_rt::spawn(ask(stage.gateway.address, get(&format!("key-{number}")))))
        .collect();
    for asked in asking {
        assert_eq!(asked.await.unwrap().status, 200);
    }
    assert_eq!(stage.calls(), 10);
}

#[actix_web::test]
async fn a_minute_without_the_service_refuses_no_key_that_was_good_under_load() {
    let stage = Stage::set(vec![Answer::ok(VALID)], &[("AUTH__CACHE__TTL", "1s")]).await;
    let keys: Vec<String> = (0..8).map(|number| format!("key-{number}")).collect();
    for key in &keys {
        assert_eq!(stage.get(key).await.status, 200);
    }
    stage.auth.kill();
    let end = std::time::Instant::now() + Duration::from_secs(60);
    let clients: Vec<_> = keys
        .into_iter()
        .map(|key| {
            let address = stage.gateway.address;
            actix_rt::spawn(async move {
                let mut connection = Connection::open(address).await;
                let mut served = 0;
                while std::time::Instant::now() < end {
                    connection.send(get(&key)).await;
                    assert_eq!(connection.response(false).await.status, 200);
                    served += 1;
                    // Other tests want the processor too.
                    actix_rt::time::sleep(Duration::from_millis(50)).await;
                }
                served
            })
        })
        .collect();
    for client in clients {
        assert!(client.await.unwrap() > 100);
    }
    let stale = metric(&stage.gateway, r#"auth_cache_requests_total{result="stale",tier="memory"}"#);
    assert!(stale.await > 0.0);
    assert_eq!(stage.get("a-stranger").await.status, 503);
}
