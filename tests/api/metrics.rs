//! What Prometheus is told, and who may ask.

use crate::support::{Gateway, GatewayBuilder, Server, ask, metric, server::Answer};

#[actix_web::test]
async fn metrics_are_for_allowed_networks_and_never_for_what_came_through_a_proxy() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let get = |header: &str| format!("GET /metrics HTTP/1.1\r\nhost: a\r\n{header}\r\n");
    let allowed = ask(gateway.address, get("")).await;
    assert_eq!(allowed.status, 200);
    assert!(allowed.header("content-type").unwrap().starts_with("text/plain"));
    for header in ["x-forwarded-for: 127.0.0.1", "forwarded: for=127.0.0.1", "via: 1.1 a", "x-real-ip: ::1"] {
        let refused = ask(gateway.address, get(&format!("{header}\r\n"))).await;
        assert_eq!((refused.status, refused.reason().as_str()), (404, "route_unknown"), "{header}");
    }
    let elsewhere = GatewayBuilder::default().set("METRICS__ALLOW", "10.0.0.0/8").start(&mlflow).await;
    assert_eq!(ask(elsewhere.address, get("")).await.status, 404);
}

#[actix_web::test]
async fn every_lookup_of_a_key_and_every_validation_is_counted() {
    let auth = Server::start(|request| match request.header("authorization") {
        Some("Bearer good") => Answer::ok(r#"{"is_valid": true, "key_id": "k-1"}"#),
        Some("Bearer unlucky") => Answer::json(500, "{}"),
        _ => Answer::ok(r#"{"is_valid": false}"#),
    })
    .await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &auth.url())
        .set("AUTH__SERVICE__REPORT_USAGE", "false")
        .start(&mlflow)
        .await;
    for key in ["good", "good", "good", "bad", "bad", "unlucky"] {
        let get = format!(
            "GET /api/2.0/mlflow/runs/get HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\r\n"
        );
        ask(gateway.address, get).await;
    }
    for (name, expected) in [
        (r#"auth_cache_requests_total{result="hit",tier="memory"}"#, 2.0),
        (r#"auth_cache_requests_total{result="miss",tier="memory"}"#, 3.0),
        (r#"auth_cache_requests_total{result="negative",tier="memory"}"#, 1.0),
        (r#"auth_validations_total{outcome="accepted"}"#, 1.0),
        (r#"auth_validations_total{outcome="rejected"}"#, 1.0),
        (r#"auth_validations_total{outcome="unavailable"}"#, 1.0),
        (r#"auth_validation_duration_seconds_count{outcome="accepted"}"#, 1.0),
    ] {
        assert_eq!(metric(gateway.address, name).await, expected, "{name}");
    }
}
