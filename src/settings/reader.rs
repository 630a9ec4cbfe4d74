//! Takes the values out of the merged layers, and collects every problem.

mod tables;

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

/// A setting cannot be used, and the problem is noted: only [`Reader::problem`] makes one of these.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noted(());

/// The merged layers. A value that nobody takes has an unknown key.
pub(crate) struct Reader {
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

    /// A setting that must have a value.
    pub(super) fn value<T: FromText>(&mut self, key: &'static str) -> Result<T, Noted> {
        self.optional(key)?.ok_or_else(|| self.not_set::<T>(key))
    }

    /// A setting that may be left out.
    pub(super) fn optional<T: FromText>(&mut self, key: &'static str) -> Result<Option<T>, Noted> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let text = self.one_text(key, value, T::FORM)?;
        self.parse(key, &text).map(Some)
    }

    /// A setting of earlier versions: nobody is led to it.
    pub(super) fn retired<T: FromText>(&mut self, key: &'static str) -> Result<Option<T>, Noted> {
        let value = self.optional(key);
        self.known.retain(|known| *known != key);
        value
    }

    /// The same text as another type.
    pub(super) fn value_of<T: FromText>(&mut self, key: &str, text: &str) -> Result<T, Noted> {
        self.parse(key, text)
    }

    fn one_text(&mut self, key: &str, value: Value, form: &str) -> Result<String, Noted> {
        let what = "is a list or a table; one value is expected";
        value.into_string().map_err(|_| self.problem(Code::InvalidValue, key, what, form))
    }

    /// A list with at least one item.
    pub(super) fn required_list<T: FromText>(&mut self, key: &'static str) -> Result<Vec<T>, Noted> {
        let list = self.list(key)?;
        if list.is_empty() { Err(self.not_set::<T>(key)) } else { Ok(list) }
    }

    /// A list: an array in a file, separated by commas in the environment.
    pub(super) fn list<T: FromText>(&mut self, key: &'static str) -> Result<Vec<T>, Noted> {
        self.take(key).map_or_else(|| Ok(Vec::new()), |value| self.items(key, value))
    }

    /// A table of lists, by the names after `key` and a dot.
    pub(super) fn table_of_lists<T: FromText>(
        &mut self,
        key: &'static str,
    ) -> Result<BTreeMap<String, Vec<T>>, Noted> {
        self.known.push(key);
        let prefix = format!("{key}.");
        let lists: Vec<_> = self.values.extract_if(.., |key, _| key.starts_with(&prefix)).collect();
        // Every list is tried, so that all wrong ones are named.
        let lists: Vec<_> = lists
            .into_iter()
            .map(|(key, value)| {
                let shown = self.presentable(&key);
                self.found.insert(shown.clone(), Self::describe(&value));
                Ok((key[prefix.len()..].to_owned(), self.items(&shown, value)?))
            })
            .collect();
        lists.into_iter().collect()
    }

    fn items<T: FromText>(&mut self, key: &str, value: Value) -> Result<Vec<T>, Noted> {
        let items = match value.kind {
            ValueKind::Array(items) => items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>(),
            kind => kind.to_string().split(',').map(|item| item.trim().to_owned()).collect(),
        };
        // Every item is tried, so that all wrong ones are named.
        let parsed: Vec<_> = items.iter().map(|item| self.parse(key, item)).collect();
        parsed.into_iter().collect()
    }

    /// A secret, from `key` or from the file of `file_key`. Its value is never shown.
    pub(super) fn secret(
        &mut self,
        key: &'static str,
        file_key: &'static str,
    ) -> Result<Option<SecretString>, Noted> {
        let direct = self.take_secret(key);
        let direct = direct.map(|value| self.one_text(key, value, SecretString::FORM)).transpose()?;
        let Some(secret) = self.this_or_file(direct, key, file_key)? else { return Ok(None) };
        self.not_empty(key, &secret)?;
        Ok(Some(secret.into()))
    }

    /// Secrets, the newest first: a list, or the lines of the file of `file_key`.
    pub(super) fn secrets(
        &mut self,
        key: &'static str,
        file_key: &'static str,
    ) -> Result<Vec<SecretString>, Noted> {
        let direct = self.take_secret(key);
        let direct = direct.map(|value| self.items::<String>(key, value)).transpose()?;
        let direct = direct.map(|secrets| secrets.join("\n"));
        let Some(secrets) = self.this_or_file(direct, key, file_key)? else { return Ok(Vec::new()) };
        let secrets = secrets.lines().map(str::trim);
        secrets.map(|secret| self.not_empty(key, secret).map(|()| secret.into())).collect()
    }

    fn take_secret(&mut self, key: &'static str) -> Option<Value> {
        let value = self.take(key)?;
        self.found.insert(key.to_owned(), format!("(hidden), {}", Self::origin(&value)));
        Some(value)
    }

    fn this_or_file(
        &mut self,
        direct: Option<String>,
        key: &'static str,
        file_key: &'static str,
    ) -> Result<Option<String>, Noted> {
        let path: Option<PathBuf> = self.optional(file_key)?;
        match (direct, path) {
            (Some(_), Some(_)) => {
                let what = format!("is set beside {key}");
                Err(self.problem(Code::DuplicateSetting, file_key, &what, "only one of the two"))
            }
            (direct, None) => Ok(direct),
            (None, Some(path)) => self.secret_in(file_key, &path).map(Some),
        }
    }

    fn not_empty(&mut self, key: &str, secret: &str) -> Result<(), Noted> {
        if secret.is_empty() {
            return Err(self.problem(Code::InvalidValue, key, "is empty", SecretString::FORM));
        }
        Ok(())
    }

    fn secret_in(&mut self, file_key: &str, path: &Path) -> Result<String, Noted> {
        let Secret { text, exposed } = trusted_file::read_secret(path).map_err(|error| {
            let fix = error.fix(path).unwrap_or_else(|| "the path of a file".to_owned());
            self.problem(error.code(), file_key, &error.to_string(), &fix)
        })?;
        if let Some(exposed) = exposed {
            let fix = exposed.fix(path).unwrap_or_default();
            self.warn(exposed.code(), file_key, &exposed.to_string(), &fix);
        }
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    fn not_set<T: FromText>(&mut self, key: &str) -> Noted {
        self.problem(Code::MissingSetting, key, "is required and not set", T::FORM)
    }

    pub(super) fn problem(&mut self, code: Code, key: &str, what: &str, fix: &str) -> Noted {
        let problem = self.about(code, key, what, fix);
        self.problems.push(problem);
        Noted(())
    }

    /// A setting that works, and may not do what the operator expects.
    pub(super) fn warn(&mut self, code: Code, key: &str, what: &str, fix: &str) {
        let warning = self.about(code, key, what, fix);
        self.warnings.push(warning);
    }

    fn about(&self, code: Code, key: &str, what: &str, fix: &str) -> Problem {
        Problem { found: self.found.get(key).cloned(), ..Problem::new(code, key, what, fix.trim_end()) }
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
        let value = self.values.remove(key)?;
        self.found.insert(key.to_owned(), Self::describe(&value));
        Some(value)
    }

    fn parse<T: FromText>(&mut self, key: &str, text: &str) -> Result<T, Noted> {
        T::from_text(text).map_err(|what| self.problem(Code::InvalidValue, key, what, T::FORM))
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
        value.origin().map_or_else(|| "in the settings file".to_owned(), |origin| format!("in {origin}"))
    }
}
