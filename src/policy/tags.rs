//! Protected tags: those with the content of a version, and those that trigger jobs of MLflow's server.

use std::sync::LazyLock;

use serde_json::Value;

use super::collation::Name;
use crate::{
    routing::{Change, Tagged, Tagging},
    vocabulary::RouteClass,
};

/// A protected tag.
#[derive(Debug)]
struct ListedTag {
    /// Without the `*` of a prefix.
    name: &'static str,
    spellings: Name,
    is_prefix: bool,
    is_trigger: bool,
    tagged: Tagged,
    /// The value that anybody may set.
    allowed_value: Option<&'static str>,
}

static LISTED: LazyLock<Vec<ListedTag>> = LazyLock::new(|| read(include_str!("mlflow.tags")));

fn read(text: &'static str) -> Vec<ListedTag> {
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
            let (tagged, allowed_value) =
                word.split_once(':').map_or((word, None), |(tagged, value)| (tagged, Some(value)));
            let tagged = Tagged::from_word(tagged)?;
            let (spellings, is_trigger) = (Name::new(name), section == "[trigger]");
            Some(ListedTag { name, spellings, is_prefix, is_trigger, tagged, allowed_value })
        }));
    }
    listed
}

/// A change of a protected tag, and the class that it requires.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TagChange {
    pub(super) tag: &'static str,
    pub(super) class: RouteClass,
    /// Whether it triggers a job of the server.
    pub(super) is_trigger: bool,
}

/// The first change of a protected tag in a body.
pub(super) fn find(Tagging { change, tagged }: Tagging, body: &Value) -> Option<TagChange> {
    let mut named = Vec::new();
    pairs(body, &mut named);
    let listed = named.iter().find_map(|(key, value)| {
        LISTED.iter().find(|listed| {
            let counts = match change {
                Change::Create => listed.is_trigger,
                Change::Set => listed.allowed_value.is_none() || listed.allowed_value != *value,
                Change::Delete => true,
            };
            counts && listed.tagged == tagged && is(key, listed)
        })
    })?;
    let class = if change == Change::Delete { RouteClass::Delete } else { RouteClass::Admin };
    Some(TagChange { tag: listed.name, class, is_trigger: listed.is_trigger && change != Change::Delete })
}

/// Everything that may be a tag, with its value: `{"key": …, "value": …}`, and every field of an object, for maps of tags.
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

/// Whether a database may take a key for the listed one. MLflow does not check the keys that it deletes.
fn is(key: &str, ListedTag { spellings, is_prefix, .. }: &ListedTag) -> bool {
    if *is_prefix { spellings.begins(key) } else { spellings.is(key) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(change: Change, tagged: Tagged, body: &Value) -> Option<(&'static str, RouteClass)> {
        find(Tagging { change, tagged }, body).map(|found| (found.tag, found.class))
    }

    #[test]
    fn a_change_of_content_is_told_from_a_remark() {
        use Change::{Create, Delete, Set};
        use RouteClass::Admin;
        use Tagged::{Experiment, Model, Trace, Version};
        let (text, schedule) = ("mlflow.prompt.text", "mlflow.issueDetection.schedule");
        for (change, tagged, body, expected) in [
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
            assert_eq!(found(change, tagged, &body), expected, "{change:?} {body}");
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
            assert_eq!(found(Change::Delete, Tagged::Version, &body).is_some(), same, "{key:?}");
        }
        for key in ["mlflow.issueDetection.schedule\u{200b}", "mlflow.latestOnlineScoring\u{ff0e}x"] {
            assert!(found(Change::Delete, Tagged::Experiment, &json!({"key": key})).is_some(), "{key:?}");
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
