//! What a request is about, by the names that MLflow gives its parameters.

use serde_json::{Map, Value};
use url::form_urlencoded;

/// Parameters that name something, beside those that end in `_id` and `_ids`.
const NAMES: [&str; 14] = [
    "name",
    "new_name",
    "version",
    "stage",
    "alias",
    "key",
    "path",
    "artifact_path",
    "source",
    "run_uuid",
    "workspace_name",
    "experiment_name",
    "secret_name",
    "rest",
];
/// The longest value that is kept, and the most of a list.
const LONGEST: usize = 512;
const MOST: usize = 100;

/// Takes the names out of a path at MLflow that fits `pattern`, out of its query, and out of its body where that was read.
/// Where one is there twice the body counts, as it does to MLflow.
pub(crate) fn subject(pattern: &str, path: &str, query: &str, body: Option<&Value>) -> Map<String, Value> {
    let mut subject = Map::new();
    let mut rest = path;
    for segment in pattern.split('/').skip(1) {
        rest = rest.strip_prefix('/').unwrap_or(rest);
        let (value, behind) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if let Some(name) = segment.strip_prefix("{*").and_then(|name| name.strip_suffix('}')) {
            keep(&mut subject, name, &rest.into());
        } else if let Some(name) = segment.strip_prefix('{').and_then(|name| name.split('}').next()) {
            keep(&mut subject, name, &value.into());
        }
        rest = behind;
    }
    for (name, value) in form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| names_something(name)) {
        keep(&mut subject, &name, &value.as_ref().into());
    }
    for (name, value) in body.and_then(Value::as_object).into_iter().flatten() {
        if names_something(name) {
            keep(&mut subject, name, value);
        }
    }
    subject
}

fn names_something(name: &str) -> bool {
    let name = snake_case(name);
    name.ends_with("_id") || name.ends_with("_ids") || NAMES.contains(&name.as_str())
}

fn keep(subject: &mut Map<String, Value>, name: &str, value: &Value) {
    if let Some(value) = short(value) {
        subject.insert(snake_case(name), value);
    }
}

/// A value that names one thing, or a few; nothing that holds more.
fn short(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => Some(text.chars().take(LONGEST).collect::<String>().into()),
        Value::Number(_) | Value::Bool(_) => Some(value.clone()),
        Value::Array(items) => Some(items.iter().take(MOST).filter_map(short).collect()),
        Value::Null | Value::Object(_) => None,
    }
}

/// protobuf's JSON has two spellings of a name; here there is one.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
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
        ] {
            assert_eq!(Value::Object(subject(pattern, path, query, Some(&body))), expected, "{pattern}");
        }
    }

    #[test]
    fn what_is_long_is_cut() {
        let body = json!({"name": "x".repeat(1000), "run_ids": vec!["r"; 1000]});
        let subject = subject("/a", "/a", "", Some(&body));
        assert_eq!(subject["name"].as_str().unwrap().len(), LONGEST);
        assert_eq!(subject["run_ids"].as_array().unwrap().len(), MOST);
    }
}
