//! An outage in the log: a warning at intervals, and a line when it ends.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::code::Code;

/// Time between two warnings.
const INTERVAL: Duration = Duration::from_secs(10);

/// Logs an outage, also one that a cache hides from clients.
#[derive(Debug)]
pub(crate) struct OutageLog {
    failing: &'static str,
    ended: &'static str,
    logged: Mutex<Logged>,
}

#[derive(Debug, Default)]
struct Logged {
    last: Option<Instant>,
    /// The outage that was logged and has not ended.
    outage: Option<Code>,
}

impl OutageLog {
    /// The messages of a failure, and of the end of an outage.
    pub(crate) fn new(failing: &'static str, ended: &'static str) -> Self {
        Self { failing, ended, logged: Mutex::default() }
    }

    /// It works.
    pub(crate) fn end(&self) {
        let outage = self.logged.lock().outage.take();
        if let Some(code) = outage {
            tracing::info!(code = code.text(), "{}", self.ended);
        }
    }

    pub(crate) fn warn(&self, code: Code, error: &dyn Display) {
        let mut logged = self.logged.lock();
        if logged.last.is_none_or(|last| last.elapsed() >= INTERVAL) {
            *logged = Logged { last: Some(Instant::now()), outage: Some(code) };
            tracing::warn!(code = code.text(), %error, "{}", self.failing);
        }
    }
}
