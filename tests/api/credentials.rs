//! Who is let in, and what the others are told.

use hokusai_gateway::auth::{key, key_file::edit};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;

use crate::support::{Gateway, Server, ask, client::Connection, gateway::create_key, server::Answer};

const SEARCH: &str = "/api/mlflow/api/2.0/mlflow/experiments/search";

fn get(headers: &str) -> String {
    format!("GET {SEARCH} HTTP/1.1\r\nhost: a\r\n{headers}\r\n")
}

#[actix_web::test]
async fn without_a_credential_nothing_is_forwarded() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    for target in [
        SEARCH,
        "/api/2.0/mlflow/runs/get",
        "/mlflow/",
        "/api/mlflow/health",
        "/graphql?x=/health",
        "/mlflow/static-files/health",
        "/api/mlflow/version",
    ] {
        let response = ask(gateway.address, format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        assert_eq!(response.status, 401, "{target}");
        assert_eq!(response.reason(), "credential_missing", "{target}");
    }
    let response = ask(gateway.address, get("user-agent: ELB-HealthChecker/2.0\r\n")).await;
    assert_eq!(response.status, 401);
    assert!(mlflow.requests().is_empty());
}

#[actix_web::test]
async fn a_refused_key_is_told_one_text_whatever_is_wrong_with_it() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let past = Timestamp::now() - SignedDuration::from_secs(1);
    let expired = create_key(&gateway.key_file, "ada", Some(past));
    let revoked = create_key(&gateway.key_file, "ada", None);
    edit::revoke(&gateway.key_file, &revoked.id).unwrap();
    let stranger = key::generate(key::Environment::Live);
    // The file has been taken over with the first two in it when a key that was made after them works.
    let last = create_key(&gateway.key_file, "ada", None);
    let with_last = get(&format!("authorization: Bearer {}\r\n", last.key.expose_secret()));
    while ask(gateway.address, &with_last).await.status != 200 {}
    let seen_before = mlflow.requests().len();
    let mut messages = Vec::new();
    for key in [
        "hk_live_mistyped",
        expired.key.expose_secret(),
        revoked.key.expose_secret(),
        stranger.expose_secret(),
    ] {
        let response = ask(gateway.address, get(&format!("authorization: Bearer {key}\r\n"))).await;
        assert_eq!((response.status, response.reason().as_str()), (401, "credential_rejected"));
        assert!(response.headers.iter().any(|(n, v)| n == "www-authenticate" && v.starts_with("Bearer")));
        let body = response.json();
        assert_eq!(body["error_code"], "UNAUTHENTICATED");
        assert_eq!(body["detail"], body["message"]);
        assert_eq!(body["request_id"].as_str(), response.header("x-request-id"));
        messages.push(body["message"].as_str().unwrap().to_owned());
    }
    messages.dedup();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert_eq!(mlflow.requests().len(), seen_before);
}

#[actix_web::test]
async fn the_message_says_how_the_refused_key_was_sent() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    for (header, word) in
        [("Basic dXNlcjp3cm9uZw==", "MLFLOW_TRACKING_PASSWORD"), ("Bearer wrong", "MLFLOW_TRACKING_TOKEN")]
    {
        let response = ask(gateway.address, get(&format!("authorization: {header}\r\n"))).await;
        assert!(response.text().contains(word), "{}", response.text());
    }
}

#[actix_web::test]
async fn more_than_one_credential_is_a_bad_request() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let key = &gateway.key;
    for headers in [
        format!("authorization: Bearer {key}\r\nauthorization: Bearer {key}\r\n"),
        format!("authorization: Bearer {key}\r\nx-api-key: {key}\r\n"),
        format!("authorization: Bearer {key}, Bearer {key}\r\n"),
    ] {
        let response = ask(gateway.address, get(&headers)).await;
        assert_eq!((response.status, response.reason().as_str()), (400, "credential_ambiguous"), "{headers}");
    }
    assert!(mlflow.requests().is_empty());
}

#[actix_web::test]
async fn each_request_on_a_connection_is_authenticated_for_itself() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let mut connection = Connection::open(gateway.address).await;
    let good = gateway.request("GET", SEARCH, "");
    let bad = get("authorization: Bearer wrong\r\n");
    connection.send([good.as_str(), &bad].concat().repeat(10)).await;
    for _ in 0..10 {
        assert_eq!(connection.response(false).await.status, 200);
        assert_eq!(connection.response(false).await.status, 401);
    }
    assert_eq!(mlflow.requests().len(), 10);
}

#[actix_web::test]
async fn a_bad_key_is_refused_without_waiting_for_the_body() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let mut connection = Connection::open(gateway.address).await;
    let head = format!(
        "POST {SEARCH} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer wrong\r\ncontent-length: 1000000\r\n\r\n"
    );
    connection.send(head).await;
    assert_eq!(connection.response(false).await.status, 401);
    assert!(connection.is_closed().await);
}
