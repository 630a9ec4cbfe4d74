//! How a request ended, as the log and the audit stream are told.

use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use jiff::Timestamp;

use super::{Account, GONE};
use crate::{
    audit::Record,
    telemetry::request_line::{RequestLine, RequestLog, milliseconds},
};

impl Account {
    pub(super) fn log(&self, log: &RequestLog, status: StatusCode, took: Duration) {
        let caller = self.caller.borrow();
        let (call, reason) = (self.call.get(), self.reason.get());
        let aborted = self.is_aborted().then_some("client_aborted");
        let line = RequestLine {
            timestamp: Timestamp::now(),
            level: "INFO",
            message: "request",
            request_id: self.context.request_id(),
            trace_id: self.context.trace_id(),
            method: self.method.as_str(),
            path: &self.path,
            client_ip: self.client.ip,
            route: self.route.get(),
            status,
            reason: reason.or(self.drained()).or(aborted),
            key_state: self.key_state.get(),
            key_id: caller.key_id.as_deref(),
            user_id: caller.user_id.as_deref(),
            cache: caller.answered,
            upstream_ms: call.map(|(_, took)| milliseconds(took)),
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
            latency_ms: milliseconds(took),
        };
        log.write(&line, self.context.lot());
    }

    /// The reason of a transfer that a drain had no more time for.
    fn drained(&self) -> Option<&'static str> {
        self.is_cut.get().then_some("drained")
    }

    /// Who asked for what.
    pub(super) fn ascribe(&self, record: Record) -> Record {
        let caller = self.caller.borrow();
        Record {
            key_id: caller.key_id.clone(),
            user_id: caller.user_id.clone(),
            workspace: caller.workspace.clone(),
            route: self.route.get(),
            method: known(&self.method),
            ..record
        }
    }

    pub(super) fn complete(&self, record: Record, status: StatusCode) -> Record {
        let reason = self.reason.get();
        let aborted = self.is_aborted() || status.as_u16() == GONE;
        let outcome = match reason {
            Some(reason) if is_failure(reason) => "failed",
            Some("bad_request") if aborted => "aborted",
            Some(_) => "denied",
            None if aborted => "aborted",
            None if status.is_client_error() || status.is_server_error() => "failed",
            None => "ok",
        };
        Record {
            time: Timestamp::now(),
            outcome,
            status: Some(status.as_u16()),
            reason: reason.or(self.drained()),
            key_state: self.key_state.get(),
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
            ..self.ascribe(record)
        }
    }
}

/// Whether a reason tells of something that failed, and not of a request that was refused.
pub(crate) fn is_failure(reason: &str) -> bool {
    matches!(reason, "auth_unavailable" | "audit_unavailable" | "internal" | "loop_detected")
        || reason.starts_with("upstream_")
}

/// A method as a label: what is not one of MLflow's is one word.
pub(super) fn known(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    known.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}
