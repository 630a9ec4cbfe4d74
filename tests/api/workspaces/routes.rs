//! Routes, paths and headers.

use hokusai_gateway::auth::{key::Environment, key_file::edit::NewKey};

use super::{bound_gateway, echo, is_refused, workspaces_of};
use crate::support::{Gateway, GatewayBuilder, Server, ask, server::Answer};

#[actix_web::test]
async fn mlflow_is_told_the_keys_workspace_and_no_other() {
    let mlflow = echo().await;
    let gateway = bound_gateway(&mlflow, "team-a").await;
    for lie in [
        "",
        "X-MLFLOW-WORKSPACE: team-b\r\n",
        "x-mlflow-workspace: team-b\r\nX-Mlflow-Workspace: team-c\r\n",
        "X-MLFLOW-WORKSPACE:\r\n",
        "X-MLFLOW-WORKSPACE: team-a\r\nconnection: x-mlflow-workspace\r\n",
    ] {
        let get = gateway.request("GET", "/api/2.0/mlflow/runs/get", lie);
        assert_eq!(ask(gateway.address, get).await.status, 200, "{lie}");
        assert_eq!(workspaces_of(mlflow.requests().last().unwrap()), ["team-a"], "{lie}");
    }
    let underscore = gateway.request("GET", "/api/2.0/mlflow/runs/get", "X_MLFLOW_WORKSPACE: team-b\r\n");
    assert_eq!(ask(gateway.address, underscore).await.status, 400);
}

#[actix_web::test]
async fn a_key_that_is_not_bound_chooses_for_itself() {
    let mlflow = echo().await;
    let gateway = Gateway::start(&mlflow).await;
    let get = gateway.request("GET", "/api/2.0/mlflow/runs/get", "X-MLFLOW-WORKSPACE: team-b\r\n");
    ask(gateway.address, get).await;
    assert_eq!(workspaces_of(&mlflow.request()), ["team-b"]);
}

