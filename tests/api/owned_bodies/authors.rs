//! Who a new thing says that it is of, and names that are reserved.

use serde_json::{Value, json};

use super::{HER_RUN, MY_RUN, SET_RUN_TAG, WRITER, answer, changes, gateway, post, send};
use crate::support::{Gateway, Server};

#[actix_web::test]
async fn what_is_not_everybodys_is_refused_on_ones_own_things_too() {
    let (mlflow, gateway) = gateway(&WRITER).await;
    let trace = |more: &Value| {
        let location = json!({"mlflow_experiment": {"experiment_id": "1"}});
        let mut info = json!({"trace_id": format!("tr-{}", "0c".repeat(16)), "trace_location": location});
        info.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"trace": {"trace_info": info}})
    };
    let batch = |field: &str, key: &str| json!({"run_id": MY_RUN, field: [{"key": key, "value": "x"}]});
    let (tags, assessments) = ("hokusai.", "assessments of a new trace");
    let author = "mlflow.user of a run or a dataset names the user of the API key";
    let archive = "mlflow.trace.archiveLocation is MLflow's own";
    for (path, body, words) in [
        (SET_RUN_TAG, json!({"run_id": MY_RUN, "key": "hokusai.user", "value": "grace"}), tags),
        (SET_RUN_TAG, json!({"run_id": MY_RUN, "key": "hokusai.writers", "value": "grace"}), tags),
        (SET_RUN_TAG, json!({"run_id": MY_RUN, "key": "mlflow.user", "value": "grace"}), author),
        ("/api/2.0/mlflow/runs/delete-tag", json!({"run_id": MY_RUN, "key": "mlflow.user"}), author),
        ("/api/2.0/mlflow/runs/log-batch", batch("tags", "hokusai.key_id"), tags),
        ("/api/2.0/mlflow/runs/log-batch", batch("tags", "mlflow.user"), author),
        ("/api/3.0/mlflow/datasets/create", json!({"name": "d", "tags": "{\"hokusai.a\": 1}"}), tags),
        (
            "/api/2.0/mlflow/experiments/create",
            json!({"name": "e", "tags": [{"key": "hokusai.owner"}]}),
            tags,
        ),
        (
            "/api/2.0/mlflow/registered-models/create",
            json!({"name": "m", "tags": [{"key": "hokusai.owner"}]}),
            tags,
        ),
        ("/api/3.0/mlflow/traces", trace(&json!({"tags": {"hokusai.user": "x"}})), tags),
        ("/api/3.0/mlflow/traces", trace(&json!({"tags": {"MLflow.trace.archiveLocation": "x"}})), archive),
        (
            "/api/2.0/mlflow/traces",
            json!({"experiment_id": "1", "tags": [{"key": "mlflow.trace.archiveLocation"}]}),
            archive,
        ),
        ("/api/3.0/mlflow/traces", trace(&json!({"assessments": [{"assessment_id": "a-1"}]})), assessments),
        ("/api/3.0/mlflow/traces", trace(&json!({"assessments": [{"overrides": "a-1"}]})), assessments),
    ] {
        // As old clients send it, too.
        for body in [body.clone(), body.to_string().into()] {
            let before = changes(&mlflow).len();
            let response = post(&gateway, path, &body).await;
            let found = (response.status, &*response.reason(), changes(&mlflow).len() - before);
            assert_eq!(found, (403, "not_owner", 0), "{path} {body}: {}", response.text());
            assert!(response.text().contains(words), "{path} {body}: {}", response.text());
        }
    }
    for (path, body) in [
        (SET_RUN_TAG, json!({"run_id": MY_RUN, "key": "mlflow.user", "value": "ada"})),
        ("/api/2.0/mlflow/runs/log-batch", batch("params", "hokusai.rate")),
        ("/api/2.0/mlflow/runs/log-batch", batch("metrics", "hokusai.loss")),
        (
            "/api/2.0/mlflow/runs/log-parameter",
            json!({"run_id": MY_RUN, "key": "hokusai.rate", "value": "hokusai.owner"}),
        ),
        (
            "/api/2.0/mlflow/experiments/set-experiment-tag",
            json!({"experiment_id": "1", "key": "hokusai.writers", "value": "bob"}),
        ),
        ("/api/3.0/mlflow/traces", trace(&json!({"assessments": [{"assessment_name": "a"}]}))),
    ] {
        let response = post(&gateway, path, &body).await;
        assert_eq!(response.status, 200, "{path} {body}: {}", response.text());
    }
}

