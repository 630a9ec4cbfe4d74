//! `benches/budgets.toml`: how many instructions each operation may take.

use std::{collections::BTreeMap, fs};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/budgets.toml");

/// By how many percent a count may differ from its budget.
const TOLERANCE: f64 = 5.0;

const HEAD: &str = "\
# The instructions that each operation of benches/operations may take, give or take 5 %; `make budgets` holds them, and
# `make budgets-record` writes this file. Counted under valgrind, in the profile `measured`; another version of the compiler
# may count otherwise.

";

/// Instructions by the name of the operation.
pub(super) struct Budgets(BTreeMap<String, u64>);

impl Budgets {
    pub(super) fn read() -> Self {
        let text = fs::read_to_string(FILE).unwrap();
        Self(toml::from_str(&text).unwrap_or_else(|error| panic!("{FILE}: {error}")))
    }

    pub(super) fn record(counts: &[(&str, u64)]) {
        let rows: String = counts.iter().map(|(name, counted)| format!("{name} = {counted}\n")).collect();
        fs::write(FILE, format!("{HEAD}{rows}")).unwrap();
    }

    pub(super) fn of(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }

    /// What is wrong with these counts, each with what to do about it.
    pub(super) fn problems(&self, counts: &[(&str, u64)]) -> Vec<String> {
        let judged = counts.iter().filter_map(|(name, counted)| self.judge(name, *counted));
        let is_counted = |name: &str| counts.iter().any(|(counted, _)| *counted == name);
        let gone = self.0.keys().filter(|name| !is_counted(name));
        let gone =
            gone.map(|name| format!("{name} has a budget, and is no operation: `make budgets-record`."));
        judged.chain(gone).collect()
    }

    fn judge(&self, name: &str, counted: u64) -> Option<String> {
        let Some(budget) = self.of(name) else {
            return Some(format!("{name} has no budget: `make budgets-record`."));
        };
        let percent = (counted as f64 / budget as f64 - 1.0) * 100.0;
        if percent > TOLERANCE {
            Some(format!(
                "{name} takes {counted} instructions, {percent:.1} % more than its budget of {budget}. Make it cheaper; or, if it \
                 is worth them, raise the budget with `make budgets-record` and say in the commit what they buy. Where they \
                 go: callgrind_annotate --inclusive=yes {}/callgrind.{name}",
                env!("CARGO_TARGET_TMPDIR")
            ))
        } else if percent < -TOLERANCE {
            Some(format!(
                "{name} takes {counted} instructions, {:.1} % fewer than its budget of {budget}. Keep what was won: lower the \
                 budget with `make budgets-record`.",
                -percent
            ))
        } else {
            None
        }
    }
}
