//! Unknown scopes of keys. They allow nothing, unless `policy.aliases` defines them. Without this warning, a misprint would show
//! only as a 403.

use std::fmt;

use super::Record;
use crate::settings::{Policy, Scope};

/// An unknown scope, and where it is in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnknownScope {
    line: usize,
    key_id: String,
    word: String,
}

impl UnknownScope {
    /// The unknown scopes of a key, whose table begins at `start` of the file's text.
    pub(super) fn of(record: &Record, text: &str, start: usize) -> Vec<Self> {
        let words = record.scopes.iter().flatten().filter(|word| Scope::from_word(word).is_none());
        // Up to the next table: the parser's span covers the table's header only.
        let table = text.get(start..).unwrap_or_default();
        let table = table.split("\n[[").next().unwrap_or_default();
        let unknown = |word: &String| {
            let quoted =
                ['"', '\''].into_iter().find_map(|quote| table.find(&format!("{quote}{word}{quote}")));
            let at = start + quoted.unwrap_or_default();
            let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
            Self { line, key_id: record.id.clone(), word: word.clone() }
        };
        words.map(unknown).collect()
    }

    pub(crate) fn is_alias(&self, policy: &Policy) -> bool {
        policy.knows(&self.word)
    }

    pub(crate) fn fix(&self) -> String {
        let near = Scope::like(&self.word).map_or("a scope of docs/ACCESS.md", Scope::word);
        format!("{near}; or define the word in policy.aliases")
    }
}

impl fmt::Display for UnknownScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, key_id, word } = self;
        write!(f, "line {line}: `{word}` of the key {key_id} is not a scope, and allows nothing")
    }
}
