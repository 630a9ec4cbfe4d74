//! What is tried again, and what is sent once.

use super::TARGET;
use crate::support::{
    Gateway, GatewayBuilder, Server, ask, client::Connection, gateway::path_for, server::Answer,
};

#[actix_web::test]
async fn ten_thousand_gets_to_a_server_that_closes_idle_connections_all_succeed() {
    let mlflow =
        Server::start(|_| Answer::BytesThenClose(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_vec()))
            .await;
    let gateway = GatewayBuilder::default().set("LIMITS__MODE", "off").start(&mlflow).await;
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let (address, get) = (gateway.address, gateway.request("GET", TARGET, ""));
            actix_rt::spawn(async move {
                let mut connection = Connection::open(address).await;
                for number in 0..500 {
                    connection.send(&get).await;
                    let response = connection.response(false).await;
                    assert_eq!(response.status, 200, "{number}: {response:?}");
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert!(mlflow.requests().len() >= 10_000);
}

#[actix_web::test]
async fn what_may_not_be_repeated_is_sent_once() {
    let mlflow = Server::start(|_| Answer::Close).await;
    for (method, rest, times) in [
        ("POST", "content-length: 0\r\n", 1),
        ("POST", "content-length: 5\r\n\r\nhello", 1),
        ("PUT", "content-length: 5\r\n\r\nhello", 1),
        ("PATCH", "", 1),
        ("GET", "", 2),
        ("HEAD", "", 2),
        ("DELETE", "", 2),
        ("DELETE", "content-length: 7\r\n\r\n{\"a\":1}", 1),
    ] {
        let target = format!("{}?{method}{}", path_for(method), rest.len());
        // A new one each time: one that has failed is soon left alone.
        let gateway = GatewayBuilder::default().set("MLFLOW__PROBE_INTERVAL", "1h").start(&mlflow).await;
        let response = ask(gateway.address, gateway.request(method, &target, rest)).await;
        assert_eq!(response.status, 502, "{method} {rest:?}");
        let seen = mlflow.requests().iter().filter(|seen| seen.target() == target).count();
        assert_eq!(seen, times, "{method} {rest:?}");
    }
}

#[actix_web::test]
async fn a_response_that_broke_off_is_not_asked_for_again() {
    let mlflow = Server::start(|_| Answer::bytes_then_close("HTTP/1.1 200 OK\r\ncontent-le")).await;
    let gateway = Gateway::start(&mlflow).await;
    assert_eq!(gateway.get(TARGET).await.status, 502);
    assert_eq!(mlflow.requests().len(), 1);
}

#[actix_web::test]
async fn a_request_that_is_tried_again_is_one_failure() {
    let mlflow =
        Server::start(
            |request| {
                if request.target().contains("close") { Answer::Close } else { Answer::ok("{}") }
            },
        )
        .await;
    let gateway = GatewayBuilder::default().set("MLFLOW__PROBE_INTERVAL", "1h").start(&mlflow).await;
    let closed = format!("{TARGET}?close");
    for _ in 0..3 {
        for _ in 0..2 {
            let before = mlflow.requests().len();
            assert_eq!(gateway.get(&closed).await.reason(), "upstream_unavailable");
            assert_eq!(mlflow.requests().len() - before, 2);
        }
        assert_eq!(gateway.get(TARGET).await.status, 200);
    }
    for _ in 0..3 {
        gateway.get(&closed).await;
    }
    assert_eq!(gateway.get(TARGET).await.status, 503);
}
