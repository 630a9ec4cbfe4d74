//! What comes back.

use super::SEARCH;
use crate::support::{Gateway, Server, ask, client::Connection, gateway::path_for, server::Answer};

#[actix_web::test]
async fn responses_keep_their_status_framing_and_bytes() {
    for (method, upstream, status, length, chunked, body) in [
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", 200, Some("2"), false, "hi"),
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, Some("0"), false, ""),
        (
            "GET",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            200,
            None,
            true,
            "hi",
        ),
        ("GET", "HTTP/1.1 404 X\r\ncontent-length: 2\r\n\r\n{}", 404, Some("2"), false, "{}"),
        ("GET", "HTTP/1.1 500 X\r\ncontent-length: 2\r\n\r\n{}", 500, Some("2"), false, "{}"),
        (
            "GET",
            "HTTP/1.1 206 X\r\ncontent-range: bytes 0-1/9\r\ncontent-length: 2\r\n\r\nhi",
            206,
            Some("2"),
            false,
            "hi",
        ),
        ("GET", "HTTP/1.1 204 X\r\n\r\n", 204, None, false, ""),
        ("GET", "HTTP/1.1 304 X\r\netag: \"a\"\r\n\r\n", 304, None, false, ""),
        ("GET", "HTTP/1.1 304 X\r\ncontent-length: 9\r\n\r\n", 304, Some("9"), false, ""),
        (
            "GET",
            "HTTP/1.1 302 X\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n",
            302,
            Some("0"),
            false,
            "",
        ),
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", 200, Some("9"), false, ""),
        ("HEAD", "HTTP/1.1 200 OK\r\n\r\n", 200, None, false, ""),
    ] {
        let mlflow = Server::start(move |_| Answer::bytes(upstream)).await;
        let gateway = Gateway::start(&mlflow).await;
        let mut connection = Connection::open(gateway.address).await;
        for _ in 0..2 {
            connection.send(gateway.request(method, SEARCH, "")).await;
            let response = connection.response(method == "HEAD").await;
            assert_eq!(response.status, status, "{upstream:?}");
            assert_eq!(response.header("content-length"), length, "{upstream:?}");
            assert_eq!(response.header("transfer-encoding").is_some(), chunked, "{upstream:?}");
            assert_eq!(response.text(), body, "{upstream:?}");
            assert!(response.complete, "{upstream:?}");
            assert_eq!(response.header("content-type"), None, "{upstream:?}");
        }
        assert_eq!(mlflow.requests().len(), 2);
    }
}

#[actix_web::test]
async fn an_http_1_0_body_ends_with_its_connection() {
    let mlflow = Server::start(|_| Answer::bytes_then_close("HTTP/1.0 200 OK\r\n\r\nold but whole")).await;
    let gateway = Gateway::start(&mlflow).await;
    let response = gateway.get(SEARCH).await;
    assert_eq!((response.status, response.text(), response.complete), (200, "old but whole", true));
}

#[actix_web::test]
async fn a_compressed_body_passes_as_it_is() {
    let mlflow = Server::start(|_| {
        let mut answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n".to_vec();
        answer.extend([0x1f, 0x8b, 0x08, 0x00]);
        Answer::Bytes(answer)
    })
    .await;
    let gateway = Gateway::start(&mlflow).await;
    let response = gateway.get(SEARCH).await;
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    assert_eq!(response.body, [0x1f, 0x8b, 0x08, 0x00]);
}

#[actix_web::test]
async fn a_redirect_is_the_clients_to_follow() {
    let mlflow = Server::start(|_| {
        Answer::bytes("HTTP/1.1 307 X\r\nlocation: /api/2.0/other\r\ncontent-length: 0\r\n\r\n")
    })
    .await;
    let gateway = Gateway::start(&mlflow).await;
    let response =
        ask(gateway.address, gateway.request("PUT", path_for("PUT"), "content-length: 5\r\n\r\nhello")).await;
    assert_eq!(response.status, 307);
    assert_eq!(mlflow.request().body, b"hello");
}

#[actix_web::test]
async fn a_download_begins_before_mlflow_has_sent_it_all() {
    let pieces = vec![b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst".to_vec()];
    let mlflow =
        Server::start(move |_| Answer::Pieces(pieces.clone(), std::time::Duration::from_secs(3600))).await;
    let gateway = Gateway::start(&mlflow).await;
    let mut connection = Connection::open(gateway.address).await;
    connection.send(gateway.request("GET", SEARCH, "")).await;
    connection.until_received(b"first").await;
}
