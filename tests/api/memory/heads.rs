//! Heads that do not end, large ones, and many connections.

use std::time::Duration;

use futures_util::{StreamExt as _, stream::FuturesUnordered};

use super::{CONNECTION, KIB, MIB, SLACK, Stage, TARGET};
use crate::support::{Server, ask, client::Connection, eventually, server::Answer};

#[actix_web::test]
async fn heads_that_do_not_end_come_to_their_room_and_no_more() {
    let stage = Stage::set(&[("HOKUSAI__SERVER__MAX_CONNECTIONS", "800")]);
    stage.lives().await;
    let before = stage.gateway.peak_memory();
    let line = format!("GET {TARGET}?{} HTTP/1.1\r\n", "x".repeat(127 * KIB));
    let head = format!("{line}host: a\r\nx: {}", "y".repeat(31 * KIB));
    let strangers = stage.open(800, head.as_bytes()).await;
    let grown = stage.grown(before).await;
    let allowed = 800 * CONNECTION + 2 * 32 * MIB + SLACK;
    assert!(grown < allowed, "{} KiB, and not {}", grown / KIB, allowed / KIB);
    // And whoever comes now is served.
    stage.lives().await;
    drop(strangers);
}

#[actix_web::test]
async fn a_large_head_costs_no_more_than_its_room_and_nothing_when_it_is_answered() {
    let stage = Stage::set(&[("HOKUSAI__SERVER__MAX_CONNECTIONS", "400")]);
    stage.lives().await;
    let before = stage.gateway.peak_memory();
    let line = format!("GET {TARGET}?{} HTTP/1.1\r\n", "x".repeat(127 * KIB));
    let head = format!("{line}host: a\r\nx: {}\r\n\r\n", "y".repeat(31 * KIB));
    let mut answered = Vec::new();
    for _ in 0..400 {
        let mut connection = Connection::open(stage.gateway.address).await;
        connection.send(&head).await;
        let response = connection.response(false).await;
        assert_eq!((response.status, response.header("connection")), (401, Some("close")));
        answered.push(connection);
    }
    let grown = stage.grown(before).await;
    assert!(grown < SLACK, "{} KiB, and not {}", grown / KIB, SLACK / KIB);
}

#[actix_web::test]
async fn large_heads_that_are_being_answered_leave_half_of_the_room_to_others() {
    let auth = Server::start(|_| Answer::Silence).await;
    let stage = Stage::set(&[
        ("HOKUSAI_AUTH_SERVICE_URL", &auth.url()),
        ("HOKUSAI__AUTH__SERVICE__TIMEOUT", "60s"),
        ("HOKUSAI__SERVER__WORKERS", "1"),
    ]);
    let key = "authorization: Bearer stolen\r\n";
    let line = format!("GET {TARGET}?{} HTTP/1.1\r\n", "x".repeat(127 * KIB));
    let head = format!("{line}host: a\r\n{key}x: {}\r\n\r\n", "y".repeat(31 * KIB));
    let mut connections = Vec::new();
    for _ in 0..160 {
        let mut connection = Connection::open(stage.gateway.address).await;
        connection.send(&head).await;
        connections.push(connection);
    }
    let responses = connections.iter_mut().map(|connection| connection.response(false));
    let refused = 160 - 16 * MIB / head.len();
    let refusals: Vec<_> = responses.collect::<FuturesUnordered<_>>().take(refused).collect().await;
    for response in refusals {
        assert_eq!((response.status, response.reason().as_str()), (503, "upstream_unavailable"));
        assert_eq!(response.header("retry-after"), Some("1"));
        assert_eq!(response.header("connection"), Some("close"));
        assert_eq!(response.json()["request_id"].as_str(), response.header("x-request-id"));
    }
    eventually("the others are under way", async || auth.begun() == 1).await;
    // A head in two pieces finds room.
    let mut other = Connection::open(stage.gateway.address).await;
    other.send("GET /live HTTP/1.1\r\n").await;
    actix_rt::time::sleep(Duration::from_millis(100)).await;
    other.send("host: a\r\n\r\n").await;
    assert_eq!(other.response(false).await.status, 200);
    // And a large one does, when those are gone.
    drop(connections);
    eventually("their room is free", async || {
        let line = format!("GET /live?{} HTTP/1.1\r\n", "x".repeat(127 * KIB));
        ask(stage.gateway.address, format!("{line}host: a\r\n\r\n")).await.status == 200
    })
    .await;
}
