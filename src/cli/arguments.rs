//! Reads the command line. An error message quotes no argument: it may be a key.

use clap::{
    Error, Parser as _,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::Cli;

/// Replaces an argument.
const HIDDEN: &str = "…";

/// Reads the command line; help and mistakes are printed, and end the process.
pub fn read() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| hide(error).exit())
}

fn hide(mut error: Error) -> Error {
    let mut quoted =
        vec![ContextKind::InvalidSubcommand, ContextKind::InvalidValue, ContextKind::TrailingArg];
    // In other errors it is an argument that exists.
    if error.kind() == ErrorKind::UnknownArgument {
        quoted.push(ContextKind::InvalidArg);
    }
    for kind in quoted {
        if error.get(kind).is_some() {
            error.insert(kind, ContextValue::String(HIDDEN.to_owned()));
        }
    }
    error.remove(ContextKind::Suggested);
    error
}
