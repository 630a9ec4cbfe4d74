//! Arrays of tables, such as `[[auth.issuers]]`: each table has a reader of its own.

use std::collections::{BTreeMap, BTreeSet};

use config::{Value, ValueKind};

use super::{super::sources, Layers, Noted, Reader};
use crate::code::Code;

/// What inner tables have that is gone when their names are joined by dots: a condition that nobody sees would hold for everybody.
fn lost(table: &Value) -> Vec<String> {
    let (mut seen, mut lost, mut inner) = (BTreeSet::new(), Vec::new(), vec![(None::<String>, table)]);
    while let Some((prefix, value)) = inner.pop() {
        match (&value.kind, prefix) {
            (ValueKind::Table(table), prefix) if !table.is_empty() => {
                let join = |name: &String| prefix.iter().chain([name]).cloned().collect::<Vec<_>>().join(".");
                inner.extend(table.iter().map(|(name, value)| (Some(join(name)), value)));
            }
            // The reader of a table that has nothing in it says so itself.
            (ValueKind::Table(_), Some(name)) if name.contains('.') => lost.push(name),
            (ValueKind::Table(_), _) => {}
            (_, Some(name)) if !seen.insert(name.clone()) => lost.push(name),
            _ => {}
        }
    }
    lost
}

impl Reader {
    /// Reads each table. A problem in one is named by the array and by what `label` calls the table, or else its number.
    pub(in crate::settings) fn tables<T>(
        &mut self,
        key: &'static str,
        label: impl Fn(&BTreeMap<String, Value>) -> Option<String>,
        read: impl Fn(&mut Self) -> Result<T, Noted>,
    ) -> Result<Vec<T>, Noted> {
        let Some(value) = self.take(key) else {
            // One table in brackets for one, or variables with numbers.
            let prefix = format!("{key}.");
            let inner = self.values.extract_if(.., |key, _| key.starts_with(&prefix)).count();
            return if inner == 0 { Ok(Vec::new()) } else { Err(self.no_tables(key)) };
        };
        let ValueKind::Array(items) = value.kind else { return Err(self.no_tables(key)) };
        // Every table is read, so that all problems are told.
        let tables: Vec<_> = (1..)
            .zip(items)
            .map(|(number, item)| {
                if !matches!(item.kind, ValueKind::Table(_)) {
                    return Err(self.no_tables(key));
                }
                let lost = lost(&item);
                let mut values = BTreeMap::new();
                sources::flatten(None, item, &mut values);
                let label = label(&values).unwrap_or_else(|| number.to_string());
                let mut table = Self::new(Layers { values, warnings: Vec::new(), unread: Vec::new() });
                let outcome = read(&mut table);
                for name in lost {
                    table.tell_of_lost(&name);
                }
                let (problems, warnings) = table.finish();
                let within = |inner: &str| format!("{key}[{label}].{inner}");
                for mut problem in problems {
                    problem.key = within(&problem.key);
                    self.problems.push(problem);
                }
                for mut warning in warnings {
                    warning.key = within(&warning.key);
                    self.warnings.push(warning);
                }
                outcome
            })
            .collect();
        tables.into_iter().collect()
    }

    fn tell_of_lost(&mut self, name: &str) {
        let is_free = self.known.iter().any(|known| name.split_once('.').is_some_and(|(of, _)| of == *known));
        let name = if is_free { name.to_owned() } else { self.presentable(name) };
        let what = "is an empty table, or is there twice, with a dot and as a table in a table";
        self.problem(Code::InvalidValue, &name, what, "it once, with a value");
    }

    fn no_tables(&mut self, key: &str) -> Noted {
        let fix = format!("[[{key}]] in a file, and the settings of one below it");
        self.problem(Code::InvalidValue, key, "is no list of tables", &fix)
    }

    /// A table of one text or several for each name. Unlike [`Reader::table_of_lists`] a text is not split at its commas.
    pub(in crate::settings) fn table_of_texts(&mut self, key: &'static str) -> BTreeMap<String, Vec<String>> {
        self.known.push(key);
        let prefix = format!("{key}.");
        let texts = self.values.extract_if(.., |key, _| key.starts_with(&prefix));
        let texts = texts.map(|(name, value)| {
            let texts = match value.kind {
                ValueKind::Array(items) => items.iter().map(ToString::to_string).collect(),
                kind => vec![kind.to_string()],
            };
            (name[prefix.len()..].to_owned(), texts)
        });
        texts.collect()
    }

    /// Whether a setting is there at all.
    pub(in crate::settings) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }
}
