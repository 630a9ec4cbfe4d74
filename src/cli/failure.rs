//! Why a command has no result.

use std::process::ExitCode;

use super::{Refused, format::print_message};
use crate::{auth::key_file::edit::EditError, settings::Problems};

/// Exit status for bad settings (sysexits.h: `EX_USAGE`).
pub(super) const BAD_SETTINGS: u8 = 64;

/// What is printed on standard error, and the exit status.
#[derive(Debug)]
pub(super) struct Failure {
    message: String,
    status: u8,
}

impl Failure {
    /// Exit status 1.
    pub(super) fn new(message: impl ToString) -> Self {
        Self { message: message.to_string(), status: 1 }
    }

    /// Exit status 64.
    pub(super) fn bad_settings(message: impl ToString) -> Self {
        Self { message: message.to_string(), status: BAD_SETTINGS }
    }

    pub(super) fn print(self) -> ExitCode {
        print_message(self.message);
        ExitCode::from(self.status)
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::bad_settings(problems)
    }
}

impl From<Refused> for Failure {
    /// A warning may explain a problem: a misspelt variable, for example.
    fn from(Refused { problems, warnings }: Refused) -> Self {
        let warnings = warnings.iter().map(|warning| format!("warning: {warning}\n"));
        Self::bad_settings(warnings.collect::<String>() + &problems.to_string())
    }
}

impl From<EditError> for Failure {
    fn from(error: EditError) -> Self {
        Self::new(error)
    }
}