#[actix_web::test]
async fn a_tag_in_a_path_is_the_gateways_however_it_is_written() {
    let (mlflow, gateway) = gateway(&WRITER).await;
    // MLflow knows no such model or dataset: the name alone is refused.
    for (key, status) in [
        ("hokusai.user", 403),
        ("HOKUSAI.user", 403),
        ("%68okusai.user", 403),
        ("hok%C3%BCsai.user", 403),
        ("%20hokusai.user", 403),
        ("user", 200),
    ] {
        let path = format!("/api/2.0/mlflow/logged-models/m-0c/tags/{key}");
        assert_eq!(send(&gateway, "DELETE", &path, "", b"").await.status, status, "{path}");
    }
    assert_eq!(changes(&mlflow).len(), 1);
}

#[actix_web::test]
async fn nothing_is_reserved_where_things_have_no_owners() {
    let mlflow = Server::start(answer).await;
    let gateway = Gateway::start(&mlflow).await;
    let body = json!({"run_id": HER_RUN, "key": "hokusai.user", "value": "x"});
    assert_eq!(post(&gateway, SET_RUN_TAG, &body).await.status, 200);
}

#[actix_web::test]
async fn a_run_says_whose_key_made_it_whatever_the_client_says() {
    let (mlflow, gateway) = gateway(&WRITER).await;
    let tag = |key: &str, value: &str| json!({"key": key, "value": value});
    let stamps = |more: Vec<Value>| {
        let own =
            [tag("mlflow.user", "ada"), tag("hokusai.user", "ada"), tag("hokusai.key_id", &gateway.key_id)];
        Value::from([own.to_vec(), more].concat())
    };
    for (path, body, expected) in [
        ("/api/2.0/mlflow/runs/create", json!({}), json!({"user_id": "ada", "tags": stamps(vec![])})),
        (
            "/api/2.0/mlflow/runs/create",
            json!({"user_id": "grace", "tags": [tag("a", "b"), tag("mlflow.user", "grace")]}),
            json!({"user_id": "ada", "tags": stamps(vec![tag("a", "b")])}),
        ),
        (
            "/api/2.0/mlflow/runs/create",
            json!({"userId": "grace", "tags": null}),
            json!({"user_id": "ada", "tags": stamps(vec![])}),
        ),
        (
            "/ajax-api/2.0/mlflow/runs/create-promptlab-run",
            json!({"user_id": "grace", "prompt_template": "a"}),
            json!({"user_id": "ada", "prompt_template": "a"}),
        ),
    ] {
        let (mut body, mut expected) = (body, expected);
        body["experiment_id"] = "1".into();
        expected["experiment_id"] = "1".into();
        for body in [body.clone(), body.to_string().into()] {
            let response = post(&gateway, path, &body).await;
            assert_eq!(response.status, 200, "{}", response.text());
            let sent: Value = serde_json::from_slice(&changes(&mlflow).pop().unwrap().body).unwrap();
            assert_eq!(sent, expected, "{path} {body}");
        }
    }
    let response =
        post(&gateway, "/api/2.0/mlflow/runs/create", &json!({"experiment_id": "1", "tags": {}})).await;
    assert_eq!(response.status, 400);
    assert!(response.text().contains("tags that are not a list"), "{}", response.text());
}
