//! Tags that are more than remarks: what a version promises to keep, and what the server acts upon.

use std::sync::LazyLock;

use serde_json::Value;

use super::collation::Name;
use crate::{
    routing::{Change, Subject, Tagging},
    vocabulary::RouteClass,
};

/// A tag that is more than a remark.
#[derive(Debug)]
struct Listed {
    /// Without the `*` of a prefix.
    name: &'static str,
    spellings: Name,
    is_prefix: bool,
    is_order: bool,
    subject: Subject,
    /// The value that may be set all the same.
    but_for: Option<&'static str>,
}

static LISTED: LazyLock<Vec<Listed>> = LazyLock::new(|| read(include_str!("mlflow.tags")));

fn read(text: &'static str) -> Vec<Listed> {
    let (mut section, mut listed) = ("", Vec::new());
    for row in text.lines().map(str::trim).filter(|row| !row.is_empty() && !row.starts_with('#')) {
        if row.starts_with('[') {
            section = row;
            continue;
        }
        let mut words = row.split_whitespace();
        let Some(name) = words.next().filter(|_| section != "[remark]") else { continue };
        let (name, is_prefix) = name.strip_suffix('*').map_or((name, false), |name| (name, true));
        listed.extend(words.filter_map(|word| {
            let (subject, but_for) =
                word.split_once(':').map_or((word, None), |(subject, value)| (subject, Some(value)));
            let subject = Subject::from_word(subject)?;
            let (spellings, is_order) = (Name::new(name), section == "[order]");
            Some(Listed { name, spellings, is_prefix, is_order, subject, but_for })
        }));
    }
    listed
}

/// A change of a tag that wants more than its route does.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) tag: &'static str,
    pub(super) class: RouteClass,
    /// Whether the server would act upon it.
    pub(super) is_order: bool,
}

/// The first such change that a body asks for.
pub(super) fn find(Tagging { change, subject }: Tagging, body: &Value) -> Option<Found> {
    let mut named = Vec::new();
    pairs(body, &mut named);
    let listed = named.iter().find_map(|(key, value)| {
        LISTED.iter().find(|listed| {
            let counts = match change {
                Change::Create => listed.is_order,
                Change::Set => listed.but_for.is_none() || listed.but_for != *value,
                Change::Delete => true,
            };
            counts && listed.subject == subject && is(key, listed)
        })
    })?;
    let class = if change == Change::Delete { RouteClass::Delete } else { RouteClass::Admin };
    Some(Found { tag: listed.name, class, is_order: listed.is_order && change != Change::Delete })
}

/// Whatever may be a tag's key, with its value: `{"key": …, "value": …}`, and every field of an object, for maps of tags.
fn pairs<'a>(body: &'a Value, found: &mut Vec<(&'a str, Option<&'a str>)>) {
    match body {
        Value::Array(items) => items.iter().for_each(|item| pairs(item, found)),
        Value::Object(fields) => {
            if let Some(key) = fields.get("key").and_then(Value::as_str) {
                found.push((key, fields.get("value").and_then(Value::as_str)));
            }
            for (name, value) in fields {
                found.push((name, value.as_str()));
                pairs(value, found);
            }
        }
        _ => {}
    }
}

/// Whether a database may take a key for the listed one: MLflow does not check the keys that it deletes.
fn is(key: &str, Listed { spellings, is_prefix, .. }: &Listed) -> bool {
    if *is_prefix { spellings.begins(key) } else { spellings.is(key) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(change: Change, subject: Subject, body: &Value) -> Option<(&'static str, RouteClass)> {
        find(Tagging { change, subject }, body).map(|found| (found.tag, found.class))
    }

    #[test]
    fn a_change_of_content_is_told_from_a_remark() {
        use Change::{Create, Delete, Set};
        use RouteClass::Admin;
        use Subject::{Experiment, Model, Trace, Version};
        let (text, schedule) = ("mlflow.prompt.text", "mlflow.issueDetection.schedule");
        for (change, subject, body, expected) in [
            (Set, Version, json!({"name": "p", "key": text, "value": "x"}), Some((text, Admin))),
            (Delete, Version, json!({"key": text}), Some((text, RouteClass::Delete))),
            (Create, Version, json!({"tags": [{"key": text}]}), None),
            (Set, Version, json!({"key": "note", "value": text}), None),
            (Set, Version, json!({"key": "mlflow.prompt.texts"}), None),
            (Set, Version, json!({"key": "_mlflow_prompt_model_config"}), None),
            (Set, Model, json!({"key": text, "value": "x"}), None),
            (Set, Model, json!({"key": "mlflow.prompt.is_prompt", "value": "true"}), None),
            (
                Set,
                Model,
                json!({"key": "mlflow.prompt.is_prompt", "value": "false"}),
                Some(("mlflow.prompt.is_prompt", Admin)),
            ),
            (Set, Model, json!({"key": "mlflow.prompt.is_prompt"}), Some(("mlflow.prompt.is_prompt", Admin))),
            (Set, Experiment, json!({"key": schedule, "value": "{}"}), Some((schedule, Admin))),
            (Create, Experiment, json!({"tags": [{"key": "a"}, {"key": schedule}]}), Some((schedule, Admin))),
            (
                Set,
                Experiment,
                json!({"key": "mlflow.latestOnlineScoring.trace.checkpoint"}),
                Some(("mlflow.latestOnlineScoring.", Admin)),
            ),
            (Set, Experiment, json!({"key": "mlflow.note.content"}), None),
            (
                Set,
                Trace,
                json!({"tags": {"mlflow.spansLocation": "x", "mlflow.trace.spansLocation": "x"}}),
                Some(("mlflow.trace.spansLocation", Admin)),
            ),
        ] {
            assert_eq!(found(change, subject, &body), expected, "{change:?} {body}");
        }
    }

    #[test]
    fn a_key_is_compared_as_the_least_exact_database_does() {
        for (key, same) in [
            ("mlflow.prompt.text", true),
            ("MLFLOW.prompt.t\u{e9}xt ", true),
            ("mlflow.prompt.text\u{640}", true),
            ("mlflow.prompt.te\u{640}xt", true),
            ("mlflow.prompt.text\u{1}", true),
            ("mlflow.prompt.te", false),
            ("mlflow.prompt.text.x", false),
            ("", false),
        ] {
            let body = json!({"key": key});
            assert_eq!(found(Change::Delete, Subject::Version, &body).is_some(), same, "{key:?}");
        }
        for key in ["mlflow.issueDetection.schedule\u{200b}", "mlflow.latestOnlineScoring\u{ff0e}x"] {
            assert!(found(Change::Delete, Subject::Experiment, &json!({"key": key})).is_some(), "{key:?}");
        }
    }

    #[test]
    fn the_list_can_be_read() {
        let rows = include_str!("mlflow.tags").lines().map(str::trim);
        let rows = rows.take_while(|row| *row != "[remark]").filter(|row| row.starts_with(['_', 'm']));
        let words: usize = rows.map(|row| row.split_whitespace().count() - 1).sum();
        assert_eq!(LISTED.len(), words);
        assert!(LISTED.iter().all(|listed| listed.name.is_ascii() && listed.name.len() < 64));
    }
}
