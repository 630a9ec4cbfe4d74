//! Keys as people paste them, over the wire: one key is one key however it is spelt, and what is none is nobody's to look up.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::support::{GatewayBuilder, Server, ask, server::Answer};

const SEARCH: &str = "/api/mlflow/api/2.0/mlflow/experiments/search";
const VALID: &str = r#"{"is_valid": true, "user_id": "u-1", "key_id": "k-1"}"#;
/// The longest that a key may be.
const LONGEST: usize = 8 * 1024;

fn get_with(header: &str) -> String {
    format!("GET {SEARCH} HTTP/1.1\r\nhost: a\r\n{header}\r\n\r\n")
}

fn basic(password: &str) -> String {
    format!("authorization: Basic {}", BASE64_STANDARD.encode(format!("ada:{password}")))
}

/// A JWT's characters.
fn long_key(length: usize) -> String {
    "eyJhbGciOiJSUzI1NiJ9.".chars().cycle().take(length).collect()
}

#[actix_web::test]
async fn every_spelling_of_a_key_has_one_verdict_and_the_service_is_asked_once() {
    for key in ["hk_other_example".to_owned(), long_key(513), long_key(LONGEST)] {
        let auth = Server::start(|_| Answer::ok(VALID)).await;
        let mlflow = Server::start(|_| Answer::ok("{}")).await;
        let gateway = GatewayBuilder::default().set("AUTH__SERVICE__URL", &auth.url()).start(&mlflow).await;
        let spellings = [
            format!("authorization: Bearer {key}"),
            format!("authorization: Bearer  {key}"),
            format!("authorization:  bearer \t{key} \t "),
            format!("authorization: Bearer\t{key}"),
            format!("authorization: ApiKey   {key} "),
            format!("x-api-key:   {key}\t"),
            basic(&key),
            basic(&format!("{key}\n")),
            basic(&format!(" {key}\r\n")),
            basic(&format!("\u{feff}{key}\u{a0}")),
            basic(&key).replace("Basic ", "basic   "),
        ];
        for spelling in &spellings {
            let response = ask(gateway.address, get_with(spelling)).await;
            assert_eq!(response.status, 200, "{spelling:.60?}: {response:?}");
        }
        let asked = auth.validations();
        assert_eq!(asked.len(), 1, "{key:.20}");
        assert_eq!(asked[0].header("authorization"), Some(format!("Bearer {key}").as_str()));
        assert_eq!(mlflow.requests().len(), spellings.len());
    }
}

#[actix_web::test]
async fn what_can_be_no_key_is_told_what_it_is_and_how_it_was_sent_and_nobody_is_asked() {
    let auth = Server::start(|_| Answer::ok(VALID)).await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default().set("AUTH__SERVICE__URL", &auth.url()).start(&mlflow).await;
    let (token, password) = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD");
    let (empty, long, odd) =
        ("is empty", "is too long: a key has at most 8192 characters", "has white space");
    let longer = long_key(LONGEST + 1);
    for (header, way, what) in [
        (format!("authorization: Bearer {longer}"), token, long),
        (basic(&longer), password, long),
        (format!("x-api-key: {longer}"), "X-API-Key", long),
        (format!("authorization: ApiKey {}", long_key(20_000)), "ApiKey", long),
        ("authorization: Bearer".to_owned(), token, empty),
        ("authorization: Bearer \t ".to_owned(), token, empty),
        (basic("\r\n"), password, empty),
        ("authorization: Bearer a b".to_owned(), token, odd),
        ("authorization: Bearer a\tb".to_owned(), token, odd),
        (basic("a\r\nb"), password, odd),
        (basic("a\0"), password, odd),
        (basic("\u{200b}a"), password, odd),
        ("authorization: Basic !!!".to_owned(), password, "cannot be read"),
        ("authorization: Basic YQ==".to_owned(), password, "cannot be read"),
    ] {
        let response = ask(gateway.address, get_with(&header)).await;
        assert_eq!(
            (response.status, response.reason().as_str()),
            (401, "credential_rejected"),
            "{header:.60?}"
        );
        let message = response.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(way) && message.contains(what), "{header:.60?}: {message}");
        assert!(!message.contains("eyJ"), "{message}");
    }
    assert!(auth.validations().is_empty() && mlflow.requests().is_empty());
}
