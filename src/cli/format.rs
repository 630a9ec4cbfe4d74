//! How a command tells its result.

use std::io::{self, Write as _};

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
    /// How the result is written to standard output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

impl Output {
    pub(super) fn is_json(self) -> bool {
        self.format == Format::Json
    }
}

/// A reader that has seen enough, such as `head`, is no error.
pub(super) fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

pub(super) fn print_json(value: &serde_json::Value) {
    print(&format!("{value:#}\n"));
}
