//! Keys that the auth service knows.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::support::{Gateway, GatewayBuilder, Server, ask, metric, server::Answer};

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
async fn a_service_that_closes_an_idle_connection_under_a_question_is_asked_again() {
    let used = Mutex::new(HashSet::new());
    let auth = Server::start(move |request| {
        let is_first = used.lock().unwrap().insert(request.connection);
        if is_first { Answer::ok(VALID) } else { Answer::Close }
    })
    .await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = gateway_asking(&auth, &mlflow).await;
    for number in 0..5 {
        let key = format!("key-{number}");
        assert_eq!(ask(gateway.address, get_with(&key)).await.status, 200, "{key}");
    }
}

#[actix_web::test]
async fn a_rejection_is_a_401_and_an_outage_a_503_that_says_when() {
    let cases: [(&str, Answer, u16); 30] = [
        ("yes", Answer::ok(VALID), 200),
        ("false", Answer::ok(r#"{"is_valid": false}"#), 401),
        ("missing", Answer::ok(r#"{"user_id": "u-1"}"#), 401),
        ("a text", Answer::ok(r#"{"is_valid": "true"}"#), 401),
        ("401", Answer::json(401, r#"{"error": "who?"}"#), 401),
        ("403", Answer::json(403, r#"{"is_valid": false}"#), 401),
        ("404", Answer::json(404, r#"{"detail": "no such key"}"#), 401),
        ("a bare 401", Answer::json(401, "{}"), 503),
        ("a bare 403", Answer::json(403, ""), 503),
        ("a bare 404", Answer::json(404, r#"{"message": "no route"}"#), 503),
        ("a page 401", Answer::page(401), 503),
        ("a page 403", Answer::page(403), 503),
        ("a page 404", Answer::page(404), 503),
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
async fn a_load_balancers_page_refuses_no_key_that_was_good_and_is_told_as_an_outage() {
    for page in
        [Answer::page(404), Answer::page(403), Answer::page(401), Answer::json(404, ""), Answer::page(200)]
    {
        let taken = Arc::new(AtomicBool::new(false));
        let is_taken = Arc::clone(&taken);
        let auth =
            Server::start(move |_| if is_taken.load(Relaxed) { page.clone() } else { Answer::ok(VALID) })
                .await;
        let mlflow = Server::start(|_| Answer::ok("{}")).await;
        let gateway = GatewayBuilder::default()
            .set("AUTH__SERVICE__URL", &auth.url())
            .set("AUTH__SERVICE__TIMEOUT", "20s")
            .set("AUTH__CACHE__TTL", "50ms")
            .start(&mlflow)
            .await;
        assert_eq!(ask(gateway.address, get_with("good")).await.status, 200);
        assert_eq!(metric(&gateway, "auth_service_up").await, 1.0);
        taken.store(true, Relaxed);
        actix_rt::time::sleep(Duration::from_millis(60)).await;
        for _ in 0..10 {
            assert_eq!(ask(gateway.address, get_with("good")).await.status, 200);
        }
        assert_eq!(mlflow.requests().len(), 11);
        let stranger = ask(gateway.address, get_with("a-stranger")).await;
        assert_eq!((stranger.status, stranger.reason().as_str()), (503, "auth_unavailable"));
        // What the alert HokusaiGatewayAuthServiceDown looks at.
        assert_eq!(metric(&gateway, "auth_service_up").await, 0.0);
        assert!(metric(&gateway, r#"auth_validations_total{outcome="unavailable"}"#).await > 0.0);
        // A page for keys that were good opens the breaker, and the balancer is spared.
        assert!(auth.validations().len() <= 1 + 5 + 1, "{}", auth.validations().len());
    }
}

#[actix_web::test]
async fn a_service_that_says_nothing_refuses_where_the_settings_say_so_and_a_page_never_does() {
    for (answer, status) in [
        (Answer::json(403, ""), 401),
        (Answer::json(404, r#"{"message": "no such key"}"#), 401),
        (Answer::page(403), 503),
        (Answer::bytes("HTTP/1.1 404 X\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\ngone"), 503),
    ] {
        let auth = Server::start(move |_| answer.clone()).await;
        let mlflow = Server::start(|_| Answer::ok("{}")).await;
        let gateway = GatewayBuilder::default()
            .set("AUTH__SERVICE__URL", &auth.url())
            .set("AUTH__SERVICE__BARE_REFUSALS", "true")
            .start(&mlflow)
            .await;
        assert_eq!(ask(gateway.address, get_with("a-key")).await.status, status);
        assert!(mlflow.requests().is_empty());
    }
}

/// A firewall before the service does not like some keys, and answers them with a page.
#[actix_web::test]
async fn a_stranger_whose_keys_provoke_pages_makes_no_outage_for_others() {
    let auth = Server::start(|request| {
        let hostile = request.header("authorization").unwrap().contains("<script>");
        if hostile { Answer::page(403) } else { Answer::ok(VALID) }
    })
    .await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &auth.url())
        .set("AUTH__SERVICE__TIMEOUT", "20s")
        .start(&mlflow)
        .await;
    for number in 0..20 {
        let response = ask(gateway.address, get_with(&format!("<script>{number}"))).await;
        assert_eq!(response.status, 503);
    }
    for number in 0..5 {
        assert_eq!(ask(gateway.address, get_with(&format!("good-{number}"))).await.status, 200);
    }
    assert_eq!(mlflow.requests().len(), 5);
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
    for key in ["", &"a".repeat(8 * 1024 + 1), "with space"] {
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
