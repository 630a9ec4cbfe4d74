//! What the gateway makes of MLflow's answers to its own calls.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use super::get;
use crate::support::{
    Gateway, GatewayBuilder, Server, eventually, metrics,
    server::{Answer, Recorded},
};

/// A gateway that looks often, before an MLflow that answers its API call as told and `/health` well.
async fn before_an_mlflow_that_says(
    answer: impl Fn() -> Answer + Send + Sync + 'static,
) -> (Gateway, Server) {
    let mlflow = Server::start_asked(move |request| match request.is_api_look() {
        true => answer(),
        false => Answer::ok("OK"),
    })
    .await;
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__PROBE_INTERVAL", "50ms")
        .set("MLFLOW__CONNECT_TIMEOUT", "200ms")
        .set("MLFLOW__RESPONSE_TIMEOUT", "300ms")
        .start(&mlflow)
        .await;
    (gateway, mlflow)
}

/// Until the last look found this, as the metrics have it: whether MLflow can be reached, and whether it accepts us.
async fn until_found(gateway: &Gateway, up: f64, accepts: f64) {
    eventually("the look has found it", async || {
        // Before the first look there is neither.
        let metrics = metrics(gateway).await.text().to_owned();
        let says = |name: &str, value: f64| metrics.contains(&format!("hokusai_gateway_{name} {value}\n"));
        says("upstream_up", up) && says("upstream_accepts", accepts)
    })
    .await;
}

#[actix_web::test]
async fn an_mlflow_that_refuses_every_call_is_not_ready_though_its_health_is_good() {
    for (answer, reason) in [
        (
            "HTTP/1.1 403 X\r\ncontent-type: text/plain\r\ncontent-length: 19\r\n\r\nInvalid Host header"
                .to_owned(),
            "HG-M05 MLflow: refuses the gateway: it refuses the Host header (403)",
        ),
        (
            "HTTP/1.1 401 X\r\ncontent-length: 2\r\n\r\nno".to_owned(),
            "HG-M06 MLflow: refuses the gateway: it refuses the gateway's credentials, or requires some (401)",
        ),
        (
            "HTTP/1.1 301 X\r\nlocation: https://secret.internal/\r\ncontent-length: 0\r\n\r\n".to_owned(),
            "HG-M08 MLflow: refuses the gateway: it redirects (301)",
        ),
        (
            "HTTP/1.1 200 X\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>".to_owned(),
            "HG-M07 MLflow: refuses the gateway: the answer is not from MLflow's API (200)",
        ),
        (
            "HTTP/1.1 401 X\r\nx-hokusai-error-source: gateway\r\ncontent-length: 2\r\n\r\n{}".to_owned(),
            "HG-M09 MLflow: its URL leads back to a gateway",
        ),
    ] {
        let (gateway, _mlflow) = before_an_mlflow_that_says(move || Answer::bytes(&answer)).await;
        until_found(&gateway, 1.0, 0.0).await;
        let ready = get(&gateway, "/ready").await;
        assert_eq!((ready.status, ready.json()["reasons"][0].as_str()), (503, Some(reason)));
        let health = get(&gateway, "/health/mlflow").await;
        assert_eq!((health.status, health.json()["status"].as_str()), (503, Some("unhealthy")));
        assert_eq!(health.json()["checks"]["mlflow"], reason.replacen("MLflow: ", "", 1));
        assert!(!ready.text().contains("secret.internal"), "{}", ready.text());
    }
}

#[actix_web::test]
async fn an_mlflow_that_serves_the_gateway_again_is_ready_again() {
    let (status, calls) = (Arc::new(AtomicU16::new(401)), Arc::new(AtomicU16::new(0)));
    let (answer, counted) = (Arc::clone(&status), Arc::clone(&calls));
    let says = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Answer::json(answer.load(Ordering::Relaxed), "{}")
    };
    let (gateway, _mlflow) = before_an_mlflow_that_says(says).await;
    for (answers, ready, accepts) in [(401, 503, 0.0), (200, 200, 1.0), (403, 503, 0.0), (200, 200, 1.0)] {
        status.store(answers, Ordering::Relaxed);
        until_found(&gateway, 1.0, accepts).await;
        assert_eq!(get(&gateway, "/ready").await.status, ready, "{answers}");
    }
    // What says nothing of the call changes nothing.
    status.store(429, Ordering::Relaxed);
    let before = calls.load(Ordering::Relaxed);
    eventually("it has looked again", async || calls.load(Ordering::Relaxed) > before + 2).await;
    until_found(&gateway, 1.0, 1.0).await;
}

#[actix_web::test]
async fn an_mlflow_that_fails_is_unhealthy_and_takes_no_instance_away() {
    let (gateway, _mlflow) = before_an_mlflow_that_says(|| Answer::json(500, "{}")).await;
    until_found(&gateway, 1.0, 0.0).await;
    let ready = get(&gateway, "/ready").await;
    assert_eq!(
        (ready.status, ready.json()["warnings"][0].as_str()),
        (200, Some("HG-M04 mlflow: answered an API call with 500"))
    );
    assert_eq!(get(&gateway, "/health/mlflow").await.status, 503);
}

