use serde_json::json;

use super::*;

fn shrunk(value: Value, length: usize) -> Value {
    let mut body =
        CheckedBody { value: Some(value), length: Some(length), ..CheckedBody::unread(whole(Bytes::new())) };
    body.shrink();
    body.value.unwrap()
}

#[test]
fn requests_of_mlflows_clients_stay_as_they_are_while_mlflow_is_asked() {
    for value in [
        json!({"run_id": "a", "key": "b", "value": "c".repeat(10_000)}),
        json!({"trace": {"trace_info": {"trace_id": "a", "tags": {"b": "c"}, "assessments": [{"name": "d"}]}}}),
        json!({"trace_ids": vec!["a"; 60]}),
    ] {
        assert_eq!(shrunk(value.clone(), 100), value);
    }
}

#[test]
fn of_very_many_values_few_are_kept_and_names_before_lists() {
    let shrunk = shrunk(json!({"metrics": vec![json!({"key": "a"}); 1000], "run_id": "r"}), 20_000);
    assert_eq!(shrunk["run_id"], "r");
    assert!(shrunk["metrics"].as_array().unwrap().len() < 300);
}
