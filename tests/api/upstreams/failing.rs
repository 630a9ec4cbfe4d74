//! Servers that fail, hang, or are too busy.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{TARGET, named};
use crate::support::{Gateway, GatewayBuilder, Server, ask, client::Connection, eventually, server::Answer};

#[actix_web::test]
async fn a_server_that_keeps_failing_gets_no_requests_until_it_answers_the_prober() {
    let fails = Arc::new(AtomicBool::new(true));
    let failing = Arc::clone(&fails);
    let mlflow =
        Server::start(
            move |_| {
                if failing.load(Ordering::Relaxed) { Answer::Close } else { Answer::ok("{}") }
            },
        )
        .await;
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__PROBE_INTERVAL", "50ms")
        .set("MLFLOW__QUEUE_TIMEOUT", "1h")
        .start(&mlflow)
        .await;
    eventually("it is left alone", async || gateway.get(TARGET).await.status == 503).await;
    let before = mlflow.requests().len();
    let refused = gateway.get(TARGET).await;
    assert_eq!(refused.reason(), "upstream_unavailable");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(mlflow.requests().len(), before, "it is not tried");
    fails.store(false, Ordering::Relaxed);
    eventually("it is used again", async || gateway.get(TARGET).await.status == 200).await;
}

/// Whether the request is refused, and not left to wait.
async fn is_refused_at_once(gateway: &Gateway, request: &str) -> bool {
    let mut connection = Connection::open(gateway.address).await;
    connection.send(request).await;
    let response = connection.response_within(Duration::from_millis(200)).await;
    response.is_some_and(|response| response.status == 503)
}

#[actix_web::test]
async fn an_mlflow_that_hangs_holds_up_neither_refusals_nor_authentication() {
    let auth = Server::start(|request| {
        let good = request.header("authorization").is_some_and(|key| key.starts_with("Bearer good"));
        Answer::ok(if good { r#"{"is_valid": true, "key_id": "k-1"}"# } else { r#"{"is_valid": false}"# })
    })
    .await;
    let mlflow = Server::start(|_| Answer::Silence).await;
    let gateway = GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &auth.url())
        .set("MLFLOW__PROBE_INTERVAL", "50ms")
        .set("MLFLOW__MAX_CONNECTIONS", "4")
        .set("MLFLOW__QUEUE_TIMEOUT", "1h")
        .start(&mlflow)
        .await;
    let get = |key: &str| format!("GET {TARGET} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\r\n");
    let mut hanging = Vec::new();
    for _ in 0..8 {
        let mut connection = Connection::open(gateway.address).await;
        connection.send(get("good")).await;
        hanging.push(connection);
    }
    // With an hour to wait for, an answer within the test's patience is one that did not wait.
    eventually("requests are refused", async || is_refused_at_once(&gateway, &get("good-too")).await).await;
    assert_eq!(ask(gateway.address, get("wrong")).await.status, 401);
    assert_eq!(ask(gateway.address, "GET /live HTTP/1.1\r\nhost: a\r\n\r\n").await.status, 200);
}

#[actix_web::test]
async fn the_queue_for_a_connection_is_bounded() {
    let mlflow = named("mlflow").await;
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__MAX_CONNECTIONS", "1")
        .set("MLFLOW__MAX_WAITING", "2")
        .set("MLFLOW__QUEUE_TIMEOUT", "1h")
        .start(&mlflow)
        .await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut connection = Connection::open(gateway.address).await;
        connection.send(gateway.request("GET", &format!("{TARGET}?hang"), "")).await;
        held.push(connection);
    }
    let get = gateway.request("GET", TARGET, "");
    eventually("the queue is full", async || is_refused_at_once(&gateway, &get).await).await;
}

#[actix_web::test]
async fn a_few_requests_that_take_too_long_take_the_server_from_nobody() {
    let mlflow = named("mlflow").await;
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__RESPONSE_TIMEOUT", "200ms")
        .set("MLFLOW__CONNECT_TIMEOUT", "100ms")
        .set("MLFLOW__PROBE_INTERVAL", "1h")
        .start(&mlflow)
        .await;
    let hang = gateway.request("GET", &format!("{TARGET}?hang"), "");
    let hanging: Vec<_> = (0..9).map(|_| actix_rt::spawn(ask(gateway.address, hang.clone()))).collect();
    for hung in hanging {
        assert_eq!(hung.await.unwrap().status, 504);
    }
    assert_eq!(gateway.get(TARGET).await.status, 200);
}
