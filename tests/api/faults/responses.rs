//! Responses that are broken, or more than one.

use std::{collections::HashSet, sync::Mutex, time::Duration};

use super::SEARCH;
use crate::support::{Gateway, GatewayBuilder, Server, server::Answer};

#[actix_web::test]
async fn a_truncated_response_is_never_complete() {
    for truncated in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nonly this\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nonly",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\ncontent-length: 100\r\n\r\nonly this",
    ] {
        for end in [Answer::BytesThenClose, Answer::BytesThenReset] {
            let answer = end(truncated.as_bytes().to_vec());
            let mlflow = Server::start(move |_| answer.clone()).await;
            let gateway = Gateway::start(&mlflow).await;
            let response = gateway.get(SEARCH).await;
            assert!(!response.complete, "{truncated:?} was passed on as whole: {response:?}");
        }
    }
}

#[actix_web::test]
async fn a_response_that_cannot_be_passed_on_is_a_502() {
    for (name, answer, reason) in [
        (
            "early hints",
            Answer::bytes("HTTP/1.1 103 X\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
            "upstream_protocol",
        ),
        (
            "continue",
            Answer::bytes("HTTP/1.1 100 X\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
            "upstream_protocol",
        ),
        ("switching", Answer::bytes("HTTP/1.1 101 X\r\nupgrade: x\r\n\r\n"), "upstream_protocol"),
        ("unframed", Answer::bytes_then_close("HTTP/1.1 200 OK\r\n\r\nhow long?"), "upstream_protocol"),
        (
            "framed by nothing",
            Answer::bytes_then_close("HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nhow long?"),
            "upstream_protocol",
        ),
        // awc would take its body for an empty one.
        (
            "an offer of a WebSocket",
            Answer::bytes("HTTP/1.1 426 X\r\nupgrade: websocket\r\ncontent-length: 2\r\n\r\nno"),
            "upstream_protocol",
        ),
        // awc would panic.
        (
            "a name too long",
            Answer::Bytes([b"HTTP/1.1 204 X\r\n", "x".repeat(1 << 16).as_bytes(), b": x\r\n\r\n"].concat()),
            "upstream_protocol",
        ),
        ("not http", Answer::bytes_then_close("SSH-2.0-OpenSSH\r\n"), "upstream_protocol"),
        (
            "two lengths",
            Answer::bytes("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
            "upstream_protocol",
        ),
        ("a head cut off", Answer::bytes_then_close("HTTP/1.1 200 OK\r\ncontent-le"), "upstream_unavailable"),
        ("closed", Answer::Close, "upstream_unavailable"),
    ] {
        let mlflow = Server::start(move |_| answer.clone()).await;
        let gateway = Gateway::start(&mlflow).await;
        let response = gateway.get(SEARCH).await;
        assert_eq!((response.status, response.reason().as_str()), (502, reason), "{name}");
    }
}

#[actix_web::test]
async fn an_interim_response_never_reaches_the_next_client() {
    // The real response comes late, when the connection could be somebody else's.
    let mlflow = Server::start(|request| {
        if request.target().contains("first") {
            Answer::Pieces(
                vec![
                    b"HTTP/1.1 103 Early Hints\r\nlink: </secret>\r\n\r\n".to_vec(),
                    b"HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\nfor the first one".to_vec(),
                ],
                Duration::from_millis(50),
            )
        } else {
            Answer::ok("for the second one")
        }
    })
    .await;
    let gateway = Gateway::start(&mlflow).await;
    for _ in 0..20 {
        let first = gateway.get("/api/2.0/mlflow/runs/get?first").await;
        assert_eq!((first.status, first.reason().as_str()), (502, "upstream_protocol"));
        let second = gateway.get("/api/2.0/mlflow/runs/get?second").await;
        assert_eq!(second.text(), "for the second one");
    }
}

#[actix_web::test]
async fn bytes_behind_a_response_never_become_the_next_one() {
    let mlflow = Server::start(|_| {
        Answer::bytes(
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        )
    })
    .await;
    let gateway = GatewayBuilder::default().set("MLFLOW__PROBE_INTERVAL", "1h").start(&mlflow).await;
    for _ in 0..20 {
        let response = gateway.get(SEARCH).await;
        assert!(!response.text().contains("evil"), "{response:?}");
    }
    // Not even where the rest of them is still to come.
    let connections: Vec<_> = mlflow.requests().iter().map(|request| request.connection).collect();
    assert!(connections.windows(2).all(|pair| pair[0] != pair[1]), "{connections:?}");
}

#[actix_web::test]
async fn a_body_behind_a_204_never_becomes_the_next_response() {
    for (framing, body) in [
        ("transfer-encoding: chunked", "0\r\n\r\n"),
        ("content-length: 40", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nx"),
    ] {
        let head = format!("HTTP/1.1 204 X\r\n{framing}\r\n\r\n");
        let mlflow = Server::start(move |request| {
            if request.target().contains("second") {
                return Answer::ok("{}");
            }
            Answer::Pieces(vec![head.clone().into_bytes(), body.into()], Duration::from_millis(20))
        })
        .await;
        let gateway = GatewayBuilder::default().set("MLFLOW__PROBE_INTERVAL", "1h").start(&mlflow).await;
        assert_eq!(gateway.get("/api/2.0/mlflow/runs/get?first").await.status, 204);
        let second = gateway.get("/api/2.0/mlflow/runs/get?second").await;
        assert_eq!((second.status, second.text()), (200, "{}"), "{framing}");
    }
}

#[actix_web::test]
async fn a_second_try_is_on_a_connection_that_nobody_used() {
    // Each connection is good for one request, and does not tell before the second.
    let used = Mutex::new(HashSet::new());
    let mlflow = Server::start(move |request| {
        if !used.lock().unwrap().insert(request.connection) {
            return Answer::Close;
        }
        let head = b"HTTP/1.1 200 OK\r\n".to_vec();
        Answer::Pieces(vec![head, b"content-length: 2\r\n\r\n{}".to_vec()], Duration::from_millis(50))
    })
    .await;
    let gateway = GatewayBuilder::default().set("MLFLOW__PROBE_INTERVAL", "1h").start(&mlflow).await;
    let (first, second) = tokio::join!(gateway.get(SEARCH), gateway.get(SEARCH));
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(gateway.get(SEARCH).await.status, 200);
}

#[actix_web::test]
async fn of_a_thousand_truncated_responses_none_is_complete() {
    let half = "x".repeat(5_000);
    for head in [
        format!("HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n{half}"),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1388\r\n{half}\r\n"),
    ] {
        let mlflow = Server::start(move |request| {
            if request.target().ends_with("/health") {
                Answer::ok("OK")
            } else {
                Answer::bytes_then_close(&head)
            }
        })
        .await;
        let gateway = GatewayBuilder::default().set("LIMITS__MODE", "off").start(&mlflow).await;
        for number in 0..500 {
            let response = gateway.get(SEARCH).await;
            assert!(!response.complete, "{number}: {response:?}");
        }
    }
}
