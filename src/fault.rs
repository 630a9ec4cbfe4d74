//! What is wrong with something that the gateway needs, in words for whoever has to mend it: the same from the running
//! gateway and from `check --probe`.

use crate::code::Code;

/// What was seen, its likely cause, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: Code,
    pub(crate) what: String,
    pub(crate) cause: String,
    pub(crate) fix: String,
}

impl Fault {
    pub(crate) fn new(
        code: Code,
        what: impl Into<String>,
        cause: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { code, what: what.into(), cause: cause.into(), fix: fix.into() }
    }
}
