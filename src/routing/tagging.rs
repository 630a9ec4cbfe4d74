//! The words of a row for tags: whether its requests create, set or delete some, and of what.

use crate::vocabulary::words;

/// How a route changes tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tagging {
    pub change: Change,
    pub tagged: Tagged,
}

words! {
    pub enum Change {
        /// Together with the subject.
        Create = "creates",
        /// Of an existing subject.
        Set = "sets",
        Delete = "deletes",
    }
}

words! {
    /// What has protected tags (src/policy/mlflow.tags).
    pub enum Tagged {
        Experiment = "experiment",
        Model = "model",
        Version = "version",
        Trace = "trace",
    }
}

impl Tagging {
    /// As in a row: `sets=version`.
    pub fn words(self) -> String {
        format!("{}={}", self.change.word(), self.tagged.word())
    }

    pub(super) fn from_words(words: &str) -> Option<Self> {
        let (change, subject) = words.split_once('=')?;
        Some(Self { change: Change::from_word(change)?, tagged: Tagged::from_word(subject)? })
    }
}
