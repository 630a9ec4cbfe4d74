//! What Prometheus is told, and who may ask.

use crate::support::{
    Gateway, GatewayBuilder, Server, ask, client::Connection, eventually, metric, server::Answer,
};

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

#[actix_web::test]
async fn each_request_is_counted_by_the_class_of_its_route() {
    let mlflow = Server::start(|_| Answer::ok("four")).await;
    let gateway = Gateway::start(&mlflow).await;
    gateway.get("/api/2.0/mlflow/runs/get").await;
    gateway.get("/api/mlflow/api/2.0/mlflow/experiments/get?experiment_id=1").await;
    let body = "content-length: 2\r\n\r\n{}";
    ask(gateway.address, gateway.request("POST", "/api/2.0/mlflow/runs/delete", body)).await;
    ask(gateway.address, gateway.request("POST", "/ajax-api/3.0/mlflow/assistant/message", body)).await;
    ask(gateway.address, "GET /api/2.0/mlflow/runs/get HTTP/1.1\r\nhost: a\r\n\r\n").await;
    ask(gateway.address, "HEAD /live HTTP/1.1\r\nhost: a\r\n\r\n").await;
    for path in 0..50 {
        gateway.get(&format!("/nowhere-{path}")).await;
        ask(gateway.address, gateway.request(&format!("METHOD{path}"), "/api/2.0/mlflow/runs/get", "")).await;
    }
    for (name, expected) in [
        (r#"http_requests_total{method="GET",route="read",status="200"}"#, 2.0),
        (r#"http_requests_total{method="POST",route="delete",status="200"}"#, 1.0),
        (r#"http_requests_total{method="POST",route="admin",status="403"}"#, 1.0),
        (r#"http_requests_total{method="GET",route="read",status="401"}"#, 1.0),
        (r#"http_requests_total{method="HEAD",route="open",status="200"}"#, 1.0),
        (r#"http_requests_total{method="GET",route="unknown",status="404"}"#, 50.0),
        (r#"http_requests_total{method="other",route="unknown",status="405"}"#, 50.0),
        (r#"http_requests_duration_seconds_count{method="GET",route="read",status="200"}"#, 2.0),
        (r#"overhead_seconds_count{route="delete"}"#, 1.0),
        (r#"denied_total{reason="scope_missing"}"#, 1.0),
        (r#"denied_total{reason="credential_missing"}"#, 1.0),
        (r#"denied_total{reason="route_unknown"}"#, 50.0),
        (r#"upstream_requests_total{outcome="ok"}"#, 3.0),
        (r#"upstream_duration_seconds_count{outcome="ok"}"#, 3.0),
        (r#"bytes_total{direction="out"}"#, 12.0),
        (r#"bytes_total{direction="in"}"#, 2.0),
        // The one that asks.
        ("in_flight_requests", 1.0),
    ] {
        assert_eq!(metric(gateway.address, name).await, expected, "{name}");
    }
    let text = ask(gateway.address, "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(text.text().contains("hokusai_gateway_build_info{git_sha="), "{}", text.text());
}

#[actix_web::test]
async fn each_call_of_mlflow_is_counted_by_how_it_ended() {
    let mlflow = Server::start(|request| match request.target() {
        "/api/2.0/mlflow/runs/get?error" => Answer::json(500, "{}"),
        "/api/2.0/mlflow/runs/get?reset" => {
            Answer::bytes_then_close("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
        }
        "/api/2.0/mlflow/runs/get?silent" => Answer::Silence,
        "/api/2.0/mlflow/runs/get?odd" => Answer::bytes("HTTP/1.1 103 Early\r\n\r\n"),
        "/api/2.0/mlflow/runs/get?endless" => Answer::Endless,
        _ => Answer::ok("{}"),
    })
    .await;
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__CONNECT_TIMEOUT", "200ms")
        .set("MLFLOW__RESPONSE_TIMEOUT", "200ms")
        .set("MLFLOW__PROBE_INTERVAL", "1h")
        .start(&mlflow)
        .await;
    for what in ["ok", "error", "silent", "odd", "reset"] {
        gateway.get(&format!("/api/2.0/mlflow/runs/get?{what}")).await;
    }
    let mut leaving = Connection::open(gateway.address).await;
    leaving.send(gateway.request("GET", "/api/2.0/mlflow/runs/get?endless", "")).await;
    assert!(leaving.begins_with(b"HTTP/1.1 200").await);
    drop(leaving);
    for outcome in ["ok", "error_status", "timeout", "protocol", "reset", "client_aborted"] {
        let name = format!(r#"upstream_requests_total{{outcome="{outcome}"}}"#);
        eventually(&name, async || metric(gateway.address, &name).await >= 1.0).await;
    }
    let nobody = GatewayBuilder::default().start_with("http://127.0.0.1:1").await;
    nobody.get("/api/2.0/mlflow/runs/get").await;
    assert!(metric(nobody.address, r#"upstream_requests_total{outcome="connect"}"#).await >= 1.0);
}

#[actix_web::test]
async fn what_the_gateway_needs_is_up_or_down_and_what_it_does_not_use_is_neither() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let auth = Server::start(|_| Answer::ok(r#"{"is_valid": true, "key_id": "k-1"}"#)).await;
    let gateway = GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &auth.url())
        .set("AUTH__CACHE__TTL", "10ms")
        .set("MLFLOW__PROBE_INTERVAL", "50ms")
        .start(&mlflow)
        .await;
    gateway.get("/api/2.0/mlflow/runs/get").await;
    eventually("MLflow is up", async || metric(gateway.address, "upstream_up").await == 1.0).await;
    assert_eq!(metric(gateway.address, "auth_service_up").await, 1.0);
    let text = ask(gateway.address, "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(!text.text().contains("hokusai_gateway_redis_up"));
    mlflow.kill();
    auth.kill();
    eventually("MLflow is down", async || metric(gateway.address, "upstream_up").await == 0.0).await;
    eventually("the auth service is down", async || {
        gateway.get("/api/2.0/mlflow/runs/get").await;
        metric(gateway.address, "auth_service_up").await == 0.0
    })
    .await;
}

#[actix_web::test]
async fn metrics_may_have_a_listener_of_their_own() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default().set("METRICS__BIND", "127.0.0.1:0").start(&mlflow).await;
    let get = "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n";
    assert_eq!(ask(gateway.address, get).await.reason(), "route_unknown");
    let own = gateway.metrics_address.unwrap();
    assert!(ask(own, get).await.text().contains("hokusai_gateway_build_info"));
    assert_eq!(ask(own, "GET /live HTTP/1.1\r\nhost: a\r\n\r\n").await.status, 404);
    let proxied = "GET /metrics HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 127.0.0.1\r\n\r\n";
    assert_eq!(ask(own, proxied).await.status, 404);
}
