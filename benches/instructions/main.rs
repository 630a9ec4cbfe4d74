//! How many instructions each operation takes, held against `benches/budgets.toml` (`make budgets`).
//!
//! A clock says something else on every machine and in every minute. Instructions under callgrind repeat within a
//! percent: as far as libraries choose their code by it, valgrind shows every x86-64 host that has AVX2 the same processor.
//! It has no SHA extensions, so that a digest weighs more here than it does in production.

#![expect(clippy::unwrap_used, reason = "what is wrong with an operation ends the run")]
#![expect(clippy::print_stdout, reason = "it is a command")]

mod budgets;
mod callgrind;
#[path = "../operations/mod.rs"]
mod operations;

use std::{env, process::ExitCode};

use budgets::Budgets;
use operations::{ALL, Operation};

fn main() -> ExitCode {
    // Cargo puts its own first.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => hold(),
        ["--record"] => record(),
        [callgrind::RUN, name] => callgrind::run(name),
        _ => panic!("{arguments:?} is nothing that can be asked; --record is"),
    }
}

/// How many instructions each operation takes.
fn counts() -> Vec<(&'static str, u64)> {
    ALL.map(|Operation { name, .. }| (name, callgrind::count(name))).into()
}

fn hold() -> ExitCode {
    let budgets = Budgets::read();
    let counts = counts();
    println!("{:<34} {:>12} {:>12}", "instructions", "counted", "budget");
    for (name, counted) in &counts {
        let budget = budgets.of(name).map_or_else(|| "none".to_owned(), |budget| budget.to_string());
        println!("{name:<34} {counted:>12} {budget:>12}");
    }
    if !callgrind::is_comparable() {
        println!(
            "\nThe budgets are for x86-64 with AVX2, which this machine has not: they are not held here."
        );
        return ExitCode::SUCCESS;
    }
    let problems = budgets.problems(&counts);
    for problem in &problems {
        println!("\n{problem}");
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn record() -> ExitCode {
    assert!(
        callgrind::is_comparable(),
        "budgets are recorded on x86-64 with AVX2, which this machine has not"
    );
    Budgets::record(&counts());
    ExitCode::SUCCESS
}
