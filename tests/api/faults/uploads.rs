//! Uploads that break off, stall, or are answered in the middle.

use std::{collections::HashSet, net::SocketAddr, sync::Mutex, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::SEARCH;
use crate::support::{Gateway, GatewayBuilder, Server, ask, client::Connection, server::Answer};

#[actix_web::test]
async fn a_client_that_stalls_in_its_body_is_told_so() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default().set("SERVER__BODY_IDLE_TIMEOUT", "200ms").start(&mlflow).await;
    let mut connection = Connection::open(gateway.address).await;
    connection.send(gateway.request("POST", SEARCH, "content-length: 100\r\n\r\nhalf")).await;
    let response = connection.response(false).await;
    assert_eq!((response.status, response.reason().as_str()), (408, "body_timeout"));
}

#[actix_web::test]
async fn an_upload_that_breaks_off_is_never_whole_at_mlflow() {
    for rest in [
        format!("content-length: 200000\r\n\r\n{}", "x".repeat(100_000)),
        format!("transfer-encoding: chunked\r\n\r\n186a0\r\n{}\r\n", "x".repeat(100_000)),
    ] {
        let mlflow = Server::start(|_| Answer::ok("{}")).await;
        let gateway = Gateway::start(&mlflow).await;
        let mut connection = Connection::open(gateway.address).await;
        connection.send(gateway.request("PUT", "/api/2.0/mlflow-artifacts/artifacts/a", &rest)).await;
        mlflow.until_begun().await;
        drop(connection);
        let seen = mlflow.until(|request| request.line.starts_with("PUT")).await;
        assert!(!seen.complete, "{rest:.40}");
    }
}

#[actix_web::test]
async fn expect_is_answered_by_the_gateway_and_never_passed_on() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let mut connection = Connection::open(gateway.address).await;
    connection.send(gateway.request("POST", SEARCH, "expect: 100-continue\r\ncontent-length: 5\r\n")).await;
    assert_eq!(connection.response(false).await.status, 100);
    connection.send("hello").await;
    assert_eq!(connection.response(false).await.status, 200);
    assert_eq!(mlflow.request().header("expect"), None);
    assert_eq!(mlflow.request().body, b"hello");
}

/// A server that answers as soon as it has a request's head, and then reads no more of it, or closes.
async fn hasty_server(answer: &'static str, closes: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    actix_rt::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.windows(4).any(|window| window == b"\r\n\r\n") {
                if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let _ = stream.write_all(answer.as_bytes()).await;
            if !head.starts_with(b"PUT ") {
                continue;
            }
            if closes {
                let _ = stream.shutdown().await;
            }
            kept.push(stream);
        }
    });
    address
}

#[actix_web::test]
async fn an_answer_in_the_middle_of_an_upload_reaches_the_client() {
    let body = "x".repeat(32 << 20);
    for (name, answer, closes) in [
        ("a length", "HTTP/1.1 413 X\r\ncontent-length: 8\r\n\r\ntoo much", false),
        ("chunks", "HTTP/1.1 413 X\r\ntransfer-encoding: chunked\r\n\r\n8\r\ntoo much\r\n0\r\n\r\n", false),
        ("a close", "HTTP/1.1 413 X\r\nconnection: close\r\ncontent-length: 8\r\n\r\ntoo much", true),
    ] {
        let mlflow = hasty_server(answer, closes).await;
        let gateway = GatewayBuilder::default().start_with(&format!("http://{mlflow}")).await;
        for rest in [
            format!("content-length: {}\r\n\r\n{body}", body.len()),
            format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len()),
        ] {
            let put = gateway.request("PUT", "/api/2.0/mlflow-artifacts/artifacts/a", &rest);
            let response = ask(gateway.address, put).await;
            assert_eq!((response.status, response.text()), (413, "too much"), "{name}");
            // Its connection is not used again, also for what could not be tried twice.
            let post = gateway.request("POST", SEARCH, "content-length: 2\r\n\r\nhi");
            assert_eq!(ask(gateway.address, post).await.status, 413, "{name}");
        }
    }
}

#[actix_web::test]
async fn a_second_try_of_no_bytes_waits_for_mlflow_and_not_for_the_client() {
    let used = Mutex::new(HashSet::new());
    let mlflow = Server::start(move |request| {
        if request.target().contains("first") {
            used.lock().unwrap().insert(request.connection);
            return Answer::ok("{}");
        }
        if used.lock().unwrap().contains(&request.connection) {
            return Answer::Close;
        }
        let head = b"HTTP/1.1 200 OK\r\n".to_vec();
        Answer::Pieces(vec![head, b"content-length: 2\r\n\r\n{}".to_vec()], Duration::from_millis(600))
    })
    .await;
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__PROBE_INTERVAL", "1h")
        .set("SERVER__BODY_IDLE_TIMEOUT", "200ms")
        .start(&mlflow)
        .await;
    assert_eq!(gateway.get("/api/2.0/mlflow/runs/get?first").await.status, 200);
    let get = gateway.request("GET", SEARCH, "content-length: 0\r\n");
    assert_eq!(ask(gateway.address, get).await.status, 200);
}
