//! What Prometheus is told, and who may ask.

use crate::support::{
    Gateway, GatewayBuilder, Server, ask, client::Connection, eventually, gateway::create_key, metric,
    metrics, process::command, server::Answer,
};

#[actix_web::test]
async fn metrics_are_for_allowed_networks_and_never_for_what_came_through_a_proxy() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let allowed = metrics(&gateway).await;
    assert_eq!(allowed.status, 200);
    assert!(allowed.header("content-type").unwrap().starts_with("text/plain"));
    let own = gateway.metrics_address.unwrap();
    for header in ["x-forwarded-for: 127.0.0.1", "forwarded: for=127.0.0.1", "via: 1.1 a", "x-real-ip: ::1"] {
        let refused = ask(own, format!("GET /metrics HTTP/1.1\r\nhost: a\r\n{header}\r\n\r\n")).await;
        assert_eq!((refused.status, refused.reason().as_str()), (404, "route_unknown"), "{header}");
    }
    let elsewhere = GatewayBuilder::default().set("METRICS__ALLOW", "10.0.0.0/8").start(&mlflow).await;
    let own = elsewhere.metrics_address.unwrap();
    let refused = ask(own, "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!((refused.status, refused.reason().as_str()), (404, "route_unknown"));
}

/// A proxy that adds no headers makes every client look like itself: what it leads to must not have them at all.
#[actix_web::test]
async fn the_main_listener_has_no_metrics_for_anybody() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let on = Gateway::start(&mlflow).await;
    let off = GatewayBuilder::default().set("METRICS__BIND", "off").start(&mlflow).await;
    assert_eq!(off.metrics_address, None);
    let prefixes = ["", "/", "/api/mlflow", "/mlflow", "/health"];
    for (gateway, prefix) in
        [&on, &off].into_iter().flat_map(|gateway| prefixes.map(|prefix| (gateway, prefix)))
    {
        for target in
            ["/metrics", "/metrics/", "/metrics?a", "/%6detrics"].map(|path| format!("{prefix}{path}"))
        {
            let stranger = ask(gateway.address, format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
            for refused in [stranger, gateway.get(&target).await] {
                assert!([400, 404].contains(&refused.status), "{target}: {refused:?}");
                assert!(!refused.text().contains("hokusai_gateway_"), "{target}");
            }
        }
        assert_eq!(gateway.get("/metrics").await.reason(), "route_unknown");
    }
    assert!(!mlflow.requests().iter().any(|request| request.target().contains("metrics")));
}

#[actix_web::test]
async fn the_listener_of_the_metrics_has_nothing_else() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let own = gateway.metrics_address.unwrap();
    for target in ["/live", "/health", "/version", "/api/2.0/mlflow/runs/get"] {
        let refused = ask(own, gateway.request("GET", target, "")).await;
        assert_eq!((refused.status, refused.reason().as_str()), (404, "route_unknown"), "{target}");
    }
    assert!(mlflow.requests().is_empty());
}

#[test]
fn a_port_that_is_taken_is_told_with_the_setting_and_its_variable() {
    let folder = tempfile::tempdir().unwrap();
    create_key(&folder.path().join("keys.toml"), "ada", None);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let serve = |bind: &str| {
        let mut command = command(folder.path());
        command.arg("serve").env("MLFLOW_SERVER_URL", "http://127.0.0.1:1");
        command.env("HOKUSAI__SERVER__BIND", bind).env("HOKUSAI__METRICS__BIND", &address);
        let done = command.output().unwrap();
        (done.status.code(), String::from_utf8([done.stdout, done.stderr].concat()).unwrap())
    };
    let (code, told) = serve("127.0.0.1:0");
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("metrics.bind, HOKUSAI__METRICS__BIND") && told.contains("or off"), "{told}");
    let (code, told) = serve(&address);
    assert_eq!(code, Some(64), "{told}");
    assert!(told.contains("metrics.bind") && told.contains("server.bind is"), "{told}");
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
        .set("AUTH__SERVICE__USAGE", "off")
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
        assert_eq!(metric(&gateway, name).await, expected, "{name}");
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
        ("in_flight_requests", 0.0),
    ] {
        assert_eq!(metric(&gateway, name).await, expected, "{name}");
    }
    let text = metrics(&gateway).await;
    assert!(text.text().contains("hokusai_gateway_build_info{git_sha="), "{}", text.text());
}

