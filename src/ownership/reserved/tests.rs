use actix_web::http::Method;
use serde_json::json;

use super::*;
use crate::routing::RouteTable;

fn found(pattern: &str, body: &Value) -> Reserved {
    let table = RouteTable::open(None).unwrap();
    let rule = table.rules().iter().find(|rule| &*rule.pattern == pattern && rule.method != Method::GET);
    Reserved::in_request(rule.expect(pattern), "/", Some(body), Some("bob")).unwrap()
}

const SET_RUN_TAG: &str = "/api/2.0/mlflow/runs/set-tag";
const LOG_BATCH: &str = "/api/2.0/mlflow/runs/log-batch";
const SET_EXPERIMENT_TAG: &str = "/api/2.0/mlflow/experiments/set-experiment-tag";
const SET_VERSION_TAG: &str = "/api/2.0/mlflow/model-versions/set-tag";
const START_TRACE: &str = "/api/3.0/mlflow/traces";
const DATASET_TAGS: &str = "/api/3.0/mlflow/datasets/{dataset_id}/tags";

#[test]
fn names_of_the_gateway_are_found_wherever_tags_can_be() {
    use Reserved::{None, Own};
    for (pattern, body, expected) in [
        (SET_RUN_TAG, json!({"key": "a", "value": "hokusai.owner"}), None),
        (SET_RUN_TAG, json!({"key": "hokusai", "value": "x"}), None),
        (SET_RUN_TAG, json!({"key": "hokusai.owner"}), Own),
        (SET_RUN_TAG, json!({"key": "HOKUSAI.Owner"}), Own),
        (SET_RUN_TAG, json!({"key": " hokus\u{e4}i.x"}), Own),
        (LOG_BATCH, json!({"tags": [{"key": "a"}, {"key": "hokusai.key_id"}]}), Own),
        (LOG_BATCH, json!({"metrics": [{"key": "hokusai.loss"}], "params": [{"key": "hokusai.rate"}]}), None),
        (LOG_BATCH, json!({"params": [{"key": "a", "value": "hokusai.owner"}]}), None),
        (LOG_BATCH, json!({"params": {"key": "hokusai.rate"}, "metrics": 1}), Own),
        ("/api/2.0/mlflow/runs/log-parameter", json!({"key": "hokusai.rate", "value": "1"}), None),
        ("/api/2.0/mlflow/runs/log-metric", json!({"key": "hokusai.loss", "value": 1}), None),
        (START_TRACE, json!({"trace": {"trace_info": {"tags": {"hokusai.user": "x"}}}}), Own),
        (DATASET_TAGS, json!({"tags": "{\"a\": {\"hokusai.user\": \"x\"}}"}), Own),
        (DATASET_TAGS, json!({"tags": "{\"hokus\\u0061i.user\": \"x\"}"}), Own),
        (DATASET_TAGS, json!({"tags": "{\"user\": \"hokusai.x\"}"}), None),
        (DATASET_TAGS, json!({"tags": ""}), None),
    ] {
        assert_eq!(found(pattern, &body), expected, "{pattern} {body}");
    }
}

/// MLflow's client copies a version with its tags, and the gateway writes them anew.
#[test]
fn the_author_in_a_create_is_nobodys_to_choose_and_no_reason_to_refuse_it() {
    use Reserved::{None, Own, Owner};
    let tags = |key: &str| json!({"tags": [{"key": "a"}, {"key": key, "value": "x"}]});
    for (pattern, key, expected) in [
        ("/api/2.0/mlflow/model-versions/create", "hokusai.user", None),
        ("/api/2.0/mlflow/model-versions/create", "hokusai.key_id", None),
        ("/api/2.0/mlflow/model-versions/create", "hokusai.User", Own),
        ("/api/2.0/mlflow/model-versions/create", "hokusai.owner", Own),
        ("/api/2.0/mlflow/runs/create", "hokusai.user", None),
        ("/api/2.0/mlflow/logged-models", "hokusai.key_id", None),
        ("/api/2.0/mlflow/registered-models/create", "hokusai.user", Owner),
        ("/ajax-api/2.0/mlflow/runs/create-promptlab-run", "hokusai.user", Own),
        (LOG_BATCH, "hokusai.user", Own),
    ] {
        assert_eq!(found(pattern, &tags(key)), expected, "{pattern} {key}");
    }
}

