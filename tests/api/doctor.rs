//! What `doctor` never does, whoever answers it. That it finds what is wrong is in doctor_at_gateways.rs
//! and, against real servers, in tests/e2e.

use std::process::Output;

use crate::support::{Server, process::command, server::Answer};

const KEY: &str = "hk_test_OBVIOUSLYnotAkeyOBVIOUSLY0000000";

async fn doctor(url: String, arguments: &'static [&'static str]) -> Output {
    let examining = actix_web::web::block(move || {
        let folder = tempfile::tempdir().unwrap();
        command(folder.path())
            .args(["doctor", "--url", &url])
            .args(arguments)
            .env("HOKUSAI_API_KEY", KEY)
            .output()
            .unwrap()
    });
    examining.await.unwrap()
}

#[actix_web::test]
async fn nothing_that_a_server_says_brings_out_the_key_or_gives_orders_to_the_terminal() {
    let basic = actix_web::http::header::TryIntoHeaderValue::try_into_value(
        actix_web_httpauth::headers::authorization::Basic::new("doctor", Some(KEY)),
    );
    let basic =
        basic.unwrap().to_str().unwrap().trim_start_matches("Basic ").trim_end_matches('=').to_owned();
    // What came is sent back, in the head and in the body, with its scheme and without.
    let echo = |request: &crate::support::server::Recorded| {
        let said = request.header("authorization").unwrap_or("nothing").to_owned();
        let said = if request.target().contains("search") {
            said.rsplit(' ').next().unwrap().to_owned()
        } else {
            said
        };
        let body = format!(r#"{{"error_code": "{said}", "message": "\u001b[31m{said}\u0007"}}"#);
        Answer::bytes(&format!(
            "HTTP/1.1 302 X\r\nlocation: /{said}\r\nserver: {said}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    };
    let server = Server::start_asked(echo).await;
    for arguments in [&[][..], &["--format", "json"]] {
        let output = doctor(server.url(), arguments).await;
        assert_eq!(output.status.code(), Some(1));
        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(printed.contains("(the key)"), "{printed}");
        assert!(!printed.contains(KEY) && !printed.contains(&basic), "{printed}");
        assert!(!printed.contains(['\u{1b}', '\u{7}']) && !printed.contains(r"\u001b"), "{printed}");
    }
}

#[actix_web::test]
async fn a_server_that_says_yes_to_everything_passes_nothing_that_it_must_know() {
    // As a load balancer's default page, or a mock, would.
    let server = Server::start_asked(|_| Answer::ok(r#"{"status": "ok"}"#)).await;
    let output = doctor(server.url(), &["--format", "json"]).await;
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let passed = said["checks"].as_array().unwrap().iter().filter(|check| check["outcome"] == "ok");
    let passed: Vec<_> = passed.map(|check| check["check"].as_str().unwrap()).collect();
    assert_eq!((output.status.code(), said["ok"].clone()), (Some(1), false.into()));
    assert_eq!(passed, ["dns", "tcp", "tls"]);
}

#[actix_web::test]
async fn a_401_of_somebody_else_is_not_the_gateways() {
    let server = Server::start_asked(|_| {
        Answer::bytes("HTTP/1.1 401 X\r\nwww-authenticate: Basic\r\ncontent-length: 2\r\n\r\n{}")
    })
    .await;
    let output = doctor(server.url(), &["--format", "json"]).await;
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let outcome = |name: &str| {
        said["checks"].as_array().unwrap().iter().find(|check| check["check"] == name).unwrap()["outcome"]
            .clone()
    };
    for check in ["no key", "wrong key", "key", "mount /api/mlflow"] {
        assert_eq!(outcome(check), "failed", "{check}");
    }
}

#[test]
fn an_address_that_cannot_be_one_is_refused_before_anything_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    for (argument, value, expected) in [
        ("--url", "mlflow.example.com", "http"),
        ("--url", "https://mlflow.example.com/other", "has another path than /api/mlflow"),
        ("--url", "https://user:password@mlflow.example.com", "has credentials"),
        ("--url", "https://mlflow.example.com/?key=password@", "has credentials, a query"),
        ("--url", "https://user:password@mlflow.example.com/other", "has credentials"),
        ("--expect-sha", "main", "is not 7 to 40 hexadecimal digits"),
    ] {
        let output = command(folder.path())
            .args(["doctor", argument, value])
            .args(if argument == "--url" { &[][..] } else { &["--url", "https://mlflow.example.com"] })
            .env("HOKUSAI_API_KEY", KEY)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(
            [Some(2), Some(64)].contains(&output.status.code()) && text.contains(expected),
            "{value}: {text}"
        );
        assert!(!text.contains("password@"), "{text}");
    }
}