#[actix_web::test]
async fn an_api_call_that_is_never_answered_is_a_failure_and_one_that_takes_its_time_is_none() {
    let (gateway, mlflow) = before_an_mlflow_that_says(|| Answer::Silence).await;
    // Until then nobody knows.
    assert_eq!(get(&gateway, "/ready").await.json()["codes"][0], "HG-M14");
    until_found(&gateway, 1.0, 0.0).await;
    assert_eq!(
        get(&gateway, "/ready").await.json()["warnings"][0],
        "HG-M10 mlflow: gives no answer to an API call"
    );
    drop(mlflow);
    // Longer than a look.
    let calls = Arc::new(AtomicU16::new(0));
    let counted = Arc::clone(&calls);
    let slow = move || match Answer::ok("{}") {
        Answer::Bytes(bytes) => {
            counted.fetch_add(1, Ordering::Relaxed);
            Answer::After(Duration::from_millis(150), bytes)
        }
        answer => answer,
    };
    let (gateway, _mlflow) = before_an_mlflow_that_says(slow).await;
    until_found(&gateway, 1.0, 1.0).await;
    eventually("it has looked some more, and was well all the time", async || {
        assert_eq!(get(&gateway, "/health/mlflow").await.status, 200);
        calls.load(Ordering::Relaxed) > 7
    })
    .await;
}

#[actix_web::test]
async fn two_odd_answers_in_a_row_are_no_verdict_on_an_mlflow_that_served() {
    let calls = Arc::new(AtomicU16::new(0));
    let answered = Arc::clone(&calls);
    let says = move || match calls.fetch_add(1, Ordering::Relaxed) % 3 {
        0 => Answer::ok("{}"),
        1 => Answer::json(403, "a page of a balancer's"),
        _ => Answer::json(500, "{}"),
    };
    let (gateway, _mlflow) = before_an_mlflow_that_says(says).await;
    until_found(&gateway, 1.0, 1.0).await;
    while answered.load(Ordering::Relaxed) < 12 {
        let ready = get(&gateway, "/ready").await;
        assert_eq!((ready.status, ready.text().contains("warnings")), (200, false), "{}", ready.text());
        actix_rt::time::sleep(Duration::from_millis(5)).await;
    }
}

#[actix_web::test]
async fn an_mlflow_that_ends_every_call_without_an_answer_is_told_of() {
    let (gateway, _mlflow) = before_an_mlflow_that_says(|| Answer::Close).await;
    until_found(&gateway, 1.0, 0.0).await;
    let ready = get(&gateway, "/ready").await;
    let warning = ready.json()["warnings"][0].clone();
    assert_eq!(
        (ready.status, warning.as_str()),
        (200, Some("HG-M15 mlflow: ends API calls without an answer"))
    );
}

#[actix_web::test]
async fn a_host_that_is_the_clients_is_not_judged_by_the_gateways() {
    let mlflow = Server::start_asked(|request| match request.is_api_look() {
        true => Answer::json(403, "Invalid Host header"),
        false => Answer::ok("OK"),
    })
    .await;
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__PROBE_INTERVAL", "50ms")
        .set("MLFLOW__HOST_HEADER", "client")
        .start(&mlflow)
        .await;
    until_found(&gateway, 1.0, 1.0).await;
}

#[actix_web::test]
async fn the_api_is_asked_as_the_settings_say_and_seldom_while_it_answers_well() {
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let script = move |request: &Recorded| {
        seen.lock().unwrap().push(request.clone());
        Answer::ok("{}")
    };
    let (mlflow, artifacts) = (Server::start_asked(script.clone()).await, Server::start_asked(script).await);
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__PROBE_INTERVAL", "50ms")
        .set("MLFLOW__REST", "ajax-api")
        .set("MLFLOW__STATIC_PREFIX", "/prefix")
        .set("MLFLOW__HOST_HEADER", "mlflow.internal")
        .set("MLFLOW__AUTH", "bearer")
        .set("MLFLOW__TOKEN", "of-mlflow")
        .set("MLFLOW__ARTIFACTS_URL", &artifacts.url())
        .start(&mlflow)
        .await;
    until_found(&gateway, 1.0, 1.0).await;
    eventually("it has looked often", async || asked.lock().unwrap().len() > 60).await;
    let seen = asked.lock().unwrap();
    for target in [
        "/prefix/ajax-api/2.0/mlflow/experiments/search?max_results=1&filter=name%3D%27hokusai-gateway-look-",
        "/prefix/ajax-api/2.0/mlflow-artifacts/artifacts?path=hokusai-gateway-look-",
    ] {
        let calls: Vec<_> = seen.iter().filter(|request| request.target().starts_with(target)).collect();
        assert!((2..=seen.len() / 8).contains(&calls.len()), "{} of {}", calls.len(), seen.len());
        assert_eq!(calls[0].header("host"), Some("mlflow.internal"));
        assert_eq!(calls[0].header("authorization"), Some("Bearer of-mlflow"));
    }
}

#[actix_web::test]
async fn a_server_that_refuses_the_gateway_gets_requests_only_where_none_serves_it() {
    let named = |name: &'static str, looks: u16| {
        Server::start_asked(move |request| match request.is_api_look() {
            true => Answer::json(looks, "{}"),
            false => Answer::ok(name),
        })
    };
    let (refuses, serves, refuses_too) =
        (named("refuses", 401).await, named("serves", 200).await, named("refuses too", 401).await);
    let start = async |one: &Server, other: &Server| {
        let gateway = GatewayBuilder::default().set("MLFLOW__PROBE_INTERVAL", "50ms");
        gateway.start_with(&format!("{},{}", one.url(), other.url())).await
    };
    let gateway = start(&refuses, &serves).await;
    eventually("it has looked", async || {
        get(&gateway, "/ready").await.text().contains("mlflow: refuses the gateway")
    })
    .await;
    assert_eq!(get(&gateway, "/ready").await.status, 200);
    for _ in 0..10 {
        assert_eq!(gateway.get("/api/2.0/mlflow/runs/get").await.text(), "serves");
    }
    let gateway = start(&refuses, &refuses_too).await;
    until_found(&gateway, 1.0, 0.0).await;
    assert_eq!(gateway.get("/api/2.0/mlflow/runs/get").await.status, 200);
}