#[test]
fn whose_a_thing_is_is_told_from_other_names_and_the_list_of_writers_is_the_owners() {
    use Reserved::{Own, Owner, Writers};
    let writers = json!({"key": "hokusai.writers", "value": "carol"});
    let models = ["set-tag", "delete-tag"].map(|end| format!("/api/2.0/mlflow/registered-models/{end}"));
    for (pattern, body, expected) in [
        (SET_EXPERIMENT_TAG, writers.clone(), Writers),
        ("/api/2.0/mlflow/experiments/delete-experiment-tag", writers.clone(), Writers),
        (&models[0], writers.clone(), Writers),
        (&models[1], writers.clone(), Writers),
        (SET_RUN_TAG, writers.clone(), Own),
        (SET_VERSION_TAG, writers.clone(), Own),
        ("/api/2.0/mlflow/experiments/create", json!({"tags": [writers.clone()]}), Owner),
        ("/api/2.0/mlflow/registered-models/create", json!({"tags": [writers.clone()]}), Owner),
        ("/api/2.0/mlflow/registered-models/create", json!({"tags": [{"key": "hokusai.owner"}]}), Owner),
        (SET_EXPERIMENT_TAG, json!({"key": "hokusai.Writers"}), Owner),
        (SET_EXPERIMENT_TAG, json!({"key": "hokusai.writers "}), Owner),
        (SET_EXPERIMENT_TAG, json!({"key": "hokusai.\u{f6}\u{f1}\u{e9}\u{e9}"}), Owner),
        (SET_EXPERIMENT_TAG, json!({"tags": [writers.clone(), {"key": "hokusai.owner"}]}), Owner),
        (SET_EXPERIMENT_TAG, json!({"tags": [{"key": "hokusai.owner"}, writers]}), Owner),
    ] {
        assert_eq!(found(pattern, &body), expected, "{pattern} {body}");
    }
}

#[test]
fn the_user_of_a_run_or_a_dataset_stays_the_user_of_the_key() {
    use Reserved::{Author, None};
    let create = "/api/2.0/mlflow/runs/create";
    for (pattern, body, expected) in [
        (SET_RUN_TAG, json!({"key": "mlflow.user", "value": "alice"}), Author),
        (SET_RUN_TAG, json!({"key": "mlflow.user", "value": "bob"}), None),
        (SET_RUN_TAG, json!({"key": "MLflow.User", "value": "bob"}), Author),
        (SET_RUN_TAG, json!({"key": "mlflow.user"}), Author),
        (SET_RUN_TAG, json!({"key": "mlflow.user.name", "value": "alice"}), None),
        ("/api/2.0/mlflow/runs/delete-tag", json!({"key": "mlflow.user"}), Author),
        (LOG_BATCH, json!({"tags": [{"key": "mlflow.user", "value": "alice"}]}), Author),
        (LOG_BATCH, json!({"params": [{"key": "mlflow.user", "value": "alice"}]}), None),
        // It is written into a create; and of other things it is no authorship.
        (create, json!({"tags": [{"key": "mlflow.user", "value": "alice"}]}), None),
        (SET_EXPERIMENT_TAG, json!({"key": "mlflow.user", "value": "alice"}), None),
        (DATASET_TAGS, json!({"tags": "{\"mlflow.user\": \"alice\"}"}), Author),
        (DATASET_TAGS, json!({"tags": "{\"mlflow.user\": \"bob\", \"a\": \"mlflow.user\"}"}), None),
        ("/api/3.0/mlflow/datasets/create", json!({"tags": "{\"mlflow.user\": \"alice\"}"}), None),
    ] {
        assert_eq!(found(pattern, &body), expected, "{pattern} {body}");
    }
    let table = RouteTable::open(Option::None).unwrap();
    let rule = table.rules().iter().find(|rule| &*rule.pattern == "/api/2.0/mlflow/runs/delete-tag").unwrap();
    let without_user = Reserved::in_request(rule, "/", Some(&json!({"key": "mlflow.user"})), Option::None);
    assert_eq!(without_user, Ok(Author), "a key without a user");
}

