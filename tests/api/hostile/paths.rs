//! Paths, headers and credentials that lie.

use super::*;

#[actix_web::test]
async fn paths_that_could_be_read_in_two_ways_are_refused() {
    let stage = Stage::set().await;
    for path in [
        "/x/../health",
        "/%2e%2e/",
        "/.%2e/",
        "/%252e%252e/",
        "/./",
        "/a/.",
        "/api//2.0/mlflow/runs/get",
        "/api%2f2.0/mlflow/runs/get",
        "/a\\b",
        "/a%5cb",
        "/a%00b",
        "/a%0d%0ab",
        "/%c0%ae%c0%ae/",
        "/%zz",
        "/a;a=b",
    ] {
        let request = format!("GET /api/mlflow{path} HTTP/1.1\r\n{{host}}{{key}}\r\n");
        stage.refuses(path, &[400], &stage.filled(&request)).await;
    }
    let unknown = "GET /API/2.0/mlflow/runs/get HTTP/1.1\r\n{host}{key}\r\n";
    let response = stage.connection(&stage.filled(unknown)).await.response(false).await;
    assert_eq!((response.status, response.reason().as_str()), (404, "route_unknown"));
    stage.was_not_asked("another case");
}

/// MLflow drops what stands before a path, tabs and line ends in it, and empty parameters behind it; the administrator's
/// key is refused as well.
#[actix_web::test]
async fn no_root_of_the_artifact_store_is_changed_by_any_name() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default()
        .scopes(&["mlflow:admin"])
        .set("MLFLOW__DIRECT_ARTIFACTS", "allow")
        .start(&mlflow)
        .await;
    for root in [
        ".",
        "%2e",
        "%20",
        "%20.",
        "%1F%2e",
        "%2520.",
        ".%3b",
        ".;",
        ".%3F",
        ".%23",
        "%09",
        "file:",
        "FILE%3A",
        "%2f%2f",
        "1%2f..",
        "workspaces",
        "%20workspaces",
        "work%0aspaces%0D/",
        "Workspaces",
        "workspaces/team-b",
        "workspaces%2Fteam-b%2F",
        "workspaces/team-b;",
    ] {
        for (method, route) in [
            ("PUT", "api/2.0/mlflow-artifacts/artifacts/"),
            ("DELETE", "ajax-api/2.0/mlflow-artifacts/artifacts/"),
            ("POST", "api/2.0/mlflow-artifacts/mpu/create/"),
            ("POST", "api/2.0/mlflow-artifacts/mpu/complete/"),
            ("POST", "api/2.0/mlflow-artifacts/mpu/abort/"),
        ] {
            let response =
                ask(gateway.address, gateway.request(method, &format!("/{route}{root}"), "")).await;
            let told = (response.status, response.reason());
            assert_eq!(told, (400, "bad_path".to_owned()), "{method} {route}{root}");
        }
    }
    assert!(mlflow.requests().is_empty());
}

#[actix_web::test]
async fn what_mlflow_keeps_of_a_name_reaches_it_as_it_came() {
    let stage = Stage::set().await;
    for name in [
        "%25timestamp%2517.png",
        "95%ab.png",
        "a%09b",
        "Icon%0D",
        "a%5Cb",
        "lr=1e-3;bs=32.ckpt",
        "a%00b",
        "model%20v1%20%232%2050%25%20%2B%C3%A9.txt",
    ] {
        let target = format!("/api/2.0/mlflow-artifacts/artifacts/1/run/artifacts/{name}");
        stage.passes(name, &stage.filled(&format!("GET {target} HTTP/1.1\r\n{{host}}{{key}}\r\n")), "").await;
        assert_eq!(stage.mlflow.requests().last().unwrap().target(), target);
    }
}

#[actix_web::test]
async fn nothing_in_a_target_or_a_user_agent_skips_authentication() {
    let stage = Stage::set().await;
    for (target, header) in [
        (&format!("{TARGET}?x=/health")[..], ""),
        ("/api/mlflow/health", ""),
        ("/mlflow/static-files/health", ""),
        (TARGET, "user-agent: ELB-HealthChecker/2.0\r\n"),
        (TARGET, "user-agent: kube-probe/1.30\r\n"),
        (TARGET, "x-original-url: /health\r\nx-rewrite-url: /health\r\nx-forwarded-uri: /health\r\n"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\n{{host}}{header}\r\n");
        let response = stage.connection(&stage.filled(&request)).await.response(false).await;
        assert_eq!(response.status, 401, "{target} {header}");
    }
    for target in ["/api/mlflow/health%3f", "/api/mlflow/live"] {
        let request = format!("GET {target} HTTP/1.1\r\n{{host}}\r\n");
        let response = stage.connection(&stage.filled(&request)).await.response(false).await;
        assert_eq!((response.status, response.reason().as_str()), (404, "route_unknown"), "{target}");
    }
    stage.was_not_asked("without a key");
}

#[actix_web::test]
async fn headers_that_lie_have_no_effect() {
    let stage = Stage::set().await;
    for lie in [
        "x-original-url: /evil",
        "x-rewrite-url: /evil",
        "x-forwarded-uri: /evil",
        "x-forwarded-prefix: /evil",
        "x-http-method-override: DELETE",
        "x-method-override: DELETE",
        "x-hokusai-user-id: evil",
        "x-hokusai-key-id: evil",
        "x-forwarded-for: 192.0.2.66",
        "forwarded: for=192.0.2.66",
        "x-real-ip: 192.0.2.66",
    ] {
        let request = format!("GET {TARGET}?_method=GET HTTP/1.1\r\n{{host}}{{key}}{lie}\r\n\r\n");
        stage.passes(lie, &stage.filled(&request), "").await;
        let seen = stage.mlflow.requests().pop().unwrap();
        let value = lie.split(": ").nth(1).unwrap();
        assert!(!format!("{:?}", seen.headers).contains(value), "{lie}: {seen:?}");
        assert!(
            seen.line.starts_with("GET /api/2.0/mlflow/experiments/search?_method=GET "),
            "{lie}: {}",
            seen.line
        );
        assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"), "{lie}");
    }
}

#[actix_web::test]
async fn credentials_that_are_none_or_two_never_reach_the_auth_service() {
    let auth = Server::start(|_| Answer::ok(r#"{"is_valid": true, "key_id": "k-1"}"#)).await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &auth.url())
        .set("AUTH__SERVICE__USAGE", "off")
        .start(&mlflow)
        .await;
    let long = format!("authorization: Bearer {}", "k".repeat(8193));
    for (status, headers) in [
        (400, "authorization: Bearer a\r\nauthorization: Bearer b"),
        (400, "authorization: Bearer a\r\nx-api-key: a"),
        (400, "authorization: Bearer a, Bearer b"),
        (401, "authorization: Bearer"),
        (401, "authorization: Bearer  "),
        (401, "authorization: Bearera"),
        (401, "authorization: Bearer a\tb"),
        (401, &long),
    ] {
        let request = format!("GET {TARGET} HTTP/1.1\r\nhost: a\r\n{headers}\r\n\r\n");
        assert_eq!(ask(gateway.address, request).await.status, status, "{headers:.60}");
    }
    assert!(auth.requests().is_empty() && mlflow.requests().is_empty());
    let small = format!("GET {TARGET} HTTP/1.1\r\nhost: a\r\nauthorization: bearer KEY\r\n\r\n");
    assert_eq!(ask(gateway.address, small).await.status, 200);
}
