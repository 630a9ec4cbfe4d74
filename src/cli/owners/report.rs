//! What `owners set` did, thing by thing and at the end.

use std::process::ExitCode;

use super::{rows::Rows, walk::Found};
use crate::{cli::format::print_message, doctor::progress};

/// What became of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    WouldSet,
    Set,
    /// It, or its writers, are as somebody else wanted them.
    Kept,
    /// MLflow refused.
    NotSet,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::WouldSet, Self::Set, Self::Kept, Self::NotSet];

    const fn word(self) -> &'static str {
        match self {
            Self::WouldSet => "would set",
            Self::Set => "set",
            Self::Kept => "kept",
            Self::NotSet => "not set",
        }
    }
}

pub(super) struct Report {
    rows: Rows,
    seen: usize,
    outcomes: [usize; Outcome::ALL.len()],
}

impl Report {
    pub(super) fn new(rows: Rows) -> Self {
        Self { rows, seen: 0, outcomes: Default::default() }
    }

    pub(super) fn look_at_next(&mut self) {
        self.seen += 1;
        progress(&format!("… {} looked at, {} set", self.seen, self.count(Outcome::Set)));
    }

    pub(super) fn push(&mut self, found: &Found, outcome: Outcome, detail: &str) {
        self.outcomes[outcome as usize] += 1;
        let word = outcome.word();
        self.rows.push(found, &format!("{word} {found}: {detail}"), &[("outcome", word), ("detail", detail)]);
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.outcomes[outcome as usize]
    }

    /// Exit status 1 if something stopped it, or MLflow refused a change.
    pub(super) fn end(self, ended: Result<(), String>, apply: bool) -> ExitCode {
        let counts = Outcome::ALL.map(|outcome| (self.count(outcome), outcome.word()));
        let counts: Vec<_> = counts.iter().filter(|(count, _)| *count > 0).collect();
        let is_well = ended.is_ok() && self.count(Outcome::NotSet) == 0;
        let seen = self.seen;
        self.rows.end();
        if let Err(error) = ended {
            print_message(format_args!("stopped: {error}"));
            if apply {
                print_message("what is set stays so: run the same command again, and it sets the rest");
            }
        }
        let counts: String = counts.iter().map(|(count, word)| format!(", {word} {count}")).collect();
        print_message(format_args!("looked at {seen} experiments and models{counts}"));
        if !apply {
            print_message("nothing was changed: --apply sets them");
        }
        if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
