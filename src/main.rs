//! Parses the command line and hands over.

use std::process::ExitCode;

use hokusai_gateway::cli;
use mimalloc::MiMalloc;

/// A request makes some hundred short-lived allocations: with glibc's allocator they were a seventh of its CPU time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::read().run()
}
