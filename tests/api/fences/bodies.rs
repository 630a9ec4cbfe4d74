//! What a fence does not touch: the bodies of what passes.

use serde_json::json;

use super::{ACME, changes, fenced, mlflow, send};

#[actix_web::test]
async fn a_fence_alone_writes_nobody_into_what_is_made() {
    let mlflow = mlflow().await;
    let gateway = fenced(&mlflow, ACME).await;
    for (target, body) in [
        ("runs/create", json!({"experiment_id": "1", "user_id": "b"})),
        ("experiments/create", json!({"name": "acme/new"})),
        ("registered-models/create", json!({"name": "acme-new"})),
        (
            "model-versions/create",
            json!({"name": "acme-churn", "tags": [{"key": "hokusai.user", "value": "b"}]}),
        ),
    ] {
        let response = send(&gateway, &(target, body.clone())).await;
        assert_eq!(response.status, 200, "{target}: {}", response.text());
        assert_eq!(changes(&mlflow).pop().unwrap().body, body.to_string().into_bytes(), "{target}");
    }
}
