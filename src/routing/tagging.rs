//! What a row says of tags: whether its requests create, set or delete some, and of what.

/// A route by which tags change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tagging {
    pub change: Change,
    pub subject: Subject,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// `creates`: with what they are tags of.
    Create,
    /// `sets`: of what is there.
    Set,
    /// `deletes`.
    Delete,
}

/// What has tags that are more than a remark (src/policy/mlflow.tags).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Experiment,
    Model,
    Version,
    Trace,
}

impl Subject {
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "experiment" => Self::Experiment,
            "model" => Self::Model,
            "version" => Self::Version,
            "trace" => Self::Trace,
            _ => return None,
        })
    }
}

impl Tagging {
    /// Reads `sets=version`.
    pub(super) fn from_words(words: &str) -> Option<Self> {
        let (change, subject) = words.split_once('=')?;
        let change = match change {
            "creates" => Change::Create,
            "sets" => Change::Set,
            "deletes" => Change::Delete,
            _ => return None,
        };
        Some(Self { change, subject: Subject::from_word(subject)? })
    }
}
