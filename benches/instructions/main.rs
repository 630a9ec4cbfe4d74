//! Counts the instructions of each operation and compares them with `benches/budgets.toml` (`make budgets`).
//!
//! Times differ between machines and from minute to minute. Instructions under callgrind repeat within a percent: libraries
//! that choose their code by the processor see the same one on every x86-64 host with AVX2. It has no SHA extensions, so a
//! digest costs more here than in production.

#![expect(clippy::unwrap_used, reason = "a failing operation ends the run")]
#![expect(clippy::print_stdout, reason = "it is a command")]

mod budgets;
mod callgrind;
#[path = "../operations/mod.rs"]
mod operations;

use std::{env, process::ExitCode};

use budgets::{Budgets, percent};
use operations::{ALL, Operation};

fn main() -> ExitCode {
    // Cargo puts its own first.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => check(),
        ["--record"] => record(),
        [callgrind::RUN, name] => callgrind::run(name),
        _ => panic!("{arguments:?} is not understood; --record is"),
    }
}

/// How many instructions each operation takes.
fn counts() -> Vec<(&'static str, u64)> {
    ALL.map(|Operation { name, .. }| (name, callgrind::count(name))).into()
}

fn check() -> ExitCode {
    let budgets = Budgets::read();
    let counts = counts();
    println!("{:<34} {:>12} {:>12}", "instructions", "counted", "budget");
    for (name, counted) in &counts {
        match budgets.of(name) {
            Some(budget) => {
                println!("{name:<34} {counted:>12} {budget:>12} {:>+6.1} %", percent(*counted, budget));
            }
            None => println!("{name:<34} {counted:>12} {:>12}", "none"),
        }
    }
    if !callgrind::is_comparable() {
        println!("\nNot compared: budgets are for x86-64 with AVX2, which this machine lacks.");
        return ExitCode::SUCCESS;
    }
    if !budgets.are_recorded() {
        println!("\nNot compared: benches/budgets.toml has no table for {}.", budgets.toolchain);
        return ExitCode::SUCCESS;
    }
    let problems = budgets.problems(&counts);
    for problem in &problems {
        println!("\n{problem}");
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn record() -> ExitCode {
    assert!(callgrind::is_comparable(), "budgets are recorded on x86-64 with AVX2, which this machine lacks");
    Budgets::record(&counts());
    ExitCode::SUCCESS
}
