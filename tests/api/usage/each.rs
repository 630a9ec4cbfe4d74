//! One report for each request.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::support::{
    Gateway, GatewayBuilder, Server, ask, metric,
    server::{Answer, Recorded},
};

fn is_usage(request: &Recorded) -> bool {
    request.target().contains("/usage/")
}

fn validation() -> Answer {
    Answer::ok(r#"{"is_valid": true, "user_id": "u-1", "key_id": "k/1"}"#)
}

async fn gateway(auth: &Server, mlflow: &Server) -> Gateway {
    let gateway = GatewayBuilder::default().set("AUTH__SERVICE__URL", &auth.url());
    gateway.set("AUTH__SERVICE__USAGE", "each").start(mlflow).await
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer the-key\r\n\r\n")
}

#[actix_web::test]
async fn each_request_is_reported_as_agreed() {
    let auth = Server::start(|request| if is_usage(request) { Answer::ok("{}") } else { validation() }).await;
    let mlflow = Server::start(|_| Answer::json(404, "{}")).await;
    let gateway = gateway(&auth, &mlflow).await;
    ask(gateway.address, get("/api/2.0/mlflow/runs/get?run_id=secret")).await;
    let report = auth.until(is_usage).await;
    assert_eq!(report.line, "POST /api/v1/usage/k%2F1 HTTP/1.1");
    let body: serde_json::Value = serde_json::from_slice(&report.body).unwrap();
    assert_eq!(body["endpoint"], "/api/2.0/mlflow/runs/get");
    assert_eq!(body["status_code"], 404);
    assert_eq!(body["service_id"], "platform");
    assert!(body["response_time_ms"].is_u64());
    let whole = String::from_utf8_lossy(&report.body).into_owned() + &format!("{:?}", report.headers);
    assert!(!whole.contains("the-key") && !whole.contains("secret"), "{whole}");
}

#[actix_web::test]
async fn a_report_that_meets_an_outage_is_sent_again_and_one_that_is_refused_is_not() {
    for (status, expected) in [(500, 3), (429, 3), (404, 1)] {
        let tries = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&tries);
        let auth = Server::start(move |request| {
            if !is_usage(request) {
                return validation();
            }
            count.fetch_add(1, Ordering::Relaxed);
            // The path of the second request tells that the first one's report is done with.
            Answer::json(
                if String::from_utf8_lossy(&request.body).contains("get-by-name") { 200 } else { status },
                "{}",
            )
        })
        .await;
        let mlflow = Server::start(|_| Answer::ok("{}")).await;
        let gateway = gateway(&auth, &mlflow).await;
        assert_eq!(ask(gateway.address, get("/api/2.0/mlflow/experiments/get")).await.status, 200);
        auth.until(is_usage).await;
        assert_eq!(ask(gateway.address, get("/api/2.0/mlflow/experiments/get-by-name")).await.status, 200);
        auth.until(|request| String::from_utf8_lossy(&request.body).contains("get-by-name")).await;
        assert_eq!(tries.load(Ordering::Relaxed), expected + 1, "{status}");
    }
}

#[actix_web::test]
async fn a_service_that_takes_no_reports_holds_nobody_up() {
    let auth = Server::start(|request| if is_usage(request) { Answer::Silence } else { validation() }).await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = gateway(&auth, &mlflow).await;
    for _ in 0..200 {
        assert_eq!(ask(gateway.address, get("/api/2.0/mlflow/runs/get")).await.status, 200);
    }
    assert_eq!(mlflow.requests().len(), 200);
}

#[actix_web::test]
async fn reports_can_be_turned_off_by_the_earlier_name_too() {
    for (name, value) in [("USAGE", "off"), ("REPORT_USAGE", "false")] {
        let auth = Server::start(|_| validation()).await;
        let mlflow = Server::start(|_| Answer::ok("{}")).await;
        let gateway = GatewayBuilder::default()
            .set("AUTH__SERVICE__URL", &auth.url())
            .set(&format!("AUTH__SERVICE__{name}"), value)
            .set("AUTH__SERVICE__USAGE_INTERVAL", "10ms")
            .start(&mlflow)
            .await;
        for _ in 0..5 {
            assert_eq!(ask(gateway.address, get("/api/2.0/mlflow/runs/get")).await.status, 200);
        }
        assert_eq!(
            metric(&gateway, r#"http_requests_total{method="GET",route="read",status="200"}"#).await,
            5.0
        );
        assert_eq!(auth.requests().len(), 1, "{name}");
    }
}