#[test]
fn a_new_trace_brings_no_assessments_of_others() {
    let with =
        |assessment: Value| json!({"trace": {"trace_info": {"assessments": [{"name": "a"}, assessment]}}});
    for (body, expected) in [
        (with(json!({"assessment_name": "a", "overrides": ""})), Reserved::None),
        (with(json!({"assessment_id": "a-1"})), Reserved::Assessments),
        (with(json!({"assessmentId": "a-1"})), Reserved::Assessments),
        (with(json!({"overrides": "a-1"})), Reserved::Assessments),
        (json!({"trace": {"traceInfo": {"assessments": [{"overrides": "a"}]}}}), Reserved::Assessments),
        (with(json!({"assessment_id": null})), Reserved::None),
        (json!({"trace": {"trace_info": {"tags": {"overrides": "a"}}}}), Reserved::None),
        (with(json!({"overrides": "a", "key": "hokusai.user"})), Reserved::Assessments),
    ] {
        assert_eq!(found(START_TRACE, &body), expected, "{body}");
    }
    assert_eq!(found(SET_RUN_TAG, &with(json!({"overrides": "a-1"}))), Reserved::None);
}

#[test]
fn the_place_of_an_archive_is_mlflows_and_counts_more_than_other_names_but_for_owners() {
    use Reserved::{Archive, None, Owner};
    let archive = json!({"key": "MLFLOW.trace.archiveLocation ", "value": "x"});
    for (pattern, body, expected) in [
        (
            START_TRACE,
            json!({"trace": {"trace_info": {"tags": {"mlflow.trace.archiveLocation": "x"}}}}),
            Archive,
        ),
        ("/api/2.0/mlflow/traces", json!({"tags": [archive.clone(), {"key": "hokusai.a"}]}), Archive),
        (
            START_TRACE,
            json!({"tags": {"a": "mlflow.trace.archiveLocation", "mlflow.trace.spansLocation": "x"}}),
            None,
        ),
        (SET_EXPERIMENT_TAG, json!({"tags": [archive.clone(), {"key": "hokusai.owner"}]}), Owner),
        (SET_EXPERIMENT_TAG, archive, None),
    ] {
        assert_eq!(found(pattern, &body), expected, "{pattern} {body}");
    }
}

#[test]
fn a_text_of_tags_that_python_may_read_otherwise_is_refused() {
    let table = RouteTable::open(None).unwrap();
    let rule = table.rules().iter().find(|rule| &*rule.pattern == DATASET_TAGS).unwrap();
    for text in ["{", "{\"a\": NaN, \"hokusai.owner\": 1}", "{\"a\": \"\\ud800\"}", "{\"a\": 1e999}"] {
        assert!(Reserved::in_request(rule, "/", Some(&json!({"tags": text})), None).is_err(), "{text}");
    }
}

#[test]
fn a_tag_in_a_path_is_one_only_where_tags_are() {
    let table = RouteTable::open(None).unwrap();
    for (pattern, path, expected) in [
        ("/api/2.0/mlflow/logged-models/{model_id}/tags/{tag_key}", "tags/hokusai.user", Reserved::Own),
        ("/api/2.0/mlflow/logged-models/{model_id}/tags/{tag_key}", "tags/HOKUSAI.user", Reserved::Own),
        ("/api/2.0/mlflow/logged-models/{model_id}/tags/{tag_key}", "tags/hokusai.writers", Reserved::Own),
        ("/api/2.0/mlflow/logged-models/{model_id}/tags/{tag_key}", "tags/user", Reserved::None),
        ("/api/3.0/mlflow/datasets/{dataset_id}/tags/{key}", "tags/hokusai.user", Reserved::Own),
        ("/api/3.0/mlflow/datasets/{dataset_id}/tags/{key}", "tags/mlflow.user", Reserved::Author),
        ("/api/2.0/mlflow/logged-models/{model_id}/tags/{tag_key}", "tags/mlflow.user", Reserved::None),
        (
            "/api/2.0/mlflow-artifacts/artifacts/{*artifact_path}",
            "1/r/artifacts/tags/hokusai.log",
            Reserved::None,
        ),
        ("/api/2.0/mlflow-artifacts/artifacts/{*artifact_path}", "1/r/artifacts/hokusai.log", Reserved::None),
    ] {
        let rule = table.rules().iter().find(|rule| &*rule.pattern == pattern && rule.changes()).unwrap();
        let found = Reserved::in_request(rule, &format!("/{path}"), None, Some("bob"));
        assert_eq!(found, Ok(expected), "{pattern} {path}");
    }
}
