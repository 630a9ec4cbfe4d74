//! How a command prints its result.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write as _},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use clap::{Args, ValueEnum};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For a person
    Text,
    /// For a program: one JSON document
    Json,
}

#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Output {
    /// The format of the result on standard output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

impl Output {
    pub(super) fn is_json(self) -> bool {
        self.format == Format::Json
    }
}

/// Whether a result could not be written.
static LOST: AtomicBool = AtomicBool::new(false);

/// Writes a result. A closed pipe is no error (`head` closes it). Any other error, such as a full disk, changes the exit
/// status: see [`exit`].
pub(super) fn print(text: &str) {
    if let Err(error) = try_print(text)
        && error.kind() != ErrorKind::BrokenPipe
        && !LOST.swap(true, Ordering::Relaxed)
    {
        print_message(format_args!("the result cannot be written: {error}"));
    }
}

/// Writes a result that cannot be printed again.
///
/// # Errors
/// Every error, a closed pipe too.
pub(super) fn try_print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

pub(super) fn print_json(value: &serde_json::Value) {
    print(&json_text(value));
}

pub(super) fn json_text(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

/// Writes a line for a person to standard error. Ignores a closed pipe.
pub(super) fn print_message(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// The exit status: a failure if a result could not be written.
pub(super) fn exit(code: ExitCode) -> ExitCode {
    if code == ExitCode::SUCCESS && LOST.load(Ordering::Relaxed) { ExitCode::FAILURE } else { code }
}