#[actix_web::test]
async fn the_auth_services_word_binds_a_key_too() {
    let auth = Server::start(|_| {
        Answer::ok(r#"{"is_valid": true, "key_id": "k-1", "is_admin": true, "workspace": "team-a"}"#)
    })
    .await;
    let mlflow = echo().await;
    let gateway = GatewayBuilder::default().set("AUTH__SERVICE__URL", &auth.url()).start(&mlflow).await;
    assert_eq!(gateway.get("/api/2.0/mlflow/runs/get").await.status, 200);
    assert!(is_refused(&gateway.get("/api/3.0/mlflow/workspaces").await));
    assert_eq!(workspaces_of(&mlflow.request()), ["team-a"]);
}

#[actix_web::test]
async fn no_route_and_no_path_leads_out_of_the_workspace() {
    let mlflow = echo().await;
    let gateway = bound_gateway(&mlflow, "team-a").await;
    for (method, target) in [
        ("GET", "/api/3.0/mlflow/workspaces"),
        ("POST", "/ajax-api/3.0/mlflow/workspaces"),
        ("DELETE", "/api/3.0/mlflow/workspaces/team-b?mode=CASCADE"),
        ("PATCH", "/ajax-api/3.0/mlflow/workspaces/team-a"),
        ("POST", "/ajax-api/3.0/mlflow/assistant/message"),
        ("PUT", "/ajax-api/3.0/mlflow/assistant/config"),
        ("POST", "/api/2.0/mlflow/webhooks"),
        ("GET", "/api/3.0/mlflow/gateway/budgets/windows"),
        ("POST", "/api/3.0/mlflow/gateway/guardrails/create"),
        ("POST", "/ajax-api/3.0/mlflow/demo/generate"),
        ("POST", "/ajax-api/3.0/jobs/"),
        ("GET", "/ajax-api/2.0/mlflow/gateway-proxy"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts/workspaces/team-b/1/a"),
        ("PUT", "/ajax-api/2.0/mlflow-artifacts/artifacts/workspaces/team-b/1/a"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts/workspaces%2Fteam-b/1/a"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts?path=workspaces/team-b"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts?path=1&path=workspaces/team-b"),
        ("POST", "/api/2.0/mlflow-artifacts/mpu/create/workspaces/team-b/1/a"),
        ("GET", "/api/2.0/mlflow-artifacts/presigned/workspaces/team-b/1/a"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts/1/mlflow/server-info"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts/1/mlflow/server-info/"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts/1/mlflow/server-inf%6f"),
        ("GET", "/api/3.0/mlflow/mcp-servers/mlflow/server-info/"),
        ("GET", "/api/2.0/mlflow-artifacts/art%69facts/workspaces/team-b/1/a"),
        ("GET", "/api/2.0/mlflow-artifacts/art%69facts/workspaces/team-b/1/a?path=1"),
    ] {
        let response = ask(gateway.address, gateway.request(method, target, "")).await;
        assert!(is_refused(&response), "{method} {target}: {response:?}");
    }
    assert!(mlflow.requests().is_empty());
    for (method, target) in [
        ("GET", "/api/2.0/mlflow-artifacts/artifacts%2Fworkspaces/team-b/1/a?path=1"),
        ("GET", "/api/2.0/mlflow-artifacts/presigned%2fworkspaces/team-b/1/a"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts?path=.%2Fworkspaces%252Fteam-b"),
        ("DELETE", "/api/2.0/mlflow-artifacts/artifacts/%25252e/workspaces/team-b/1/a?path=1"),
        ("DELETE", "/api/mlflow/api/2.0/mlflow-artifacts/artifacts/workspaces"),
    ] {
        let response = ask(gateway.address, gateway.request(method, target, "")).await;
        assert_eq!((response.status, response.reason().as_str()), (400, "bad_path"), "{target}");
    }
    assert!(mlflow.requests().is_empty());
    for target in [
        "/api/2.0/mlflow-artifacts/artifacts/workspaces/team-a/1/a",
        "/api/2.0/mlflow-artifacts/artifacts/1/a",
        "/api/2.0/mlflow-artifacts/artifacts?path=1/models",
        "/api/2.0/mlflow-artifacts/artifacts",
        "/api/3.0/mlflow/server-info",
        "/api/3.0/mlflow/gateway/secrets/list",
    ] {
        assert_eq!(gateway.get(target).await.status, 200, "{target}");
    }
}

#[actix_web::test]
async fn a_key_of_the_default_workspace_has_what_is_its_own() {
    let mlflow = echo().await;
    let gateway = bound_gateway(&mlflow, "default").await;
    let store = "/api/2.0/mlflow-artifacts";
    for rest in [
        "artifacts",
        "artifacts?path=",
        "artifacts?path=+",
        "artifacts?path=workspaces",
        "artifacts?path=%20workspaces",
        "artifacts?path=work%09spaces/team-b",
        "artifacts?path=%2520workspaces/team-b",
        "artifacts?path=workspaces%3b",
        "artifacts?path=team-b",
        "artifacts?path=1&path=%1fworkspaces",
        "artifacts/%20workspaces/team-b/1/a",
        "artifacts/workspaces%0a/team-b/1/a",
        "artifacts/workspaces;/team-b/1/a",
        "artifacts/WORKSPACES/team-b/1/a",
        "artifacts/team-b/1/a",
        "presigned/%2509workspaces/team-b/1/a",
    ] {
        let response = gateway.get(&format!("{store}/{rest}")).await;
        assert_eq!((response.status, response.reason().as_str()), (403, "scope_missing"), "{rest}");
        assert!(response.text().contains("bound to the workspace `default`"), "{rest}");
    }
    // MLflow reads no query of a HEAD.
    let head = gateway.request("HEAD", &format!("{store}/artifacts?path=1/x"), "");
    assert_eq!(ask(gateway.address, head).await.status, 403);
    for rest in ["artifacts/%20./workspaces/team-b/1/a", "artifacts?path=%09.", "artifacts?path=file:"] {
        let response = gateway.get(&format!("{store}/{rest}")).await;
        assert_eq!((response.status, response.reason().as_str()), (400, "bad_path"), "{rest}");
    }
    assert!(mlflow.requests().is_empty());
    for rest in [
        "artifacts/1/a;b",
        "artifacts?path=%201",
        "artifacts/workspaces/default/1/a",
        "artifacts?path=workspaces/default",
    ] {
        assert_eq!(gateway.get(&format!("{store}/{rest}")).await.status, 200, "{rest}");
    }
    let head = gateway.request("HEAD", &format!("{store}/artifacts/1/a?path=b"), "");
    assert_eq!(ask(gateway.address, head).await.status, 200);
    let gateway = bound_gateway(&mlflow, "team-a").await;
    let head = gateway.request("HEAD", &format!("{store}/artifacts?path=1/x"), "");
    assert_eq!(ask(gateway.address, head).await.status, 200);
}

#[actix_web::test]
async fn a_row_of_the_operators_own_below_the_store_is_judged_too() {
    let mlflow = echo().await;
    let rows = tempfile::NamedTempFile::new().unwrap();
    let text =
        "[artifact_read]\nGET /api/2.0/mlflow-artifacts/all\nGET /api/2.0/mlflow-artifacts/zip/{*what}\n";
    std::fs::write(&rows, text).unwrap();
    for (workspace, target, status) in [
        ("default", "all", 403),
        ("default", "zip/1", 200),
        ("default", "zip/%20workspaces", 403),
        ("team-a", "all", 200),
        ("team-a", "zip/workspaces/team-b/1", 403),
    ] {
        let key = NewKey {
            workspace: Some(workspace.to_owned().try_into().unwrap()),
            ..NewKey::of("ada", Environment::Test)
        };
        let gateway =
            GatewayBuilder::default().key(key).set("MLFLOW__ROUTES_FILE", rows.path().to_str().unwrap());
        let gateway = gateway.start(&mlflow).await;
        let response = gateway.get(&format!("/api/2.0/mlflow-artifacts/{target}")).await;
        assert_eq!(response.status, status, "{workspace} {target}");
    }
}
