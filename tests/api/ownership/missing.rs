//! A change of what MLflow does not have, and somebody may make a moment later.

use serde_json::{Value, json};

use super::stage::{Stage, send};

/// Something that MLflow does not have, and the words for it.
const CHANGES: [(&str, &str, &str); 4] = [
    ("POST 2.0/mlflow/runs/create", "experiment_id", "No Experiment with id=next exists"),
    ("POST 2.0/mlflow/experiments/set-experiment-tag", "experiment_id", "No Experiment with id=next exists"),
    ("POST 2.0/mlflow/registered-models/set-tag", "name", "Registered Model with name=next not found"),
    ("POST 2.0/mlflow/model-versions/create", "name", "Registered Model with name=next not found"),
];

fn body(field: &str) -> Value {
    json!({field: if field == "name" { "next" } else { "3" }, "key": "k", "value": "v", "source": "runs:/a/m"})
}

#[actix_web::test]
async fn a_change_of_what_is_not_there_is_answered_as_mlflow_would_and_reaches_nothing() {
    let stage = Stage::set().await;
    let gateway = stage.gateway(&[]).await;
    for (line, field, words) in CHANGES {
        let refused = send(&gateway, "ada", line, &body(field)).await;
        let (code, message) = (&refused.json()["error_code"], &refused.json()["message"]);
        assert_eq!((refused.status, &*refused.reason()), (404, "not_found"), "{line}");
        assert_eq!(
            (code, message),
            (&json!("RESOURCE_DOES_NOT_EXIST"), &json!(words.replace("id=next", "id=3"))),
            "{line}"
        );
    }
    assert!(stage.reached("POST ", "").is_empty());
}

#[actix_web::test]
async fn what_is_made_a_moment_later_is_not_changed_by_it() {
    let stage = Stage::set().await;
    let gateway = stage.gateway(&[]).await;
    let refused = send(&gateway, "ada", CHANGES[1].0, &body(CHANGES[1].1)).await;
    assert_eq!(refused.status, 404);
    stage.own("3", "bob");
    let refused = send(&gateway, "ada", CHANGES[1].0, &body(CHANGES[1].1)).await;
    assert_eq!((refused.status, &*refused.reason()), (403, "not_owner"));
    assert!(stage.reached("POST ", "").is_empty());
}

#[actix_web::test]
async fn where_nothing_is_refused_it_is_mlflows_to_answer() {
    for mode in ["report", "off"] {
        let stage = Stage::set().await;
        let gateway = stage.gateway(&[("POLICY__OWNERSHIP", mode)]).await;
        for (line, field, _) in CHANGES {
            assert_eq!(send(&gateway, "ada", line, &body(field)).await.status, 200, "{mode} {line}");
        }
        assert_eq!(stage.reached("POST ", "").len(), CHANGES.len(), "{mode}");
    }
}
