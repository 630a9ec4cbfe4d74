//! An outage of the auth service in the log: a warning at intervals, and a line when it ends.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::ServiceFault;
use crate::code::Code;

/// Time between two warnings.
const INTERVAL: Duration = Duration::from_secs(10);

/// Logs an outage, also one that the cache hides from clients.
#[derive(Debug, Default)]
pub(in crate::auth) struct OutageLog(Mutex<Logged>);

#[derive(Debug, Default)]
struct Logged {
    last: Option<Instant>,
    /// The outage that was logged and has not ended.
    outage: Option<Code>,
}

impl OutageLog {
    /// The service gave a verdict.
    pub(in crate::auth) fn end(&self) {
        let outage = self.0.lock().outage.take();
        if let Some(code) = outage {
            tracing::info!(code = code.text(), "the auth service gives verdicts again");
        }
    }

    pub(in crate::auth) fn warn(&self, fault: &ServiceFault) {
        let mut logged = self.0.lock();
        if logged.last.is_none_or(|last| last.elapsed() >= INTERVAL) {
            *logged = Logged { last: Some(Instant::now()), outage: Some(fault.code()) };
            tracing::warn!(code = fault.code().text(), error = %fault, "the auth service gave no verdict");
        }
    }
}