#[actix_web::test]
async fn the_gateways_own_endpoints_are_counted_by_their_pattern_as_well() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let own = gateway.metrics_address.unwrap();
    for method in ["GET", "HEAD"] {
        ask(gateway.address, format!("{method} /live?a=b HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        let read = ask(own, format!("{method} /metrics HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        assert_eq!(
            (read.status, read.header("content-type")),
            (200, Some("text/plain; version=0.0.4; charset=utf-8")),
            "{method}"
        );
    }
    for (name, expected) in [
        (r#"endpoint_requests_total{endpoint="/live",listener="main",method="GET",status="200"}"#, 1.0),
        (r#"endpoint_requests_total{endpoint="/live",listener="main",method="HEAD",status="200"}"#, 1.0),
        (
            r#"endpoint_requests_total{endpoint="/metrics",listener="management",method="HEAD",status="200"}"#,
            1.0,
        ),
        (
            r#"endpoint_requests_duration_seconds_count{endpoint="/live",listener="main",method="GET",status="200"}"#,
            1.0,
        ),
        (r#"http_requests_total{method="GET",route="open",status="200"}"#, 1.0),
    ] {
        assert_eq!(metric(&gateway, name).await, expected, "{name}");
    }
}

/// Their labels are the method and, without a pattern, the path as the client wrote them.
#[actix_web::test]
async fn no_client_makes_series_of_endpoints() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let own = gateway.metrics_address.unwrap();
    let series = async || {
        let answer = metrics(&gateway).await;
        answer
            .text()
            .lines()
            .filter(|line| line.starts_with("hokusai_gateway_endpoint_requests_total{"))
            .count()
    };
    ask(gateway.address, gateway.request("GET", "/live", "")).await;
    series().await;
    let before = series().await;
    for number in 0..20 {
        for (method, path) in
            [("GET", format!("/nowhere-{number}")), (&*format!("METHOD{number}"), "/live".into())]
        {
            ask(gateway.address, gateway.request(method, &path, "")).await;
            ask(own, format!("{method} {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
            ask(own, format!("{method} /metrics HTTP/1.1\r\nhost: a\r\nvia: 1.1 a\r\n\r\n")).await;
        }
        ask(own, format!("METHOD{number} /metrics HTTP/1.1\r\nhost: a\r\n\r\n")).await;
    }
    assert_eq!((before, series().await), (2, 2), "{}", metrics(&gateway).await.text());
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
        eventually(&name, async || metric(&gateway, &name).await >= 1.0).await;
    }
    let nobody = GatewayBuilder::default().start_with("http://127.0.0.1:1").await;
    nobody.get("/api/2.0/mlflow/runs/get").await;
    assert!(metric(&nobody, r#"upstream_requests_total{outcome="connect"}"#).await >= 1.0);
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
    eventually("MLflow is up", async || metric(&gateway, "upstream_up").await == 1.0).await;
    assert_eq!(metric(&gateway, "auth_service_up").await, 1.0);
    let text = metrics(&gateway).await;
    assert!(!text.text().contains("hokusai_gateway_redis_up"));
    mlflow.kill();
    auth.kill();
    eventually("MLflow is down", async || metric(&gateway, "upstream_up").await == 0.0).await;
    eventually("the auth service is down", async || {
        gateway.get("/api/2.0/mlflow/runs/get").await;
        metric(&gateway, "auth_service_up").await == 0.0
    })
    .await;
}
