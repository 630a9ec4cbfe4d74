//! Where a fence ends: patterns, kinds of things, routes without a subject.

use hokusai_gateway::auth::key_file::edit::NewKey;
use serde_json::json;

use super::{ACME, USER, changes, fenced, inside, key, mlflow, send};
use crate::support::GatewayBuilder;

#[actix_web::test]
async fn a_fence_of_no_pattern_lets_nothing_be_changed_and_everything_be_read() {
    let mlflow = mlflow().await;
    let gateway = fenced(&mlflow, (Some(&[]), Some(&[]))).await;
    for change in inside() {
        let response = send(&gateway, &change).await;
        assert_eq!((response.status, &*response.reason()), (403, "outside_fence"), "{change:?}");
        assert!(response.text().contains("it may change none"), "{}", response.text());
    }
    assert!(changes(&mlflow).is_empty());
    for target in
        ["/api/2.0/mlflow/registered-models/get?name=bob-churn", "/api/2.0/mlflow/runs/get?run_id=x"]
    {
        let _ = gateway.get(target).await;
        assert_eq!(mlflow.requests().last().unwrap().target(), target);
    }
}

#[actix_web::test]
async fn a_fence_of_models_leaves_experiments_alone_and_the_other_way_round() {
    let mlflow = mlflow().await;
    let model = ("registered-models/set-tag", json!({"name": "bob-churn", "key": "a", "value": "b"}));
    let run = ("runs/create", json!({"experiment_id": "2"}));
    for (fence, statuses) in [((Some(&[][..]), None), (403, 200)), ((None, Some(&[][..])), (200, 403))] {
        let gateway = fenced(&mlflow, fence).await;
        let answered = (send(&gateway, &model).await.status, send(&gateway, &run).await.status);
        assert_eq!(answered, statuses, "{fence:?}");
    }
}

#[actix_web::test]
async fn a_name_is_inside_in_the_patterns_own_spelling_only() {
    let mlflow = mlflow().await;
    for (pattern, name, status) in [
        ("caf\u{e9}-*", "caf\u{e9}-x", 200),
        ("caf\u{e9}-*", "cafe\u{301}-x", 403),
        ("cafe\u{301}-*", "caf\u{e9}-x", 403),
        ("cafe-*", "cafe\u{301}-x", 403),
        ("acme-*", "\u{ff41}cme-x", 403),
        ("acme-*", "acme\u{2010}x", 403),
        ("acme-churn", "acme-*", 403),
        ("acme-churn", "*", 403),
        ("acme-*", "acme-*", 200),
    ] {
        let gateway = fenced(&mlflow, (Some(&[pattern]), None)).await;
        let response = send(&gateway, &("registered-models/create", json!({"name": name}))).await;
        assert_eq!(response.status, status, "{pattern:?} {name:?}: {}", response.text());
    }
}

#[actix_web::test]
async fn a_user_whose_id_looks_like_a_pattern_owns_no_more_than_others() {
    let mlflow = mlflow().await;
    for user in ["*", "a*", "?da", "[a]da", "ada,bob"] {
        let gateway = GatewayBuilder::default()
            .key(NewKey { user: user.to_owned(), ..key(USER, Some(&["*"]), None) })
            .set("POLICY__OWNERSHIP", "enforce")
            .start(&mlflow)
            .await;
        let change = ("DELETE registered-models/delete", json!({"name": "acme-churn"}));
        let response = send(&gateway, &change).await;
        assert_eq!((response.status, &*response.reason()), (403, "not_owner"), "{user}");
    }
    assert!(changes(&mlflow).is_empty());
}

#[actix_web::test]
async fn a_route_that_does_not_say_what_it_changes_is_outside_any_fence() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.routes");
    std::fs::write(&file, "[write]\nPOST /plugin/things\nPOST /plugin/models model body.name body=json\n")
        .unwrap();
    let mlflow = mlflow().await;
    for scopes in [USER, &["mlflow:admin"]] {
        let gateway = GatewayBuilder::default()
            .key(key(scopes, ACME.0, ACME.1))
            .set("MLFLOW__ROUTES_FILE", file.to_str().unwrap())
            .start(&mlflow)
            .await;
        let response = send(&gateway, &("/api/mlflow/plugin/things", json!({"name": "acme-x"}))).await;
        assert_eq!((response.status, &*response.reason()), (403, "outside_fence"), "{}", response.text());
        let response = send(&gateway, &("/api/mlflow/plugin/models", json!({"name": "acme-churn"}))).await;
        assert_eq!(response.status, 200, "{}", response.text());
    }
}
