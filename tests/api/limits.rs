//! How much a key may ask for, and how it is told.

use crate::support::{GatewayBuilder, Server, ask, server::Answer};

const TARGET: &str = "/api/2.0/mlflow/experiments/search";

#[actix_web::test]
async fn a_key_is_told_what_is_left_and_refused_when_nothing_is() {
    let mlflow =
        Server::start(|_| Answer::bytes("HTTP/1.1 200 X\r\nratelimit-limit: 9\r\ncontent-length: 0\r\n\r\n"))
            .await;
    let gateway = GatewayBuilder::default().set("LIMITS__PER_HOUR", "3").start(&mlflow).await;
    for left in ["2", "1", "0"] {
        let response = gateway.get(TARGET).await;
        assert_eq!(response.status, 200);
        for prefix in ["", "x-"] {
            assert_eq!(response.header(&format!("{prefix}ratelimit-limit")), Some("3"));
            assert_eq!(response.header(&format!("{prefix}ratelimit-remaining")), Some(left));
            assert!(response.header(&format!("{prefix}ratelimit-reset")).is_some());
        }
    }
    let refused = gateway.get(TARGET).await;
    assert_eq!((refused.status, refused.reason().as_str()), (429, "rate_limited"));
    assert_eq!(refused.json()["error_code"], "REQUEST_LIMIT_EXCEEDED");
    assert_eq!(refused.header("ratelimit-remaining"), Some("0"));
    assert!((1..=1201).contains(&refused.header("retry-after").unwrap().parse::<u32>().unwrap()));
    assert_eq!(mlflow.requests().len(), 3);

    let create = gateway.request("POST", "/api/2.0/mlflow/runs/create", "content-length: 0\r\n");
    let write = ask(gateway.address, create).await;
    assert_eq!(write.status, 200, "writes are counted apart");
}

#[actix_web::test]
async fn the_auth_services_number_is_the_keys_limit() {
    let auth = Server::start(|_| {
        Answer::ok(r#"{"is_valid": true, "user_id": "u", "key_id": "k", "rate_limit_per_hour": 2}"#)
    })
    .await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default().set("AUTH__SERVICE__URL", &auth.url()).start(&mlflow).await;
    let statuses = [gateway.get(TARGET).await, gateway.get(TARGET).await, gateway.get(TARGET).await];
    assert_eq!(statuses.map(|response| response.status), [200, 200, 429]);
}

#[actix_web::test]
async fn refused_keys_and_paths_cost_no_key_anything() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default().set("LIMITS__PER_HOUR", "1").start(&mlflow).await;
    for _ in 0..5 {
        let wrong = format!("GET {TARGET} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer wrong\r\n\r\n");
        assert_eq!(ask(gateway.address, wrong).await.status, 401);
        assert_eq!(gateway.get("/nowhere").await.status, 404);
    }
    assert_eq!(gateway.get(TARGET).await.status, 200);
    assert_eq!(gateway.get(TARGET).await.status, 429);
}

#[actix_web::test]
async fn limits_can_be_only_reported_or_off() {
    for (mode, told) in [("report", true), ("off", false)] {
        let mlflow = Server::start(|_| Answer::ok("{}")).await;
        let gateway = GatewayBuilder::default()
            .set("LIMITS__PER_HOUR", "1")
            .set("LIMITS__MODE", mode)
            .start(&mlflow)
            .await;
        for _ in 0..3 {
            let response = gateway.get(TARGET).await;
            assert_eq!(response.status, 200, "{mode}");
            assert_eq!(response.header("ratelimit-limit").is_some(), told, "{mode}");
        }
    }
}

