//! Transfers past the gateway: not offered, and answered so that MLflow's client needs none.

use crate::support::{GatewayBuilder, Server, ask, server::Answer};

const INFO: &str = r#"{"store_type":"SqlStore","multipart_uploads_enabled":true,"multipart_downloads_enabled":true,"presigned_upload_run_id_supported":true,"features_enabled":{"gateway":true}}"#;
const SERVER_INFO: &str = "/api/mlflow/ajax-api/3.0/mlflow/server-info";

/// The routes that lead to the store, and the words on which MLflow's client falls back.
const DIRECT: [(&str, &str, &str); 9] = [
    ("POST", "/api/2.0/mlflow-artifacts/mpu/create/1/a", "Multipart upload is not supported"),
    ("POST", "/ajax-api/2.0/mlflow-artifacts/mpu/complete/1/a", "Multipart upload is not supported"),
    ("POST", "/api/2.0/mlflow-artifacts/mpu/abort/1/a", "Multipart upload is not supported"),
    ("POST", "/api/2.0/mlflow/artifacts/presigned-download-url", "Presigned download is not supported"),
    ("POST", "/api/2.0/mlflow/artifacts/presigned-upload-url", "Presigned upload is not supported"),
    ("GET", "/api/2.0/mlflow-artifacts/%70resigned/1/a", "Presigned download is not supported"),
    ("GET", "/model-versions/get-artifact?name=a&version=1&path=a&presigned=true", "Presigned download is"),
    ("GET", "/mlflow/model-versions/get-artifact?pre%73igned=%54rue", "Presigned download is not supported"),
    (
        "GET",
        "/ajax-api/2.0/mlflow/logged-models/m-1/artifacts/files?artifact_file_path=a&presigned=true",
        "Presigned download is not supported",
    ),
];

