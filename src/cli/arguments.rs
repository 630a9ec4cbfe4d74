//! What is said of a command line that cannot be read: nothing that was written there, for it may be a key.

use clap::{
    Error, Parser as _,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::Cli;

/// What stands for a word of the command line.
const HIDDEN: &str = "…";

/// Reads the command line; help and mistakes are printed, and end the process.
pub fn read() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| hide(error).exit())
}

fn hide(mut error: Error) -> Error {
    let mut written =
        vec![ContextKind::InvalidSubcommand, ContextKind::InvalidValue, ContextKind::TrailingArg];
    // Elsewhere it is an argument that there is.
    if error.kind() == ErrorKind::UnknownArgument {
        written.push(ContextKind::InvalidArg);
    }
    for kind in written {
        if error.get(kind).is_some() {
            error.insert(kind, ContextValue::String(HIDDEN.to_owned()));
        }
    }
    error.remove(ContextKind::Suggested);
    error
}
