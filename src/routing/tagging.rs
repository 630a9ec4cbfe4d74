//! The words of a row for tags: whether its requests create, set or delete some, and of which subject.

/// How a route changes tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tagging {
    pub change: Change,
    pub subject: Subject,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// `creates`: together with the subject.
    Create,
    /// `sets`: of an existing subject.
    Set,
    /// `deletes`.
    Delete,
}

/// What has protected tags (src/policy/mlflow.tags).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Experiment,
    Model,
    Version,
    Trace,
}

impl Change {
    const ALL: [Self; 3] = [Self::Create, Self::Set, Self::Delete];

    const fn word(self) -> &'static str {
        match self {
            Self::Create => "creates",
            Self::Set => "sets",
            Self::Delete => "deletes",
        }
    }
}

impl Subject {
    const ALL: [Self; 4] = [Self::Experiment, Self::Model, Self::Version, Self::Trace];

    const fn word(self) -> &'static str {
        match self {
            Self::Experiment => "experiment",
            Self::Model => "model",
            Self::Version => "version",
            Self::Trace => "trace",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|subject| subject.word() == word)
    }
}

impl Tagging {
    /// As in a row: `sets=version`.
    pub fn words(self) -> String {
        format!("{}={}", self.change.word(), self.subject.word())
    }

    pub(super) fn from_words(words: &str) -> Option<Self> {
        let (change, subject) = words.split_once('=')?;
        let change = Change::ALL.into_iter().find(|known| known.word() == change)?;
        Some(Self { change, subject: Subject::from_word(subject)? })
    }
}
