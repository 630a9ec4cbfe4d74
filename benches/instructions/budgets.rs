//! `benches/budgets.toml`: how many instructions each operation may take, in one table for each toolchain.

use std::{collections::BTreeMap, fmt::Write as _, fs, process::Command};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/budgets.toml");

/// By how many percent a count may exceed its budget.
const TOLERANCE: f64 = 5.0;

const HEAD: &str = "\
# The instructions that each operation of benches/operations may take, plus 5 %, by the `rustc -V` that compiled them: another
# compiler generates other code. `make budgets` checks them, `make budgets-record` writes the table of the running toolchain.
# Counted by callgrind, in the profile `measured`.
";

/// Instructions by operation.
type Counts = BTreeMap<String, u64>;

/// The budgets of the running toolchain; none where nothing is recorded for it.
pub(super) struct Budgets {
    pub(super) toolchain: String,
    recorded: Option<Counts>,
}

impl Budgets {
    pub(super) fn read() -> Self {
        let toolchain = toolchain();
        Self { recorded: all().remove(&toolchain), toolchain }
    }

    /// Replaces the table of the running toolchain; the others stay.
    pub(super) fn record(counts: &[(&str, u64)]) {
        let mut tables = all();
        let counts = counts.iter().map(|(name, counted)| ((*name).to_owned(), *counted));
        tables.insert(toolchain(), counts.collect());
        let mut text = HEAD.to_owned();
        for (toolchain, counts) in tables {
            writeln!(text, "\n[{toolchain:?}]").unwrap();
            for (name, counted) in counts {
                writeln!(text, "{name} = {counted}").unwrap();
            }
        }
        fs::write(FILE, text).unwrap();
    }

    pub(super) fn of(&self, name: &str) -> Option<u64> {
        self.recorded.as_ref()?.get(name).copied()
    }

    pub(super) fn are_recorded(&self) -> bool {
        self.recorded.is_some()
    }

    /// What is wrong with these counts, each with its fix. An improvement never is.
    pub(super) fn problems(&self, counts: &[(&str, u64)]) -> Vec<String> {
        let Some(recorded) = &self.recorded else { return Vec::new() };
        let judged = counts.iter().filter_map(|(name, counted)| self.judge(name, *counted));
        let is_counted = |name: &str| counts.iter().any(|(counted, _)| *counted == name);
        let gone = recorded.keys().filter(|name| !is_counted(name));
        let gone =
            gone.map(|name| format!("{name} has a budget, but is not an operation: `make budgets-record`."));
        judged.chain(gone).collect()
    }

    fn judge(&self, name: &str, counted: u64) -> Option<String> {
        let Some(budget) = self.of(name) else {
            return Some(format!("{name} has no budget: `make budgets-record`."));
        };
        let percent = percent(counted, budget);
        (percent > TOLERANCE).then(|| {
            format!(
                "{name} takes {counted} instructions, {percent:.1} % more than its budget of {budget}. Make it cheaper; or, if it \
                 is worth them, raise the budget with `make budgets-record` and say in the commit what they buy. Where they \
                 go: callgrind_annotate --inclusive=yes {}/callgrind.{name}",
                env!("CARGO_TARGET_TMPDIR")
            )
        })
    }
}

/// By how many percent a count exceeds its budget; negative below it.
pub(super) fn percent(counted: u64, budget: u64) -> f64 {
    (counted as f64 / budget as f64 - 1.0) * 100.0
}

/// The tables of all toolchains.
fn all() -> BTreeMap<String, Counts> {
    let text = fs::read_to_string(FILE).unwrap();
    toml::from_str(&text).unwrap_or_else(|error| panic!("{FILE}: {error}"))
}

/// As `rustc -V` names it.
fn toolchain() -> String {
    let mut rustc = Command::new("rustc");
    let output = rustc.arg("-V").current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.unwrap_or_else(|error| panic!("rustc -V: {error}"));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
