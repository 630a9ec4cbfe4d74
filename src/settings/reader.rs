//! Takes the values out of the merged layers, and collects every problem.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use config::{Value, ValueKind};
use secrecy::SecretString;

use super::{
    problem::{Problem, Problems},
    sources::Layers,
    unread,
    value::FromText,
};
use crate::{
    code::Code,
    trusted_file::{self, Secret},
};

/// The similarity from which a name counts as a misprint of a key, and not as a secret; 1 is equal.
const LIKENESS: f64 = 0.6;

/// The merged layers. A value that nobody takes has an unknown key.
pub(super) struct Reader {
    values: BTreeMap<String, Value>,
    known: Vec<&'static str>,
    /// Where each value was found, and its form, for problems.
    found: BTreeMap<String, String>,
    problems: Problems,
    warnings: Vec<Problem>,
    unread: Vec<String>,
}

impl Reader {
    pub(super) fn new(Layers { values, warnings, unread }: Layers) -> Self {
        let (known, found) = (Vec::new(), BTreeMap::new());
        Self { values, known, found, problems: Problems::default(), warnings, unread }
    }

    /// A setting that must have a value. `None` after a problem was noted.
    pub(super) fn value<T: FromText>(&mut self, key: &'static str) -> Option<T> {
        match self.optional(key)? {
            Some(value) => Some(value),
            None => {
                self.problem(Code::MissingSetting, key, "is required and not set", T::FORM);
                None
            }
        }
    }

    /// A setting that may be left out: `Some(None)`. `None` after a problem was noted.
    #[expect(clippy::option_option, reason = "not set and not usable are two things")]
    pub(super) fn optional<T: FromText>(&mut self, key: &'static str) -> Option<Option<T>> {
        let Some(value) = self.take(key) else { return Some(None) };
        match value.into_string() {
            Ok(text) => self.parse(key, &text).map(Some),
            Err(_) => {
                self.problem(Code::BadValue, key, "is a list or a table; one value is expected", T::FORM);
                None
            }
        }
    }

    /// A list with at least one item. `None` after a problem was noted.
    pub(super) fn required_list<T: FromText>(&mut self, key: &'static str) -> Option<Vec<T>> {
        let list = self.list(key)?;
        if list.is_empty() {
            self.problem(Code::MissingSetting, key, "is required and not set", T::FORM);
            return None;
        }
        Some(list)
    }

    /// A list: an array in a file, separated by commas in the environment.
    pub(super) fn list<T: FromText>(&mut self, key: &'static str) -> Option<Vec<T>> {
        let Some(value) = self.take(key) else { return Some(Vec::new()) };
        self.items(key, value)
    }

    /// A table of lists, by the names after `key` and a dot.
    pub(super) fn table_of_lists<T: FromText>(
        &mut self,
        key: &'static str,
    ) -> Option<BTreeMap<String, Vec<T>>> {
        self.known.push(key);
        let prefix = format!("{key}.");
        let inside = |candidate: &String| candidate.starts_with(&prefix);
        let keys: Vec<String> = self.values.keys().filter(|key| inside(key)).cloned().collect();
        let mut table = Some(BTreeMap::new());
        for key in keys {
            let shown = self.presentable(&key);
            let items = self.remove(&key).and_then(|value| {
                self.found.insert(shown.clone(), Self::describe(&value));
                self.items(&shown, value)
            });
            // Every list is tried, so that all wrong ones are named.
            table = table.zip(items).map(|(mut table, items)| {
                table.insert(key[prefix.len()..].to_owned(), items);
                table
            });
        }
        table
    }

    fn items<T: FromText>(&mut self, key: &str, value: Value) -> Option<Vec<T>> {
        let items = match value.kind {
            ValueKind::Array(items) => items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>(),
            kind => kind.to_string().split(',').map(|item| item.trim().to_owned()).collect(),
        };
        // Every item is tried, so that all wrong ones are named.
        let parsed: Vec<Option<T>> = items.iter().map(|item| self.parse(key, item)).collect();
        parsed.into_iter().collect()
    }

    /// A secret, from `key` or from the file of `file_key`. Its value is never shown.
    #[expect(clippy::option_option, reason = "not set and not usable are two things")]
    pub(super) fn secret(
        &mut self,
        key: &'static str,
        file_key: &'static str,
    ) -> Option<Option<SecretString>> {
        let direct = self.take(key);
        if let Some(value) = &direct {
            self.found.insert(key.to_owned(), format!("(hidden), {}", Self::origin(value)));
        }
        let direct = match direct.map(Value::into_string) {
            None => None,
            Some(Ok(text)) => Some(text),
            Some(Err(_)) => {
                self.problem(
                    Code::BadValue,
                    key,
                    "is a list or a table; one value is expected",
                    SecretString::FORM,
                );
                return None;
            }
        };
        let path: Option<PathBuf> = self.optional(file_key)?;
        let secret = match (direct, path) {
            (Some(_), Some(_)) => {
                self.problem(
                    Code::SetTwice,
                    file_key,
                    &format!("is set beside {key}"),
                    "only one of the two",
                );
                return None;
            }
            (Some(text), None) => text,
            (None, Some(path)) => self.secret_in(file_key, &path)?,
            (None, None) => return Some(None),
        };
        if secret.is_empty() {
            self.problem(Code::BadValue, key, "is empty", SecretString::FORM);
            return None;
        }
        Some(Some(secret.into()))
    }

