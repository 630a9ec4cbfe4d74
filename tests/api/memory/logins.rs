//! Logins with wrong keys.

use std::time::Instant;

use super::{SLACK, Stage, TARGET};
use crate::support::{Response, Server, ask, server::Answer};

/// Of an address as a load balancer says it.
async fn send(stage: &Stage, address: &str, request: &str, rest: &str) -> Response {
    let by_proxy = format!("x-forwarded-for: {address}\r\nx-forwarded-proto: https\r\n");
    let head = format!("{request} HTTP/1.1\r\nhost: mlflow.example.com\r\n{by_proxy}{rest}");
    ask(stage.gateway.address, head).await
}

async fn log_in(stage: &Stage, address: &str, key: &str) -> Response {
    let form = format!("key={key}");
    let rest = format!("content-length: {}\r\n\r\n{form}", form.len());
    send(stage, address, "POST /login", &rest).await
}

#[actix_web::test]
async fn wrong_logins_are_asked_about_as_seldom_as_wrong_keys_keep_nothing_and_stop_nobody_else() {
    let auth = Server::start(|request| {
        let is_good = request.header("authorization").unwrap().starts_with("Bearer good");
        Answer::ok(if is_good { r#"{"is_valid": true, "user_id": "u-1"}"# } else { r#"{"is_valid": false}"# })
    })
    .await;
    let stage = Stage::set(&[
        ("HOKUSAI_AUTH_SERVICE_URL", &auth.url()),
        ("HOKUSAI__SERVER__TRUSTED_PROXIES", "127.0.0.1"),
        ("HOKUSAI__AUTH__SERVICE__FAILURES_PER_MINUTE", "6"),
    ]);
    // As many as there are tokens, and the one that comes back every ten seconds.
    let began = Instant::now();
    let most = |began: Instant| 6 + 1 + began.elapsed().as_secs() as usize / 10;
    for number in 0..50 {
        let key = format!("x-api-key: wrong-{number}\r\n\r\n");
        send(&stage, "203.0.113.1", &format!("GET {TARGET}"), &key).await;
    }
    let asked_for_headers = auth.validations().len();
    assert!((6..=most(began)).contains(&asked_for_headers), "{asked_for_headers}");

    let (began, before) = (Instant::now(), stage.gateway.peak_memory());
    let (mut refused, mut good) = (0, 0);
    for number in 0..2_000 {
        let page = log_in(&stage, "203.0.113.2", &format!("wrong-login-{number}")).await;
        if page.status == 401 {
            refused += 1;
        } else {
            assert!(page.status == 429 && page.header("retry-after").is_some(), "{page:?}");
            assert!(page.text().contains("too many API keys"), "{}", page.text());
        }
        if number % 500 == 499 {
            assert_eq!(log_in(&stage, "203.0.113.3", &format!("good-{number}")).await.status, 303);
            good += 1;
        }
    }
    assert!((6..=most(began)).contains(&refused), "{refused}");
    assert_eq!(auth.validations().len(), asked_for_headers + refused + good);
    let grown = stage.grown(before).await;
    assert!(grown < SLACK, "{grown}");
    // What was wrong at the login counts against keys in headers, too: of two at most one finds a token that has come back.
    let mut statuses = Vec::new();
    for key in ["x-api-key: wrong-at-last\r\n\r\n", "x-api-key: wrong-in-the-end\r\n\r\n"] {
        statuses.push(send(&stage, "203.0.113.2", &format!("GET {TARGET}"), key).await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
}
