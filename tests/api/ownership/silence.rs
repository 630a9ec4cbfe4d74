//! An MLflow that does not say whose a thing is.

use std::time::{Duration, Instant};

use super::stage::{Stage, is_unknown, log, send};
use crate::support::{Gateway, eventually, metric, server::Answer};

fn run(id: &str) -> String {
    format!(r#"{{"run": {{"info": {{"run_id": "{id}", "experiment_id": "1"}}}}}}"#)
}

fn cut() -> Answer {
    Answer::bytes_then_close(
        "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"run\": {\"info\": {\"run_id\": \"a\", \"exper",
    )
}

/// An answer that does not say it, with its name.
type Named = (&'static str, fn() -> Answer);

fn answers() -> Vec<Named> {
    vec![
        ("closes", || Answer::Close),
        ("fails", || Answer::page(500)),
        ("is not there", || Answer::page(503)),
        ("fails in its own words", || Answer::json(500, r#"{"error_code": "INTERNAL_ERROR"}"#)),
        ("refuses the gateway", || Answer::json(403, r#"{"error_code": "PERMISSION_DENIED"}"#)),
        ("is another server", || Answer::page(200)),
        ("is another server without such a page", || Answer::page(404)),
        ("is an MLflow that knows no such question", || {
            Answer::json(404, r#"{"error_code": "ENDPOINT_NOT_FOUND"}"#)
        }),
        ("redirects", || Answer::bytes("HTTP/1.1 302 X\r\nlocation: /\r\ncontent-length: 0\r\n\r\n")),
        ("tells of another run", || Answer::ok(&run("b"))),
        ("tells of no run", || Answer::ok("{}")),
        ("never ends", || Answer::Endless),
        ("breaks off", cut),
    ]
}

#[actix_web::test]
async fn no_change_passes_while_mlflow_does_not_say_whose_it_is() {
    for (name, answer) in answers() {
        let stage = Stage::set().await;
        stage.answer(move |request| request.target().contains("/runs/get").then(answer));
        let gateway = stage.gateway(&[]).await;
        let refused = log(&gateway, "ada", "a").await;
        assert!(is_unknown(&refused), "{name}: {refused:?}");
        assert!(stage.reached("POST ", "").is_empty(), "{name}");
        assert_eq!(metric(&gateway, r#"ownership_lookups_total{result="unavailable"}"#).await, 1.0, "{name}");
        // Others' things are not concerned, nor are administrators.
        assert_eq!(log(&gateway, "admin", "a").await.status, 200, "{name}");
    }
}

#[actix_web::test]
async fn no_change_passes_while_mlflow_does_not_say_whose_the_experiment_is() {
    for (name, answer) in answers() {
        let stage = Stage::set().await;
        stage.answer(move |request| request.target().contains("/experiments/get").then(answer));
        let gateway = stage.gateway(&[]).await;
        assert!(is_unknown(&log(&gateway, "ada", "a").await), "{name}");
        assert!(stage.reached("POST ", "").is_empty(), "{name}");
    }
}

#[actix_web::test]
async fn where_ownership_only_reports_a_change_passes_that_could_not_be_judged() {
    for (name, answer) in answers() {
        let stage = Stage::set().await;
        stage.answer(move |request| request.target().contains("/runs/get").then(answer));
        let gateway = stage.gateway(&[("POLICY__OWNERSHIP", "report")]).await;
        assert_eq!(log(&gateway, "ada", "a").await.status, 200, "{name}");
    }
}

#[actix_web::test]
async fn where_ownership_only_reports_what_would_be_a_bad_request_passes_too() {
    let stage = Stage::set().await;
    let gateway = stage.gateway(&[("POLICY__OWNERSHIP", "report")]).await;
    for body in [serde_json::json!({"key": "k"}), serde_json::json!({"run_id": "a", "run_uuid": "b"})] {
        let passed = send(&gateway, "ada", "POST 2.0/mlflow/runs/log-metric", &body).await;
        assert_eq!(passed.status, 200, "{body}");
    }
}

#[actix_web::test]
async fn nobody_waits_for_a_silent_mlflow_for_long() {
    let stage = Stage::set().await;
    stage.answer(|_| Some(Answer::Silence));
    let gateway = stage.gateway(&[]).await;
    let began = Instant::now();
    assert!(is_unknown(&log(&gateway, "ada", "a").await));
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    assert!(stage.reached("POST ", "").is_empty());
}

async fn until_it_passes(gateway: &Gateway) {
    eventually("it passes again", async || log(gateway, "ada", "a").await.status == 200).await;
}

#[actix_web::test]
async fn an_mlflow_that_is_back_is_asked_again() {
    let stage = Stage::set().await;
    stage.answer(|_| Some(Answer::page(503)));
    let gateway = stage.gateway(&[]).await;
    for _ in 0..20 {
        assert!(is_unknown(&log(&gateway, "ada", "a").await));
    }
    assert_eq!(stage.asked("/runs/get"), 5, "an MLflow that is down is left alone");
    stage.answer(|_| None);
    until_it_passes(&gateway).await;
}
