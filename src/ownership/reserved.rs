//! Names that are the gateway's own: those that begin with `hokusai.`, in any spelling that one of MLflow's databases takes for
//! the same.

use std::sync::LazyLock;

use serde_json::Value;

use super::thing::WRITERS_TAG;
use crate::policy::Name;

static OWN: LazyLock<Name> = LazyLock::new(|| Name::new("hokusai."));
static WRITERS: LazyLock<Name> = LazyLock::new(|| Name::new(WRITERS_TAG));

/// The gateway's own names that a request sets or deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Reserved {
    #[default]
    None,
    /// `hokusai.writers` alone, which the owner may change.
    Writers,
    Any,
}

impl Reserved {
    fn and(self, name: &str) -> Self {
        match self {
            Self::Any => Self::Any,
            before if !OWN.begins(name) => before,
            _ if WRITERS.is(name) => Self::Writers,
            _ => Self::Any,
        }
    }

    /// Looks for them in a body: in the `key` of a tag, and in the names of fields, for maps of tags; in texts that hold JSON
    /// too, as the tags of a dataset do.
    pub(crate) fn in_body(self, body: &Value) -> Self {
        match body {
            Value::Array(items) => items.iter().fold(self, Self::in_body),
            Value::Object(fields) => fields.iter().fold(self, |found, (name, value)| {
                let found = found.and(name);
                let found = match value.as_str() {
                    Some(text) if name == "key" => found.and(text),
                    Some(text) if name == "tags" => found.in_text(text),
                    _ => found,
                };
                found.in_body(value)
            }),
            _ => self,
        }
    }

    /// Looks for them in the last names of a path, such as `tags/{key}`.
    pub(crate) fn in_path(self, path: &str) -> Self {
        path.split('/').fold(self, Self::and)
    }

    fn in_text(self, text: &str) -> Self {
        match serde_json::from_str(text) {
            Ok(value) => self.in_body(&value),
            Err(_) => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_the_gateway_are_found_wherever_tags_can_be() {
        for (body, expected) in [
            (json!({"key": "a", "value": "hokusai.owner"}), Reserved::None),
            (json!({"key": "hokusai", "value": "x"}), Reserved::None),
            (json!({"key": "hokusai.owner"}), Reserved::Any),
            (json!({"key": "HOKUSAI.Owner"}), Reserved::Any),
            (json!({"key": " hokus\u{e4}i.x"}), Reserved::Any),
            (json!({"key": "hokusai.writers", "value": "carol"}), Reserved::Writers),
            (json!({"tags": [{"key": "hokusai.writers"}, {"key": "hokusai.owner"}]}), Reserved::Any),
            (json!({"tags": [{"key": "hokusai.owner"}, {"key": "hokusai.writers"}]}), Reserved::Any),
            (json!({"trace": {"trace_info": {"tags": {"hokusai.user": "x"}}}}), Reserved::Any),
            (json!({"tags": "{\"hokusai.user\": \"x\"}"}), Reserved::Any),
            (json!({"tags": "{"}), Reserved::None),
            (json!({"attributes": {"keys": ["hokusai.owner"]}}), Reserved::None),
        ] {
            assert_eq!(Reserved::None.in_body(&body), expected, "{body}");
        }
        assert_eq!(
            Reserved::None.in_path("/api/2.0/mlflow/logged-models/m/tags/hokusai.user"),
            Reserved::Any
        );
        assert_eq!(Reserved::None.in_path("/api/2.0/mlflow/logged-models/m/tags/user"), Reserved::None);
    }
}
