//! A client with a good key is told by which address the gateway knows it, if it asks; nobody else, and no other's.

use crate::support::{Gateway, GatewayBuilder, Server, client::ask, server::Answer};

const TOLD: &str = "x-hokusai-client-ip";

#[actix_web::test]
async fn the_address_is_told_to_who_asks_with_a_good_key() {
    let mlflow = Server::start(|_| {
        // MLflow's own word of it is not believed.
        Answer::bytes("HTTP/1.1 200 X\r\nx-hokusai-client-ip: 192.0.2.66\r\ncontent-length: 2\r\n\r\n{}")
    })
    .await;
    let direct = Gateway::start(&mlflow).await;
    let behind = GatewayBuilder::default().set("SERVER__TRUSTED_PROXIES", "127.0.0.1").start(&mlflow).await;
    let asks = "x-hokusai-tell: client-ip\r\n";
    let forwarded = "x-hokusai-tell: client-ip\r\nx-forwarded-for: 203.0.113.9\r\n";
    for (gateway, fields, is_good, told) in [
        (&direct, asks, true, Some("127.0.0.1")),
        (&direct, forwarded, true, Some("127.0.0.1")),
        (&behind, forwarded, true, Some("203.0.113.9")),
        (&direct, "", true, None),
        (&direct, "x-hokusai-tell: everything\r\n", true, None),
        (&behind, forwarded, false, None),
    ] {
        let key = if is_good { &gateway.key } else { "not-a-good-key" };
        let head = format!(
            "GET /api/2.0/mlflow/experiments/search HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n"
        );
        let response = ask(gateway.address, format!("{head}{fields}\r\n")).await;
        assert_eq!(
            (response.status, response.header(TOLD)),
            (if is_good { 200 } else { 401 }, told),
            "{fields}"
        );
    }
    assert!(mlflow.requests().iter().all(|request| request.header("x-hokusai-tell").is_none()));
}
