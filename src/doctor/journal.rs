//! The results of the checks: printed as they come in, and kept for the end.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Instant,
};

use serde_json::{Value, json};

use super::{Fault, Finding, quotation::without_secrets};
use crate::code::EXPLAINED_IN;

/// The longest text of a result, in characters.
const LONGEST: usize = 400;

/// The results so far, without the secrets that it was given.
#[derive(Debug)]
pub(crate) struct Journal {
    /// Prints a line as soon as there is a result.
    print: Option<fn(&str)>,
    secrets: Vec<String>,
    checks: Vec<Value>,
}

impl Journal {
    pub(crate) fn new(print: Option<fn(&str)>, mut secrets: Vec<String>) -> Self {
        // A secret may be a part of a longer one.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.retain(|secret| !secret.is_empty());
        Self { print, secrets, checks: Vec::new() }
    }

    /// Runs a check and records its result. Returns its value, unless it failed.
    pub(super) async fn check<T>(&mut self, name: &str, work: impl Future<Output = Finding<T>>) -> Option<T> {
        progress(&format!("…    {name}"));
        let began = Instant::now();
        let outcome = work.await;
        let ms = began.elapsed().as_millis() as u64;
        progress("");
        match outcome {
            Ok((value, found)) => {
                let found = self.printable(&found);
                self.line(&format!("ok    {name:<34} {found}\n"));
                self.checks.push(json!({ "check": name, "outcome": "ok", "found": found, "ms": ms }));
                Some(value)
            }
            Err(Fault { code, what, cause, fix }) => {
                let [what, cause, fix] = [what, cause, fix].map(|text| self.printable(&text));
                self.line(&format!(
                    "FAIL  {name:<34} {code} {what}\n      cause: {cause}\n      fix:   {fix}\n"
                ));
                self.checks.push(json!({
                    "check": name, "outcome": "failed", "code": code.text(), "found": what, "cause": cause, "fix": fix, "ms": ms,
                }));
                None
            }
        }
    }

    /// Records a check that cannot be made.
    pub(super) fn skip(&mut self, name: &str, why: &str) {
        self.line(&format!("skip  {name:<34} {why}\n"));
        self.checks.push(json!({ "check": name, "outcome": "skipped", "found": why }));
    }

    pub(crate) fn failures(&self) -> usize {
        self.count("failed")
    }

    fn count(&self, outcome: &str) -> usize {
        self.checks.iter().filter(|check| check["outcome"] == outcome).count()
    }

    /// Every check, in order.
    pub(crate) fn checks(&self) -> &[Value] {
        &self.checks
    }

    /// The numbers of checks that passed, failed and were skipped, and where the codes are explained.
    pub(crate) fn summary(&self) -> String {
        let [passed, failed, skipped] = ["ok", "failed", "skipped"].map(|outcome| self.count(outcome));
        let explained = if failed == 0 { String::new() } else { format!("; codes: {EXPLAINED_IN}") };
        format!("{passed} passed, {failed} failed, {skipped} skipped{explained}")
    }

    fn line(&self, text: &str) {
        if let Some(print) = self.print {
            print(text);
        }
    }

    /// Texts of other programs may hold the key, and control characters.
    fn printable(&self, text: &str) -> String {
        let text = without_secrets(text, &self.secrets);
        let mut printed: String = text.chars().take(LONGEST + 1).collect();
        if printed.chars().count() > LONGEST {
            printed.pop();
            printed.push('…');
        }
        printed
    }
}

/// Shows what is under way, if standard error is a terminal. The next line replaces this one.
pub(crate) fn progress(text: &str) {
    let mut terminal = io::stderr();
    if terminal.is_terminal() {
        let _ = write!(terminal, "\r\x1b[K{text}");
        let _ = terminal.flush();
    }
}
