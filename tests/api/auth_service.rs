//! Keys that the auth service knows.

use std::time::Duration;

use crate::support::{Gateway, GatewayBuilder, Server, ask, server::Answer};

const SEARCH: &str = "/api/mlflow/api/2.0/mlflow/experiments/search";
const VALID: &str = r#"{"is_valid": true, "user_id": "u-1", "key_id": "k-1"}"#;

async fn gateway_asking(auth: &Server, mlflow: &Server) -> Gateway {
    GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &format!("{}/base", auth.url()))
        .set("AUTH__SERVICE__TIMEOUT", "500ms")
        .start(mlflow)
        .await
}

fn get_with(key: &str) -> String {
    format!("GET {SEARCH} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\r\n")
}

#[actix_web::test]
async fn the_service_is_asked_as_agreed() {
    let auth = Server::start(|_| Answer::ok(VALID)).await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = gateway_asking(&auth, &mlflow).await;
    assert_eq!(ask(gateway.address, get_with("any-Key/of=theirs")).await.status, 200);

    let asked = auth.validations().remove(0);
    assert_eq!(asked.line, "POST /base/api/v1/keys/validate HTTP/1.1");
    assert_eq!(asked.header("authorization"), Some("Bearer any-Key/of=theirs"));
    assert_eq!(asked.header("content-type"), Some("application/json"));
    assert_eq!(asked.body, br#"{"service_id":"platform","client_ip":"127.0.0.1"}"#);

    let seen = mlflow.request();
    assert_eq!(seen.header("x-hokusai-user-id"), Some("u-1"));
    assert_eq!(seen.header("x-hokusai-key-id"), Some("k-1"));
    assert!(!format!("{seen:?}").contains("theirs"));
}

#[actix_web::test]
async fn a_rejection_is_a_401_and_an_outage_a_503_that_says_when() {
    let cases: [(&str, Answer, u16); 24] = [
        ("yes", Answer::ok(VALID), 200),
        ("false", Answer::ok(r#"{"is_valid": false}"#), 401),
        ("missing", Answer::ok(r#"{"user_id": "u-1"}"#), 401),
        ("a text", Answer::ok(r#"{"is_valid": "true"}"#), 401),
        ("401", Answer::json(401, "{}"), 401),
        ("403", Answer::json(403, "{}"), 401),
        ("404", Answer::json(404, "{}"), 401),
        ("a number", Answer::ok(r#"{"is_valid": 1}"#), 401),
        ("null", Answer::ok(r#"{"is_valid": null}"#), 401),
        ("an array", Answer::ok("[true]"), 401),
        ("twice", Answer::ok(r#"{"is_valid": true, "is_valid": true}"#), 401),
        ("204", Answer::bytes("HTTP/1.1 204 X\r\n\r\n"), 503),
        ("302", Answer::bytes("HTTP/1.1 302 X\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n"), 503),
        (
            "gzip",
            Answer::bytes(
                "HTTP/1.1 200 X\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x08\x00",
            ),
            503,
        ),
        ("100 MB", Answer::bytes("HTTP/1.1 200 X\r\ncontent-length: 100000000\r\n\r\n{"), 503),
        ("422", Answer::json(422, VALID), 503),
        ("429", Answer::json(429, VALID), 503),
        ("500", Answer::json(500, VALID), 503),
        ("redirect", Answer::bytes("HTTP/1.1 307 X\r\nlocation: /\r\ncontent-length: 0\r\n\r\n"), 503),
        ("not json", Answer::ok("<html>"), 503),
        (
            "64 KiB and more",
            Answer::ok(&format!("{{\"is_valid\": true, \"x\": \"{}\"}}", "x".repeat(64 * 1024))),
            503,
        ),
        (
            "truncated",
            Answer::bytes_then_close("HTTP/1.1 200 X\r\ncontent-length: 900\r\n\r\n{\"is_valid\": true}"),
            503,
        ),
        ("closed", Answer::Close, 503),
        ("silence", Answer::Silence, 503),
    ];
    for (name, answer, status) in cases {
        let auth = Server::start(move |_| answer.clone()).await;
        let mlflow = Server::start(|_| Answer::ok("{}")).await;
        let gateway = gateway_asking(&auth, &mlflow).await;
        let response = ask(gateway.address, get_with("a-key")).await;
        assert_eq!(response.status, status, "{name}");
        match status {
            401 => assert_eq!(response.reason(), "credential_rejected", "{name}"),
            503 => {
                assert_eq!(response.reason(), "auth_unavailable", "{name}");
                assert_eq!(response.header("retry-after"), Some("1"), "{name}");
                assert!(response.header("www-authenticate").is_none(), "{name}");
            }
            _ => {}
        }
        assert_eq!(mlflow.requests().len(), usize::from(status == 200), "{name}");
        assert_eq!(auth.validations().len(), 1, "{name}: nothing is asked twice, no redirect followed");
    }
}

#[actix_web::test]
async fn a_drip_does_not_outlast_the_deadline() {
    // A valid answer, if one waited for it.
    let auth = Server::start(|_| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", VALID.len()).into_bytes();
        let drip = VALID.bytes().map(|byte| vec![byte]);
        Answer::Pieces(std::iter::once(head).chain(drip).collect(), Duration::from_millis(50))
    })
    .await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = gateway_asking(&auth, &mlflow).await;
    assert_eq!(ask(gateway.address, get_with("a-key")).await.status, 503);
    assert!(mlflow.requests().is_empty());
}

#[actix_web::test]
async fn an_absent_service_is_an_outage() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway =
        GatewayBuilder::default().set("AUTH__SERVICE__URL", "http://127.0.0.1:1").start(&mlflow).await;
    let response = ask(gateway.address, get_with("a-key")).await;
    assert_eq!((response.status, response.reason().as_str()), (503, "auth_unavailable"));
}

#[actix_web::test]
async fn what_cannot_be_a_key_is_never_asked_about() {
    let auth = Server::start(|_| Answer::ok(VALID)).await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = gateway_asking(&auth, &mlflow).await;
    for key in ["", " two-spaces", &"a".repeat(8 * 1024), "with space"] {
        let response = ask(gateway.address, get_with(key)).await;
        assert_eq!((response.status, response.reason().as_str()), (401, "credential_rejected"), "{key:?}");
    }
    assert!(auth.requests().is_empty());
}

#[actix_web::test]
async fn an_expiry_that_the_service_names_is_kept() {
    let auth = Server::start(|_| {
        Answer::ok(r#"{"is_valid": true, "user_id": "u-1", "expires_at": "2020-01-01T00:00:00Z"}"#)
    })
    .await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = gateway_asking(&auth, &mlflow).await;
    let response = ask(gateway.address, get_with("a-key")).await;
    assert_eq!((response.status, response.reason().as_str()), (401, "credential_rejected"));
}

#[actix_web::test]
async fn an_identity_that_a_header_cannot_carry_is_encoded() {
    let auth = Server::start(|_| Answer::ok(r#"{"is_valid": true, "user_id": "Ada\r\nx-evil: 1 é"}"#)).await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = gateway_asking(&auth, &mlflow).await;
    assert_eq!(ask(gateway.address, get_with("a-key")).await.status, 200);
    assert_eq!(mlflow.request().header("x-hokusai-user-id"), Some("Ada%0D%0Ax-evil:%201%20%C3%A9"));
    assert_eq!(mlflow.request().header("x-evil"), None);
}
