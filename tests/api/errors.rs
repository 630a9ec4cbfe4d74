//! The gateway's own refusals: their statuses, their bodies, and that nothing of them reaches MLflow.

use futures_util::future::join_all;

use crate::support::{Gateway, Server, ask, client::Connection, server::Answer};

#[actix_web::test]
async fn each_refusal_has_its_status_and_reason() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    for (method, target, rest, status, reason, code) in [
        ("GET", "/nowhere", "", 404, "route_unknown", "ENDPOINT_NOT_FOUND"),
        ("GET", "/admin", "", 404, "route_unknown", "ENDPOINT_NOT_FOUND"),
        ("GET", "/API/2.0/mlflow/runs/get", "", 404, "route_unknown", "ENDPOINT_NOT_FOUND"),
        ("GET", "/api/mlflow/../admin", "", 400, "bad_path", "BAD_REQUEST"),
        ("GET", "/api/mlflow/%252e%252e/admin", "", 400, "bad_path", "BAD_REQUEST"),
        ("GET", "/api/mlflow/api//2.0", "", 400, "bad_path", "BAD_REQUEST"),
        ("GET", "/api/mlflow/a;b", "", 400, "bad_path", "BAD_REQUEST"),
        ("GET", "http://evil/api/mlflow/version", "", 400, "bad_request", "BAD_REQUEST"),
        ("TRACE", "/api/mlflow/version", "", 405, "method_not_allowed", "BAD_REQUEST"),
        ("OPTIONS", "*", "", 405, "method_not_allowed", "BAD_REQUEST"),
        ("PROPFIND", "/api/mlflow/version", "", 405, "method_not_allowed", "BAD_REQUEST"),
        (
            "GET",
            "/api/mlflow/version",
            "connection: upgrade\r\nupgrade: websocket\r\n",
            501,
            "bad_request",
            "BAD_REQUEST",
        ),
        ("GET", "/api/mlflow/version", "upgrade: WebSocket\r\n", 501, "bad_request", "BAD_REQUEST"),
    ] {
        let response = ask(gateway.address, gateway.request(method, target, rest)).await;
        assert_eq!(response.status, status, "{method} {target}");
        assert_eq!(response.reason(), reason, "{method} {target}");
        assert_eq!(response.json()["error_code"], code, "{method} {target}");
        assert_eq!(response.header("cache-control"), Some("no-store"));
        assert_eq!(response.header("content-type"), Some("application/json"));
    }
    assert!(mlflow.requests().is_empty());
}

#[actix_web::test]
async fn what_follows_an_upgrade_or_connect_is_not_a_request() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let behind = gateway.request("GET", "/api/2.0/mlflow/runs/get", "");
    let first = [
        gateway.request("GET", "/api/mlflow/version", "connection: upgrade\r\nupgrade: websocket\r\n"),
        gateway.request("CONNECT", "mlflow:80", ""),
    ];
    // Both at once: each lingers for five seconds.
    join_all(first.map(async |first| {
        let mut connection = Connection::open(gateway.address).await;
        connection.send(format!("{first}{behind}")).await;
        assert!([405, 501].contains(&connection.response(false).await.status));
        assert!(connection.is_closed().await);
    }))
    .await;
    assert!(mlflow.requests().is_empty());
}

#[actix_web::test]
async fn every_response_carries_a_request_id() {
    let mlflow = Server::start(|_| {
        Answer::bytes("HTTP/1.1 200 X\r\nx-request-id: of-mlflow\r\ncontent-length: 0\r\n\r\n")
    })
    .await;
    let gateway = Gateway::start(&mlflow).await;
    for target in ["/api/2.0/mlflow/runs/get", "/nowhere", "/live", "/ready", "/version"] {
        let response = ask(gateway.address, gateway.request("GET", target, "x-request-id: mine-1\r\n")).await;
        let ids: Vec<_> = response.headers.iter().filter(|(name, _)| name == "x-request-id").collect();
        assert_eq!(ids.len(), 1, "{target}");
        assert_eq!(ids[0].1, "mine-1", "{target}");
    }
    let made = gateway.get("/nowhere").await.header("x-request-id").unwrap().to_owned();
    assert_eq!(made.len(), 36);
}
