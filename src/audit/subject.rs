//! What a request is about: the parameters that name runs, experiments, models.

use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::redaction::without_keys;

/// Parameters that name something, besides those that end in `_id` or `_ids`.
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
/// In a query, some clients send their API key under this name.
const NOT_IN_QUERY: &str = "key";
/// Holds a URL, which may contain a password or a signature. Elsewhere `://` is part of a name.
const ADDRESS: &str = "source";
/// Limits: characters of a name and of a value, items of a list, bytes in all.
const LONGEST_NAME: usize = 64;
const LONGEST: usize = 512;
const MOST: usize = 32;
const ROOM: usize = 8 * 1024;

/// Reads the names from the path at MLflow, by its `pattern`; from the body, if it was read; and from the query. The first
/// value of a name counts, as at MLflow.
pub(super) fn subject(pattern: &str, path: &str, query: &str, body: Option<&Value>) -> Map<String, Value> {
    let mut subject = Subject { kept: Map::new(), room: ROOM };
    let mut rest = path;
    for segment in pattern.split('/').skip(1) {
        rest = rest.strip_prefix('/').unwrap_or(rest);
        let (value, behind) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if let Some(name) = segment.strip_prefix("{*").and_then(|name| name.strip_suffix('}')) {
            subject.keep(name.to_owned(), &rest.into());
        } else if let Some(name) = segment.strip_prefix('{').and_then(|name| name.split('}').next()) {
            subject.keep(name.to_owned(), &value.into());
        }
        rest = behind;
    }
    for (name, value) in body.and_then(Value::as_object).into_iter().flatten() {
        let name = snake_case(name);
        if names_something(&name) {
            subject.keep(name, value);
        }
    }
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if names_something(&name) && name != NOT_IN_QUERY {
            subject.keep(name.into_owned(), &value.as_ref().into());
        }
    }
    subject.kept
}

fn names_something(name: &str) -> bool {
    name.len() <= LONGEST_NAME && (name.ends_with("_id") || name.ends_with("_ids") || NAMES.contains(&name))
}

/// The names so far, and the bytes that are left.
struct Subject {
    kept: Map<String, Value>,
    room: usize,
}

impl Subject {
    fn keep(&mut self, name: String, value: &Value) {
        let short = match value {
            Value::Array(items) => Some(items.iter().take(MOST).filter_map(short).collect()),
            Value::String(address) if name == ADDRESS => short(&without_credentials(address).into()),
            value => short(value),
        };
        let Some(value) = short.filter(|_| !self.kept.contains_key(&name)) else { return };
        let size = name.len() + value.to_string().len();
        if size <= self.room {
            self.room -= size;
            self.kept.insert(name, value);
        }
    }
}

/// A value that names one thing, without API keys.
fn short(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => Some(without_keys(text).chars().take(LONGEST).collect::<String>().into()),
        Value::Number(_) | Value::Bool(_) => Some(value.clone()),
        Value::Null | Value::Object(_) | Value::Array(_) => None,
    }
}

/// A URL without user, password and query.
fn without_credentials(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let host = rest.find('/').unwrap_or(rest.len());
    let host = rest[..host].rfind('@').map_or(0, |at| at + 1);
    format!("{scheme}://{}", &rest[host..])
}

/// protobuf's JSON has two spellings of a name; records have one.
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
            assert_eq!(Value::Object(subject(pattern, path, query, Some(&body))), expected, "{pattern}");
        }
    }

    #[test]
    fn what_is_long_is_cut_and_what_is_much_is_left_out() {
        let body = json!({"name": "x".repeat(1000), "run_ids": vec!["r"; 1000], "trace_ids": [["a"]]});
        let kept = subject("/a", "/a", "", Some(&body));
        assert_eq!(kept["name"].as_str().unwrap().len(), LONGEST);
        assert_eq!(kept["run_ids"].as_array().unwrap().len(), MOST);
        assert_eq!(kept["trace_ids"], json!([]));
        let names = (0..1000).map(|number| (format!("a{number}_id"), "x".repeat(600).into()));
        let kept = subject("/a", "/a", "", Some(&Value::Object(names.collect())));
        assert!(Value::Object(kept).to_string().len() < ROOM + 1024);
    }
}
