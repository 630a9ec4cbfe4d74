//! One mistake in the settings, and all of them.

use std::fmt;

use super::sources;
use crate::code::{Code, EXPLAINED_IN};

/// A problem with a setting, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub code: Code,
    /// The dotted key, `mlflow.url`; empty when a whole file is at fault.
    pub key: String,
    /// Where the value is, and its form or, if it cannot be a secret, the value itself.
    pub found: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub fix: String,
}

impl Problem {
    pub(crate) fn new(code: Code, key: &str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { code, key: key.to_owned(), found: None, what: what.into(), fix: fix.into() }
    }

    /// Adds what was found there.
    pub(crate) fn with_found(self, found: impl ToString) -> Self {
        Self { found: Some(found.to_string()), ..self }
    }

    /// The environment variables for the key.
    pub fn variables(&self) -> Vec<String> {
        // What is in a list of tables has none.
        if self.key.is_empty() || self.key.contains('[') { Vec::new() } else { sources::variables(&self.key) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(f, "{} {}", self.code, self.what)?;
        } else if self.variables().is_empty() {
            write!(f, "{} {}: {}", self.code, self.key, self.what)?;
        } else {
            write!(f, "{} {} ({}): {}", self.code, self.key, self.variables().join(" or "), self.what)?;
        }
        if let Some(found) = &self.found {
            write!(f, "\n    found: {found}")?;
        }
        write!(f, "\n    write: {}", self.fix)
    }
}

/// Every problem that was found, in the order of the settings.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    pub fn extend(&mut self, more: impl IntoIterator<Item = Problem>) {
        self.0.extend(more);
    }

    /// The value of a result; a problem is kept.
    pub fn note<T>(&mut self, outcome: Result<T, Problem>) -> Option<T> {
        outcome.map_err(|problem| self.push(problem)).ok()
    }

    /// `value`, unless there is a problem.
    ///
    /// # Errors
    /// The problems themselves.
    pub fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}")?;
        }
        let plural = if self.0.len() == 1 { "" } else { "s" };
        write!(f, "{} problem{plural} in the settings; codes: {EXPLAINED_IN}", self.0.len())
    }
}

impl std::error::Error for Problems {}
