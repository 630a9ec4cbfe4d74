//! A refusal tells a key no name that it may not read.

use serde_json::json;

use crate::{
    audit_owners::mlflow,
    support::{GatewayBuilder, ask},
};

async fn refusal(scopes: &[&str]) -> String {
    let mlflow = mlflow().await;
    let gateway =
        GatewayBuilder::default().scopes(scopes).set("POLICY__OWNERSHIP", "enforce").start(&mlflow).await;
    let body = json!({"run_id": "r-acme", "metrics": []}).to_string();
    let rest = format!("content-length: {}\r\n\r\n{body}", body.len());
    let response =
        ask(gateway.address, gateway.request("POST", "/api/2.0/mlflow/runs/log-batch", &rest)).await;
    assert_eq!((response.status, &*response.reason()), (403, "not_owner"));
    response.text().to_owned()
}

#[actix_web::test]
async fn only_a_key_that_may_read_is_told_what_a_thing_is_called_and_whose_it_is() {
    let told = refusal(&["mlflow:read", "mlflow:write"]).await;
    assert!(told.contains("the experiment \\\"e1\\\" belongs to acme"), "{told}");
    let told = refusal(&["mlflow:write"]).await;
    assert!(told.contains("this experiment belongs to another user"), "{told}");
    assert!(!told.contains("e1") && !told.contains("acme"), "{told}");
}
