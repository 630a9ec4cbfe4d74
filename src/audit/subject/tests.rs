use serde_json::json;

use super::*;

#[test]
fn names_are_taken_out_of_path_query_and_body() {
    for (pattern, path, query, body, expected) in [
        (
            "/api/2.0/mlflow/runs/delete",
            "/api/2.0/mlflow/runs/delete",
            "",
            json!({"run_id": "r"}),
            json!({"run_id": "r"}),
        ),
        (
            "/a/{trace_id}/b/{tag_key}",
            "/a/t-1/b/k",
            "",
            Value::Null,
            json!({"trace_id": "t-1", "tag_key": "k"}),
        ),
        ("/a/{*artifact_path}", "/a/1/x y/z", "", Value::Null, json!({"artifact_path": "1/x y/z"})),
        (
            "/m/{endpoint_name}:generate",
            "/m/e:generate",
            "",
            Value::Null,
            json!({"endpoint_name": "e:generate"}),
        ),
        (
            "/a",
            "/a",
            "run_uuid=r&path=a%2Fb&token=secret",
            Value::Null,
            json!({"run_uuid": "r", "path": "a/b"}),
        ),
        (
            "/a",
            "/a",
            "",
            json!({"experimentId": "1", "requestIds": ["a", "b"]}),
            json!({"experiment_id": "1", "request_ids": ["a", "b"]}),
        ),
        (
            "/a",
            "/a",
            "name=q",
            json!({"name": "b", "value": "v", "secret_value": {"api_key": "s"}, "tags": []}),
            json!({"name": "b"}),
        ),
        (
            "/a/{model_id}",
            "/a/m-theirs",
            "model_id=q",
            json!({"model_id": "m-mine"}),
            json!({"model_id": "m-theirs"}),
        ),
        (
            "/a",
            "/a",
            "run_uuid=first&run_uuid=second&runUuid=third",
            Value::Null,
            json!({"run_uuid": "first"}),
        ),
        ("/a", "/a", "key=of-another-service", Value::Null, json!({})),
        ("/a", "/a", "name=y%20hk_test_z", Value::Null, json!({"name": "y hk_test_z"})),
        (
            "/a/{*artifact_path}",
            "/a/hk_test_0000000000000000000000000000000/b://c?d#e",
            "",
            Value::Null,
            json!({"artifact_path": "hk_test_…/b://c?d#e"}),
        ),
        ("/a", "/a", "", json!({"name": "https://u:p@a?b#c"}), json!({"name": "https://u:p@a?b#c"})),
        (
            "/a",
            "/a",
            "",
            json!({"source": "s3://u:p@b/c?sig=d#e", "key": "a"}),
            json!({"source": "s3://b/c", "key": "a"}),
        ),
    ] {
        let operation = Operation { pattern, path, query: Some(query), names: Vec::new() };
        assert_eq!(Value::Object(About::of(&operation, Some(&body)).subject), expected, "{pattern}");
    }
}

const NOWHERE: Operation<'_> = Operation { pattern: "/a", path: "/a", query: None, names: Vec::new() };

fn name<'a>(field: &'a str, id: &'a str, is_listed: bool) -> Name<'a> {
    Name { field, id, is_listed }
}

#[test]
fn what_the_table_names_comes_before_what_the_request_says_beside_it() {
    let body = json!({"run_id": "of-the-body", "model_id": "m-0", "name": "n", "version": "3"});
    for (names, expected) in [
        (vec![name("run_id", "r", false)], json!({"run_id": "r"})),
        (vec![name("model_id", "m-1", true)], json!({"model_id": ["m-1"]})),
        (
            vec![name("name", "a", false), name("model_id", "m-1", true), name("model_id", "m-2", true)],
            json!({"name": "a", "model_id": ["m-1", "m-2"]}),
        ),
        (vec![name("run_id", "a", false), name("run_id", "b", false)], json!({"run_id": ["a", "b"]})),
        (
            vec![name("artifact_location", "s3://u:p@b/c?sig=d", false)],
            json!({"artifact_location": "s3://b/c"}),
        ),
    ] {
        let mut all = body.clone();
        all.as_object_mut().unwrap().extend(expected.as_object().unwrap().clone());
        let operation = Operation { names, ..NOWHERE };
        assert_eq!(Value::Object(About::of(&operation, Some(&body)).subject), all);
    }
}

#[test]
fn an_owner_is_a_text_null_or_a_list_and_is_absent_where_nothing_was_judged() {
    let key = format!("hk_test_{}", "0".repeat(33));
    for (owners, expected) in [
        (vec![], None),
        (vec![None], Some(Value::Null)),
        (vec![Some("acme")], Some(json!("acme"))),
        (vec![Some("acme"), Some("acme")], Some(json!("acme"))),
        (vec![Some("acme"), None, Some("bob"), None], Some(json!(["acme", null, "bob"]))),
        (vec![Some(&*key)], Some(json!("hk_test_…"))),
    ] {
        assert_eq!(About::default().owned_by(owners.into_iter()).owner, expected);
    }
    let many: Vec<String> = (0..100).map(|number| format!("{number}{}", "x".repeat(1000))).collect();
    let owner = About::default().owned_by(many.iter().map(|owner| Some(&**owner))).owner.unwrap();
    assert_eq!(owner.as_array().unwrap().len(), MOST);
    assert_eq!(owner[0].as_str().unwrap().len(), LONGEST);
}

#[test]
fn what_is_long_is_cut_and_what_is_much_is_left_out() {
    let body = json!({"name": "x".repeat(1000), "run_ids": vec!["r"; 1000], "trace_ids": [["a"]]});
    let kept = About::of(&NOWHERE, Some(&body)).subject;
    assert_eq!(kept["name"].as_str().unwrap().len(), LONGEST);
    assert_eq!(kept["run_ids"].as_array().unwrap().len(), MOST);
    assert_eq!(kept["trace_ids"], json!([]));
    for character in ["x", "\"", "\u{1}", "é"] {
        for value in [json!(character.repeat(600)), json!([character.repeat(600)])] {
            let names = (0..1000).map(|number| (format!("a{number}_id"), value.clone()));
            let kept = About::of(&NOWHERE, Some(&Value::Object(names.collect()))).subject;
            assert!(Value::Object(kept).to_string().len() < ROOM + 1024, "{value:.20}");
        }
    }
}
