//! What a request is about: what it changes, by the table of routes, and what else its path, query and body say of it.

use serde_json::{Map, Value, map::Entry};
use url::form_urlencoded;

use crate::redaction::without_keys;

/// Fields of a body and parameters of a query that say more, besides those that end in `_id`, `_ids` or `_uuid`.
const DETAILS: [&str; 9] =
    ["name", "version", "stage", "alias", "key", "path", "source", "experiment_name", "secret_name"];
/// In a query, some clients send their API key under this name.
const NOT_IN_QUERY: &str = "key";
/// Hold URLs, which may contain a password or a signature. Elsewhere `://` is part of a name.
const ADDRESSES: [&str; 2] = ["source", "artifact_location"];
/// Limits: characters of a name and of a value, items of a list, bytes in all.
const LONGEST_NAME: usize = 64;
const LONGEST: usize = 512;
const MOST: usize = 32;
const ROOM: usize = 8 * 1024;

/// A request as MLflow sees it: its route's pattern, its path and its query, and the things that the table of routes says
/// it changes.
#[derive(Debug, Clone)]
pub(crate) struct Operation<'a> {
    pub(crate) pattern: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) names: Vec<Name<'a>>,
}

/// The name of a thing that a request changes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name<'a> {
    /// The field, parameter or header that it is in.
    pub(crate) field: &'a str,
    pub(crate) id: &'a str,
    pub(crate) is_listed: bool,
}

/// What a record says of a request's subject.
#[derive(Debug, Clone, Default)]
pub(crate) struct About {
    pub(crate) subject: Map<String, Value>,
    /// `None`: nobody asked. A text, null for what nobody owns, or a list if there are several.
    pub(crate) owner: Option<Value>,
}

impl About {
    /// First the names of what is changed; then those in the path, in the body, if it was read, and in the query. The first
    /// value of a name counts, as at MLflow.
    pub(crate) fn of(operation: &Operation<'_>, body: Option<&Value>) -> Self {
        let mut subject = Subject { kept: Map::new(), room: ROOM };
        subject.keep_names(&operation.names);
        subject.keep_path(operation.pattern, operation.path);
        for (name, value) in body.and_then(Value::as_object).into_iter().flatten() {
            let name = snake_case(name);
            if is_detail(&name) {
                subject.keep(name, value);
            }
        }
        for (name, value) in form_urlencoded::parse(operation.query.unwrap_or_default().as_bytes()) {
            if is_detail(&name) && name != NOT_IN_QUERY {
                subject.keep(name.into_owned(), &value.as_ref().into());
            }
        }
        Self { subject: subject.kept, owner: None }
    }

    /// With the owners of the things that were judged; `None` is nobody. Without any, nothing was judged.
    pub(crate) fn owned_by<'a>(mut self, owners: impl Iterator<Item = Option<&'a str>>) -> Self {
        let mut distinct = Vec::new();
        for owner in owners {
            let owner = owner.and_then(|owner| short(&owner.into())).unwrap_or_default();
            if distinct.len() < MOST && !distinct.contains(&owner) {
                distinct.push(owner);
            }
        }
        self.owner = if distinct.len() > 1 { Some(distinct.into()) } else { distinct.pop() };
        self
    }
}

fn is_detail(name: &str) -> bool {
    let is_id = || ["_id", "_ids", "_uuid"].iter().any(|end| name.ends_with(end));
    name.len() <= LONGEST_NAME && (is_id() || DETAILS.contains(&name))
}

/// The names so far, and the bytes that are left.
struct Subject {
    kept: Map<String, Value>,
    room: usize,
}

impl Subject {
    /// A field with several names, or with a list of them, is a list.
    fn keep_names(&mut self, names: &[Name<'_>]) {
        for (at, Name { field, .. }) in names.iter().enumerate() {
            if names[..at].iter().any(|earlier| earlier.field == *field) {
                continue;
            }
            let same = names[at..].iter().filter(|name| name.field == *field).take(MOST);
            let is_listed = same.clone().any(|name| name.is_listed);
            let mut ids: Vec<Value> = same.map(|name| name.id.into()).collect();
            let is_list = is_listed || ids.len() > 1;
            let value = if is_list { ids.into() } else { ids.pop().unwrap_or_default() };
            self.keep((*field).to_owned(), &value);
        }
    }

    /// The names that the pattern has in the path.
    fn keep_path(&mut self, pattern: &str, path: &str) {
        let mut rest = path;
        for segment in pattern.split('/').skip(1) {
            rest = rest.strip_prefix('/').unwrap_or(rest);
            let (value, behind) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
            if let Some(name) = segment.strip_prefix("{*").and_then(|name| name.strip_suffix('}')) {
                self.keep(name.to_owned(), &rest.into());
            } else if let Some(name) = segment.strip_prefix('{').and_then(|name| name.split('}').next()) {
                self.keep(name.to_owned(), &value.into());
            }
            rest = behind;
        }
    }

    fn keep(&mut self, name: String, value: &Value) {
        let short = match value {
            Value::Array(items) => Some(items.iter().take(MOST).filter_map(short).collect()),
            Value::String(address) if ADDRESSES.contains(&&*name) => {
                short(&without_credentials(address).into())
            }
            value => short(value),
        };
        let size = name.len() + short.as_ref().map_or(0, written);
        if let (Some(value), Entry::Vacant(place)) = (short, self.kept.entry(name))
            && size <= self.room
        {
            self.room -= size;
            place.insert(value);
        }
    }
}

/// A value that names one thing, without API keys.
fn short(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => {
            let mut text = without_keys(text).into_owned();
            if text.len() > LONGEST
                && let Some((end, _)) = text.char_indices().nth(LONGEST)
            {
                text.truncate(end);
            }
            Some(text.into())
        }
        Value::Number(_) | Value::Bool(_) => Some(value.clone()),
        Value::Null | Value::Object(_) | Value::Array(_) => None,
    }
}

/// The most bytes that it is written in.
fn written(value: &Value) -> usize {
    match value {
        Value::String(text) => {
            let escaped = text.bytes().filter(|byte| matches!(byte, b'"' | b'\\' | 0..b' '));
            2 + text.len() + escaped.count() * ("\\u0000".len() - 1)
        }
        Value::Array(items) => items.iter().map(|item| written(item) + 1).sum::<usize>() + 2,
        other => other.to_string().len(),
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
mod tests;
