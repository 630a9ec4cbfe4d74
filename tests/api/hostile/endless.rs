//! What never ends.

use super::*;

#[actix_web::test]
async fn heads_and_bodies_that_never_end_are_given_up() {
    let stage = Stage::set().await;
    let whole = stage.filled(&format!("GET {TARGET} HTTP/1.1\r\n{{host}}{{key}}\r\n"));
    let half = &whole[..whole.len() - 10];

    let mut first = stage.connection(half).await;
    assert_eq!(first.response(false).await.status, 408);
    assert!(first.is_closed().await, "the first head");

    let mut later = stage.connection(&whole).await;
    assert_eq!(later.response(false).await.status, 200);
    later.send(half).await;
    assert_eq!(later.response(false).await.status, 408);
    assert!(later.is_closed().await, "a later head");

    // A byte now and then is no progress.
    let mut drip = stage.connection(&whole).await;
    assert_eq!(drip.response(false).await.status, 200);
    for byte in half {
        if !drip.try_send(&[*byte]).await {
            break;
        }
        actix_rt::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(drip.response(false).await.status, 408);
    assert!(drip.is_closed().await, "a head that drips");

    let mut body = stage.connection(&stage.filled(&post("content-length: 100000\r\n\r\n"))).await;
    for _ in 0..100 {
        if !body.try_send(b"x").await {
            break;
        }
        actix_rt::time::sleep(Duration::from_millis(20)).await;
    }
    let response = body.response(false).await;
    assert!([0, 408].contains(&response.status), "{response:?}");
    assert!(
        stage.mlflow.requests().iter().all(|request| !request.line.starts_with("POST") || !request.complete)
    );
}

#[actix_web::test]
async fn a_connection_between_two_requests_is_kept_longer_than_a_head_may_take() {
    let stage = Stage::set().await;
    let whole = stage.filled(&format!("GET {TARGET} HTTP/1.1\r\n{{host}}{{key}}\r\n"));
    let mut connection = stage.connection(&whole).await;
    assert_eq!(connection.response(false).await.status, 200);
    // An empty line is no beginning of a request.
    connection.send("\r\n").await;
    actix_rt::time::sleep(Duration::from_millis(1500)).await;
    connection.send(&whole).await;
    assert_eq!(connection.response(false).await.status, 200);
}

#[actix_web::test]
async fn a_head_that_begins_in_time_may_take_longer_than_an_idle_connection_is_kept() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default()
        .set("SERVER__KEEP_ALIVE", "1s")
        .set("SERVER__HEAD_TIMEOUT", "20s")
        .start(&mlflow)
        .await;
    let whole = gateway.request("GET", TARGET, "");
    let (begin, end) = whole.split_at(whole.len() - 10);
    let mut connection = Connection::open(gateway.address).await;
    connection.send(&whole).await;
    assert_eq!(connection.response(false).await.status, 200);
    connection.send(begin).await;
    actix_rt::time::sleep(Duration::from_secs(3)).await;
    connection.send(end).await;
    assert_eq!(connection.response(false).await.status, 200);
}

#[actix_web::test]
async fn a_client_that_takes_nothing_is_given_up() {
    let mlflow = Server::start(|_| Answer::Endless).await;
    let gateway = GatewayBuilder::default()
        .set("SERVER__BODY_IDLE_TIMEOUT", "300ms")
        .set("MLFLOW__MAX_CONNECTIONS", "1")
        .start(&mlflow)
        .await;
    let mut stuck = Connection::open(gateway.address).await;
    stuck.send(gateway.request("GET", ARTIFACT, "")).await;
    stuck.until_received(b"xxxx").await;
    // Its claim on the one connection to MLflow ends, and another gets it.
    eventually("another is served", async || {
        let mut another = Connection::open(gateway.address).await;
        another.send(gateway.request("GET", ARTIFACT, "")).await;
        another.begins_with(b"HTTP/1.1 200").await
    })
    .await;
}

#[actix_web::test]
async fn a_body_larger_than_the_cap_is_refused_and_never_whole() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default().set("SERVER__MAX_BODY", "1KiB").start(&mlflow).await;
    for (name, rest) in [
        ("by its length", "content-length: 1025\r\n\r\n".to_owned()),
        (
            "by its chunks",
            format!("transfer-encoding: chunked\r\n\r\n401\r\n{}\r\n0\r\n\r\n", "x".repeat(1025)),
        ),
    ] {
        let response = ask(gateway.address, gateway.request("PUT", ARTIFACT, &rest)).await;
        assert_eq!((response.status, response.reason().as_str()), (413, "body_too_large"), "{name}");
    }
    assert!(mlflow.requests().iter().all(|request| !request.complete));
    let fits = format!("content-length: 1024\r\n\r\n{}", "x".repeat(1024));
    assert_eq!(ask(gateway.address, gateway.request("PUT", ARTIFACT, &fits)).await.status, 200);
}
