//! `check --probe` at an auth service: a service id that fits no key is named, and wrong answers are told apart.

use crate::support::{
    GatewayBuilder, Server, ask,
    commands::{Report, check, mlflow},
    server::{Answer, Recorded},
};

const REFUSED: &str = r#"{"is_valid": false}"#;
const GOOD_KEY: (&str, &str) = ("HOKUSAI_API_KEY", "good-key");

async fn probe(auth: &Server, settings: &[(&str, &str)]) -> Report {
    let (mlflow, auth) = (mlflow(|_| None).await, auth.url());
    let own = [("MLFLOW_SERVER_URL", &*mlflow.url()), ("HOKUSAI_AUTH_SERVICE_URL", &*auth)];
    check(&["--probe"], &[&own, settings].concat()).await
}

fn has_the_good_key(request: &Recorded) -> bool {
    request.header("authorization") == Some("Bearer good-key")
}

#[actix_web::test]
async fn a_service_id_for_which_the_key_is_refused_is_named_with_the_usual_one() {
    let auth = Server::start(|request| {
        let is_valid = has_the_good_key(request) && request.text().contains(r#""service_id":"platform""#);
        Answer::ok(&format!(r#"{{"is_valid": {is_valid}, "key_id": "k-1", "user_id": "ada"}}"#))
    })
    .await;
    let report = probe(&auth, &[GOOD_KEY, ("AUTH_SERVICE_ID", "ml-platform")]).await;
    assert_eq!(report.code, Some(69));
    report.assert_failed("auth.key", r#"auth.service.service_id = "platform""#);
    assert_eq!(probe(&auth, &[GOOD_KEY]).await.code, Some(0));
}

#[actix_web::test]
async fn an_answer_for_another_service_id_is_named_and_lets_nobody_in() {
    let auth = Server::start(|request| {
        let is_valid = has_the_good_key(request);
        Answer::ok(&format!(r#"{{"is_valid": {is_valid}, "service_id": "ml-platform", "user_id": "ada"}}"#))
    })
    .await;
    let report = probe(&auth, &[GOOD_KEY]).await;
    report.assert_failed("auth.key", "`ml-platform`");
    report.assert_failed("auth.key", "AUTH_SERVICE_ID=ml-platform");

    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default().set("AUTH__SERVICE__URL", &auth.url()).start(&mlflow).await;
    let get = "GET /api/2.0/mlflow/runs/get HTTP/1.1\r\nhost: a\r\nauthorization: Bearer good-key\r\n\r\n";
    let response = ask(gateway.address, get).await;
    assert_eq!((response.status, response.reason().as_str()), (503, "auth_unavailable"));
    assert!(mlflow.requests().is_empty());
}

#[actix_web::test]
async fn a_wrong_answer_is_named_without_a_key_to_try() {
    let redirect = "HTTP/1.1 307 X\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n";
    for (answer, named) in [
        (Answer::json(500, "{}"), "status 500"),
        (Answer::bytes(redirect), "redirects"),
        (Answer::ok(r#"{"is_valid": true}"#), "accepts an invalid key"),
        (
            Answer::json(404, r#"{"detail": "Not Found"}"#),
            "something else than an auth service answers at this address",
        ),
    ] {
        let auth = Server::start(move |_| answer.clone()).await;
        let report = probe(&auth, &[]).await;
        assert_eq!(report.code, Some(69), "{named}");
        report.assert_failed("auth.http", named);
    }
    let auth = Server::start(|_| Answer::ok(REFUSED)).await;
    let report = probe(&auth, &[]).await;
    assert_eq!((report.code, report.failed().len()), (Some(0), 0), "{}", report.printed);
}