#[actix_web::test]
async fn they_are_answered_here_so_that_clients_fall_back() {
    let mlflow = Server::start(|_| Answer::ok(r#"{"url": "http://store/"}"#)).await;
    let gateway = GatewayBuilder::default().start(&mlflow).await;
    for (method, target, words) in DIRECT {
        let response = ask(gateway.address, gateway.request(method, target, "")).await;
        assert_eq!(
            (response.status, response.reason().as_str()),
            (501, "direct_transfer_denied"),
            "{target}"
        );
        let told = response.json();
        assert_eq!(told["error_code"], "NOT_IMPLEMENTED");
        assert!(told["message"].as_str().unwrap().starts_with(words), "{told}");
    }
    assert!(mlflow.requests().is_empty());
}

#[actix_web::test]
async fn they_want_their_scope_all_the_same() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default().scopes(&["mlflow:ui"]).start(&mlflow).await;
    for (method, target, _) in DIRECT {
        let response = ask(gateway.address, gateway.request(method, target, "")).await;
        assert_eq!(response.reason(), "scope_missing", "{target}");
    }
}

#[actix_web::test]
async fn they_pass_where_they_are_allowed() {
    let mlflow = Server::start(|_| Answer::ok(INFO)).await;
    let gateway = GatewayBuilder::default().set("MLFLOW__DIRECT_ARTIFACTS", "allow").start(&mlflow).await;
    for (method, target, _) in DIRECT {
        assert_eq!(ask(gateway.address, gateway.request(method, target, "")).await.text(), INFO, "{target}");
    }
    assert_eq!(gateway.get(SERVER_INFO).await.text(), INFO);
}

#[actix_web::test]
async fn the_same_routes_without_them_pass() {
    let mlflow = Server::start(|_| Answer::ok("bytes")).await;
    let gateway = GatewayBuilder::default().start(&mlflow).await;
    for target in [
        "/model-versions/get-artifact?name=a&version=1&path=a",
        "/model-versions/get-artifact?name=a&version=1&path=a&presigned=false",
        "/ajax-api/2.0/mlflow/logged-models/m-1/artifacts/files?artifact_file_path=a",
    ] {
        assert_eq!(gateway.get(target).await.text(), "bytes", "{target}");
    }
    let unknown = gateway.get("/get-artifact?run_id=1&path=a&presigned=true").await;
    assert_eq!((unknown.status, unknown.reason().as_str()), (404, "route_unknown"));
}

#[actix_web::test]
async fn a_yes_of_the_server_that_nobody_knows_is_a_no() {
    let info = r#"{"store_type":"SqlStore","workspaces_enabled":true,"model_artifact_presigned_downloads_supported":true,"artifacts_presigned_only":true,"teleport":true,"off":false,"skill_content_max_files":7,"features_enabled":{"gateway":true,"beam":true},"tracking_auth":""}"#;
    let mlflow = Server::start(move |_| Answer::ok(info)).await;
    let gateway = GatewayBuilder::default().start(&mlflow).await;
    let expected = r#"{"store_type":"SqlStore","workspaces_enabled":true,"model_artifact_presigned_downloads_supported":false,"artifacts_presigned_only":false,"teleport":false,"off":false,"skill_content_max_files":7,"features_enabled":{"gateway":true,"beam":false},"tracking_auth":""}"#;
    assert_eq!(gateway.get(SERVER_INFO).await.text(), expected);
}

#[actix_web::test]
async fn the_server_does_not_tell_of_them() {
    let mlflow = Server::start(|_| Answer::ok(INFO)).await;
    let gateway = GatewayBuilder::default().start(&mlflow).await;
    let rest = "accept-encoding: gzip\r\nrange: bytes=0-9\r\n";
    let told = ask(gateway.address, gateway.request("GET", SERVER_INFO, rest)).await;
    assert_eq!(
        told.text(),
        INFO.replace("enabled\":true", "enabled\":false").replace("supported\":true", "supported\":false")
    );
    assert_eq!(told.header("content-type"), Some("application/json"));
    let seen = mlflow.request();
    assert!(seen.header("accept-encoding").is_none() && seen.header("range").is_none());
    let head = gateway.request("HEAD", SERVER_INFO, "connection: close\r\n");
    assert_eq!(ask(gateway.address, head).await.status, 200);
}

#[actix_web::test]
async fn what_cannot_be_read_of_the_server_is_not_passed_on() {
    for (answer, status) in [
        (Answer::ok("[true]"), 502),
        (Answer::ok("<html>"), 502),
        (Answer::json(206, INFO), 502),
        (Answer::ok(&format!(r#"{{"a": "{}"}}"#, "x".repeat(70_000))), 502),
        (Answer::json(404, r#"{"error_code": "RESOURCE_DOES_NOT_EXIST"}"#), 404),
    ] {
        let mlflow = Server::start(move |_| answer.clone()).await;
        let gateway = GatewayBuilder::default().start(&mlflow).await;
        assert_eq!(gateway.get(SERVER_INFO).await.status, status);
    }
}

#[actix_web::test]
async fn an_upload_past_the_gateway_names_a_file() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default().set("MLFLOW__DIRECT_ARTIFACTS", "allow").start(&mlflow).await;
    let post = |target: &str, path: &str| {
        let body = serde_json::json!({ "run_id": "r", "path": path, "num_parts": 1 }).to_string();
        let head = format!("content-type: application/json\r\ncontent-length: {}", body.len());
        ask(gateway.address, gateway.request("POST", target, &format!("{head}\r\n\r\n{body}")))
    };
    let presigned = "/api/2.0/mlflow/artifacts/presigned-upload-url";
    let parts = "/ajax-api/2.0/mlflow-artifacts/mpu/create/1/run/artifacts";
    for (target, path) in [
        (presigned, ""),
        (presigned, " "),
        (presigned, "."),
        (presigned, "\t."),
        (presigned, "%252e;"),
        (presigned, "../other/artifacts/a"),
        (presigned, "/a"),
        (parts, ""),
        (parts, "/tmp/"),
        (parts, "/tmp/."),
        (parts, ".."),
    ] {
        let response = post(target, path).await;
        assert_eq!((response.status, response.reason().as_str()), (400, "bad_path"), "{target} {path:?}");
    }
    assert!(mlflow.requests().is_empty());
    for (target, path) in [
        (presigned, "workspaces"),
        (presigned, "95%ab\t;.png"),
        (parts, "/tmp/a b/model.bin"),
        (parts, "C:\\model.bin"),
    ] {
        assert_eq!(post(target, path).await.status, 200, "{target} {path:?}");
    }
}