#[actix_web::test]
async fn so_many_experiments_runs_and_models_may_be_made_in_an_hour() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default()
        .scopes(&["mlflow:write", "mlflow:read"])
        .set("LIMITS__CREATES_PER_HOUR", "5")
        .set("LIMITS__PER_HOUR", "100")
        .start(&mlflow)
        .await;
    let post = async |path: &str| {
        let rest = "content-type: application/json\r\ncontent-length: 34\r\n\r\n{\"name\": \"a\", \"experiment_id\": \"1\"}";
        let length = rest.split("\r\n\r\n").nth(1).unwrap().len().to_string();
        ask(gateway.address, gateway.request("POST", path, &rest.replace("34", &length))).await
    };
    for (left, path) in [
        ("4", "experiments/create"),
        ("3", "runs/create"),
        ("2", "logged-models"),
        ("1", "registered-models/create"),
        ("0", "model-versions/create"),
    ] {
        let response = post(&format!("/api/2.0/mlflow/{path}")).await;
        assert_eq!(response.status, 200, "{path}: {response:?}");
        assert_eq!(response.header("ratelimit-limit"), Some("5"), "what ends first");
        assert_eq!(response.header("ratelimit-remaining"), Some(left));
    }
    let refused = post("/api/2.0/mlflow/runs/create").await;
    assert_eq!((refused.status, refused.reason().as_str()), (429, "rate_limited"));
    assert_eq!(
        refused.json()["message"],
        "this API key has reached its limit of 5 new experiments, runs and models an hour"
    );
    assert!((700..=720).contains(&refused.header("retry-after").unwrap().parse::<u32>().unwrap()));
    assert_eq!(mlflow.requests().len(), 5);
    // Other changes go on, and were not paid for by the one that was refused.
    let renamed = post("/api/2.0/mlflow/experiments/update").await;
    assert_eq!((renamed.status, renamed.header("ratelimit-remaining")), (200, Some("94")));
}

const ARTIFACT: &str = "/api/2.0/mlflow-artifacts/artifacts/1/model.bin";

#[actix_web::test]
async fn artifact_bytes_are_counted_apart_both_ways_and_the_transfer_after_the_limit_waits() {
    let body = "x".repeat(600);
    let answer = body.clone();
    let mlflow = Server::start(move |_| Answer::ok(&answer)).await;
    for (method, target) in [
        ("GET", ARTIFACT),
        ("PUT", ARTIFACT),
        ("GET", "/api/mlflow/api/2.0/mlflow-artif%61cts/artifacts/1/model.bin"),
        ("GET", "/ajax-api/2.0/mlflow-artifacts/artifacts/1/model.bin"),
        ("GET", "/get-artifact?path=model.bin"),
        ("GET", "/model-versions/get-artifact?path=model.bin"),
        ("GET", "/ajax-api/3.0/mlflow/get-trace-artifact?path=model.bin"),
        ("GET", "/ajax-api/2.0/mlflow/logged-models/m-1/artifacts/files?artifact_file_path=model.bin"),
        ("POST", "/ajax-api/2.0/mlflow/upload-artifact?path=model.bin"),
    ] {
        let gateway =
            GatewayBuilder::default().set("LIMITS__ARTIFACT_BYTES_PER_HOUR", "1KiB").start(&mlflow).await;
        let sent = if method == "GET" { "" } else { &body };
        let request = format!("content-length: {}\r\n\r\n{sent}", sent.len());
        let mut transfers = 0;
        let refused = loop {
            let response = ask(gateway.address, gateway.request(method, target, &request)).await;
            if response.status != 200 {
                break response;
            }
            transfers += 1;
        };
        // Up and down count together; what crosses the limit is finished.
        assert_eq!(transfers, if method == "GET" { 2 } else { 1 }, "{method} {target}");
        assert_eq!((refused.status, refused.reason().as_str()), (429, "rate_limited"));
        assert!(refused.header("retry-after").unwrap().parse::<u32>().unwrap() > 60);
        assert!(refused.json()["message"].as_str().unwrap().contains("1024 bytes of artifacts"));
        assert_eq!(gateway.get(TARGET).await.status, 200, "metadata goes on");
    }
}
