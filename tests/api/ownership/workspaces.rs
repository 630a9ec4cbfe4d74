//! The workspace in which MLflow is asked whose a thing is: the one in which it will be changed.

use hokusai_gateway::auth::{key::Environment, key_file::edit::NewKey};
use serde_json::json;

use super::stage::{Stage, log, send, send_with};
use crate::support::GatewayBuilder;

const LOG: &str = "POST 2.0/mlflow/runs/log-metric";

#[actix_web::test]
async fn a_question_for_a_request_without_a_workspace_has_none() {
    let stage = Stage::set().await;
    let gateway = stage.gateway(&[]).await;
    assert_eq!(log(&gateway, "ada", "a").await.status, 200);
    assert!(stage.reached("GET ", "").iter().all(|question| question.header("x-mlflow-workspace").is_none()));
}

#[actix_web::test]
async fn a_question_for_a_key_of_a_workspace_has_that() {
    let stage = Stage::set().await;
    let key = NewKey {
        scopes: Some(vec!["mlflow:write".to_owned()]),
        workspace: Some("team-a".to_owned().try_into().unwrap()),
        ..NewKey::of("ada", Environment::Test)
    };
    let gateway =
        GatewayBuilder::default().key(key).set("POLICY__OWNERSHIP", "enforce").start(&stage.mlflow).await;
    let body = json!({"run_id": "a", "key": "k", "value": 1});
    assert_eq!(send(&gateway, &gateway.key, LOG, &body).await.status, 200);
    let questions = stage.reached("GET ", "");
    let workspaces: Vec<_> = questions.iter().map(|question| question.header("x-mlflow-workspace")).collect();
    assert_eq!(workspaces, [Some("team-a"); 2]);
}

#[actix_web::test]
async fn a_request_that_leaves_open_in_which_workspace_it_is_is_refused() {
    let stage = Stage::set().await;
    let gateway = stage.gateway(&[]).await;
    let body = json!({"run_id": "a", "key": "k", "value": 1});
    for headers in [
        "x-mlflow-workspace: team-a\r\nx-mlflow-workspace: team-b\r\n",
        // It would not reach MLflow.
        "x-mlflow-workspace: team-a\r\nconnection: x-mlflow-workspace\r\n",
        "x-mlflow-workspace: team-a\r\nconnection: keep-alive, X-MLflow-Workspace\r\n",
    ] {
        let refused = send_with(&gateway, "ada", LOG, headers, &body).await;
        assert_eq!((refused.status, refused.reason().as_str()), (400, "ambiguous_body"), "{headers}");
    }
    assert!(stage.mlflow.requests().is_empty());
}
