//! What is believed of MLflow's answer to a create.

use serde_json::json;

use super::stage::{Stage, log, send};
use crate::support::server::Answer;

#[actix_web::test]
async fn a_trace_that_was_not_started_is_asked_for() {
    let stage = Stage::set().await;
    stage.answer(|request| {
        request.line.starts_with("POST /api/3.0/mlflow/traces ").then(|| Answer::json(400, "{}"))
    });
    let gateway = stage.gateway(&[]).await;
    let start = json!({"trace": {"trace_info": {"trace_id": "tr-new",
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "1"}}}}});
    assert_eq!(send(&gateway, "ada", "POST 3.0/mlflow/traces", &start).await.status, 400);
    stage.put("tr-new", "2");
    let tag = json!({"key": "k", "value": "v"});
    let refused = send(&gateway, "ada", "PATCH 3.0/mlflow/traces/tr-new/tags", &tag).await;
    assert_eq!((refused.status, refused.reason().as_str()), (403, "not_owner"));
}

#[actix_web::test]
async fn only_an_answer_of_200_tells_where_a_new_run_belongs() {
    for status in [201, 400, 409] {
        let stage = Stage::set().await;
        let made = json!({"run": {"info": {"run_id": "b", "experiment_id": "1"}}}).to_string();
        stage.answer(move |request| {
            request.target().ends_with("/runs/create").then(|| Answer::json(status, &made))
        });
        let gateway = stage.gateway(&[]).await;
        let answered =
            send(&gateway, "ada", "POST 2.0/mlflow/runs/create", &json!({"experiment_id": "1"})).await;
        assert_eq!(answered.status, status);
        assert_eq!(log(&gateway, "ada", "b").await.reason(), "not_owner", "{status}");
    }
}
