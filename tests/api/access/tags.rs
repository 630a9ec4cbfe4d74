//! Tags that are more than remarks.

use super::with_body;
use crate::support::{Gateway, GatewayBuilder, Server, ask, server::Answer};

const SET_TAG: &str = "/api/2.0/mlflow/model-versions/set-tag";
const DELETE_TAG: &str = "/ajax-api/2.0/mlflow/model-versions/delete-tag";
const TEXT: &str = r#"{"name": "p", "version": "1", "key": "mlflow.prompt.text", "value": "x"}"#;
const NOTE: &str = r#"{"name": "p", "version": "1", "key": "note", "value": "mlflow.prompt.text"}"#;

#[actix_web::test]
async fn a_tag_that_is_more_than_a_remark_wants_more_than_its_route() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let write = &["mlflow:read", "mlflow:write"][..];
    let delete = &["mlflow:write", "mlflow:delete"];
    let schedule = r#"{"experiment_id": "1", "key": "mlflow.issueDetection.schedule", "value": "{}"}"#;
    let with_schedule =
        r#"{"name": "a", "tags": [{"key": "mlflow.issueDetection.schedule", "value": "{}"}]}"#;
    let place = r#"{"key": "mlflow.artifactLocation", "value": "s3://other"}"#;
    for (scopes, method, target, body, status) in [
        (write, "POST", SET_TAG, NOTE, 200),
        (write, "POST", SET_TAG, TEXT, 403),
        (delete, "POST", SET_TAG, TEXT, 403),
        (&["mlflow:admin"], "POST", SET_TAG, TEXT, 200),
        (write, "DELETE", DELETE_TAG, NOTE, 200),
        (write, "DELETE", DELETE_TAG, TEXT, 403),
        (delete, "DELETE", DELETE_TAG, TEXT, 200),
        (&["mlflow:delete"], "DELETE", DELETE_TAG, TEXT, 403),
        (write, "POST", "/api/2.0/mlflow/experiments/set-experiment-tag", schedule, 403),
        (write, "POST", "/api/2.0/mlflow/experiments/delete-experiment-tag", schedule, 403),
        (write, "POST", "/api/2.0/mlflow/experiments/create", with_schedule, 403),
        (write, "POST", "/api/2.0/mlflow/experiments/create", r#"{"name": "a", "tags": []}"#, 200),
        (write, "PATCH", "/api/3.0/mlflow/traces/tr-1/tags", place, 403),
        (write, "PATCH", "/ajax-api/2.0/mlflow/traces/tr-1/tags", place, 403),
        (write, "DELETE", "/api/3.0/mlflow/traces/tr-1/tags", place, 403),
        (write, "PATCH", "/api/3.0/mlflow/traces/tr-1/tags", r#"{"key": "a", "value": "b"}"#, 200),
    ] {
        let gateway = GatewayBuilder::default().scopes(scopes).start(&mlflow).await;
        let before = mlflow.requests().len();
        let response = ask(gateway.address, with_body(&gateway, method, target, body, false)).await;
        assert_eq!(response.status, status, "{scopes:?} {method} {target} {body}");
        assert_eq!(mlflow.requests().len() - before, usize::from(status == 200), "{target} {body}");
    }
}

#[actix_web::test]
async fn a_denial_for_a_tag_names_it() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let response = ask(gateway.address, with_body(&gateway, "POST", SET_TAG, TEXT, false)).await;
    assert_eq!((response.status, response.reason().as_str()), (403, "scope_missing"));
    let expected = "this API key may not POST /api/2.0/mlflow/model-versions/set-tag for the protected tag \
                    mlflow.prompt.text: it needs the scope mlflow:admin, and has";
    assert!(response.json()["message"].as_str().unwrap().starts_with(expected), "{}", response.text());
}