    /// `None` after a problem was noted.
    fn secret_in(&mut self, file_key: &str, path: &Path) -> Option<String> {
        match trusted_file::read_secret(path) {
            Ok(Secret { text, exposed }) => {
                if let Some(exposed) = exposed {
                    self.warn(
                        exposed.code(),
                        file_key,
                        &exposed.to_string(),
                        &exposed.fix(path).unwrap_or_default(),
                    );
                }
                Some(text.trim_end_matches(['\r', '\n']).to_owned())
            }
            Err(error) => {
                let fix = error.fix(path);
                self.problem(
                    error.code(),
                    file_key,
                    &error.to_string(),
                    fix.as_deref().unwrap_or("the path of a file"),
                );
                None
            }
        }
    }

    pub(super) fn problem(&mut self, code: Code, key: &str, what: &str, fix: &str) {
        let problem = self.about(code, key, what, fix);
        self.problems.push(problem);
    }

    /// A setting that works, and may not do what the operator expects.
    pub(super) fn warn(&mut self, code: Code, key: &str, what: &str, fix: &str) {
        let warning = self.about(code, key, what, fix);
        self.warnings.push(warning);
    }

    fn about(&self, code: Code, key: &str, what: &str, fix: &str) -> Problem {
        Problem {
            code,
            key: key.to_owned(),
            found: self.found.get(key).cloned(),
            what: what.to_owned(),
            fix: fix.trim_end().to_owned(),
        }
    }

    /// Every problem, one for each unknown key included, and every warning.
    pub(super) fn finish(mut self) -> (Problems, Vec<Problem>) {
        for (key, value) in std::mem::take(&mut self.values) {
            let near = self
                .known
                .iter()
                .max_by(|a, b| strsim::jaro_winkler(a, &key).total_cmp(&strsim::jaro_winkler(b, &key)));
            let fix = near.map_or_else(String::new, |near| format!("{near}, or nothing"));
            // It may be a secret under a mistyped name, or in place of the name.
            let key = self.presentable(&key);
            self.found.insert(key.clone(), Self::origin(&value));
            self.problem(Code::UnknownSetting, &key, "is not a setting", &fix);
        }
        self.warnings.extend(self.unread.iter().map(|name| unread::warning(name, &self.known)));
        (self.problems, self.warnings)
    }

    pub(super) fn into_problems(self) -> Problems {
        self.problems
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.remove(key)
    }

    fn remove(&mut self, key: &str) -> Option<Value> {
        let value = self.values.remove(key)?;
        self.found.insert(key.to_owned(), Self::describe(&value));
        Some(value)
    }

    fn parse<T: FromText>(&mut self, key: &str, text: &str) -> Option<T> {
        match T::from_text(text) {
            Ok(value) => Some(value),
            Err(what) => {
                self.problem(Code::BadValue, key, what, T::FORM);
                None
            }
        }
    }

    /// A key for a message, without the parts that resemble no known key.
    fn presentable(&self, key: &str) -> String {
        let known: Vec<&str> = self.known.iter().flat_map(|key| key.split('.')).collect();
        let is_like = |part: &str| {
            known.iter().any(|known| strsim::normalized_damerau_levenshtein(known, part) >= LIKENESS)
        };
        let parts = key.split('.').map(|part| if is_like(part) { part } else { "…" });
        parts.collect::<Vec<_>>().join(".")
    }

    /// Where a text is and its length, never the text: a secret may be under any name. Numbers and booleans are shown.
    fn describe(value: &Value) -> String {
        let what = match &value.kind {
            ValueKind::Boolean(_) | ValueKind::I64(_) | ValueKind::U64(_) | ValueKind::Float(_) => {
                value.to_string()
            }
            ValueKind::String(text) => format!("a text of {} characters", text.chars().count()),
            ValueKind::Array(items) => format!("a list of {}", items.len()),
            _ => "something else".to_owned(),
        };
        format!("{what}, {}", Self::origin(value))
    }

    fn origin(value: &Value) -> String {
        value.origin().map_or_else(|| "in the defaults".to_owned(), |origin| format!("in {origin}"))
    }
}
