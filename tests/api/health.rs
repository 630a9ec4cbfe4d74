//! What load balancers and operators are told, without a key.

mod verdicts;

use std::sync::{
    Arc,
    atomic::{AtomicU16, Ordering},
};

use crate::support::{Gateway, GatewayBuilder, Response, Server, ask, eventually, server::Answer};

async fn get(gateway: &Gateway, target: &str) -> Response {
    ask(gateway.address, format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n")).await
}

async fn until(gateway: &Gateway, target: &str, status: u16) -> Response {
    eventually(target, async || get(gateway, target).await.status == status).await;
    get(gateway, target).await
}

const MLFLOW_HEALTH: [&str; 3] = ["/health/mlflow", "/api/mlflow/health/mlflow", "/mlflow/health/mlflow"];

#[actix_web::test]
async fn readiness_follows_mlflow_and_liveness_does_not() {
    let status = Arc::new(AtomicU16::new(200));
    let answer = Arc::clone(&status);
    let mlflow = Server::start(move |_| Answer::json(answer.load(Ordering::Relaxed), "OK")).await;
    let gateway = GatewayBuilder::default().set("MLFLOW__PROBE_INTERVAL", "30ms").start(&mlflow).await;

    assert_eq!(until(&gateway, "/ready", 200).await.json()["status"], "ready");
    for path in MLFLOW_HEALTH {
        let body = until(&gateway, path, 200).await.json();
        assert_eq!(body["status"], "healthy");
        assert_eq!(body["checks"]["mlflow"], "ok");
        assert!(body["latency_ms"].as_f64().unwrap() > 0.0);
    }

    status.store(500, Ordering::Relaxed);
    let unready = until(&gateway, "/ready", 503).await.json();
    assert_eq!(unready["reasons"][0], "HG-M04 MLflow: answered 500");
    assert_eq!(unready["codes"], serde_json::json!(["HG-M04"]));
    for path in MLFLOW_HEALTH {
        let unwell = until(&gateway, path, 503).await.json();
        assert_eq!((&unwell["status"], &unwell["codes"][0]), (&"unhealthy".into(), &"HG-M04".into()));
    }
    assert_eq!(get(&gateway, "/live").await.json()["status"], "ok");
    assert_eq!(get(&gateway, "/health").await.json()["status"], "ok");
}

#[actix_web::test]
async fn a_gateway_before_a_gateway_is_a_loop_to_requests_and_to_the_prober() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let inner = Gateway::start(&mlflow).await;
    for path in ["", "/api/mlflow"] {
        let url = format!("http://{}{path}", inner.address);
        let outer = GatewayBuilder::default().set("MLFLOW__PROBE_INTERVAL", "30ms").start_with(&url).await;
        let response = outer.get("/api/2.0/mlflow/experiments/search").await;
        let told = (response.status, response.json()["reason"].clone());
        assert_eq!(told, (508, "loop_detected".into()), "{path}");
        // Before the first look, and after one that took too long, it is unhealthy for another reason.
        eventually("the loop is seen", async || {
            let health = get(&outer, "/health/mlflow").await.json();
            health["checks"]["mlflow"] == "HG-M09 its URL leads back to a gateway"
        })
        .await;
    }
    assert!(mlflow.requests().is_empty());
}

#[actix_web::test]
async fn without_mlflow_the_gateway_lives_and_is_not_ready() {
    let gateway = GatewayBuilder::default().start_with("http://127.0.0.1:1").await;
    assert_eq!(get(&gateway, "/live").await.status, 200);
    assert_eq!(get(&gateway, "/health").await.status, 200);
    eventually("it has looked, and is still not ready", async || {
        let ready = get(&gateway, "/ready").await;
        assert_eq!(ready.status, 503);
        assert_eq!(get(&gateway, "/health/mlflow").await.status, 503);
        ready.text().contains("could not be connected to")
    })
    .await;
}

#[actix_web::test]
async fn open_routes_answer_head_and_refuse_the_rest_in_the_gateways_words() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    for target in ["/live", "/health", "/version", "/health/mlflow"] {
        let head = ask(gateway.address, format!("HEAD {target} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        assert!([200, 503].contains(&head.status), "{target}");
        let post = ask(gateway.address, format!("POST {target} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        assert_eq!((post.status, post.reason().as_str()), (405, "method_not_allowed"), "{target}");
    }
}

#[actix_web::test]
async fn the_look_at_mlflow_is_sent_as_requests_are() {
    let mlflow = Server::start(|request| {
        let as_wanted = request.header("host") == Some("mlflow.internal")
            && request.header("authorization") == Some("Bearer of-mlflow");
        Answer::json(if as_wanted { 200 } else { 401 }, "OK")
    })
    .await;
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__PROBE_INTERVAL", "30ms")
        .set("MLFLOW__HOST_HEADER", "mlflow.internal")
        .set("MLFLOW__AUTH", "bearer")
        .set("MLFLOW__TOKEN", "of-mlflow")
        .start(&mlflow)
        .await;
    until(&gateway, "/ready", 200).await;
}

#[actix_web::test]
async fn the_version_tells_the_code_and_the_settings() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let body = get(&gateway, "/version").await.json();
    assert_eq!(body["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(body["git_sha"], hokusai_gateway::GIT_SHA);
    assert_eq!(body["config_hash"].as_str().unwrap().len(), 16);
    assert_eq!(get(&gateway, "/health").await.json()["version"], env!("CARGO_PKG_VERSION"));
}
