//! An auth service that fails, throttles or refuses.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{REFUSED, Stage, VALID, get};
use crate::support::{GatewayBuilder, Server, ask, client::Connection, eventually, metric, server::Answer};

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
