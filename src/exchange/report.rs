//! The report of a request that is over: counts, the log's line, the span, the audit record.

use std::time::Duration;

use actix_web::http::StatusCode;
use jiff::Timestamp;

use super::Account;
use crate::{
    audit::Record,
    telemetry::{RequestLine, RequestLog, milliseconds, spans},
    usage::Use,
    vocabulary::{EndReason, MethodLabel, Reason, RequestOutcome, RouteLabel, UpstreamOutcome},
};

/// nginx's status for a client that went away before the response began.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// How it ended.
#[derive(Debug, Clone, Copy)]
struct End {
    status: StatusCode,
    took: Duration,
    /// The client went away before the end of MLflow's response.
    is_aborted: bool,
    /// It was not over when the shutdown's grace was.
    is_drained: bool,
}

impl Account {
    /// Reports to every sink. Called once, when the last handle is dropped.
    pub(super) fn report(&self) {
        let (end, sinks) = (self.end(), &*self.sinks);
        if let Some(reason) = self.reason.get() {
            sinks.metrics.shared().denied(reason);
        }
        if let Some((outcome, took)) = self.call.get() {
            sinks.metrics.upstream_called(outcome, took);
        }
        self.count_use(end);
        let (route, method) = (self.route.get(), MethodLabel::from(&self.method));
        sinks.metrics.request_ended(route, method, end.status, end.took);
        if let Some(log) = &sinks.log {
            self.log(log, end);
        }
        if self.context.is_exported() && route != RouteLabel::Open {
            spans::end(&self.span, method, route, end.status, self.reason.get());
        }
        if let Some((lane, record)) = self.record.take().map(|record| *record) {
            sinks.audit.add(lane, self.complete(record, end));
        }
    }

    /// Before the request is no longer in flight: what is counted then is not among the last reports.
    fn count_use(&self, end: End) {
        let caller = self.caller.borrow();
        if let (Some(usage), Some(endpoint), Some(key_id)) =
            (&self.sinks.usage, self.endpoint.get(), &caller.key_id)
        {
            let used = Use {
                key_id,
                endpoint,
                status: end.status.as_u16(),
                took: end.took,
                bytes_in: self.bytes_in.get(),
                bytes_out: self.bytes_out.get(),
            };
            usage.add(&used, &self.path);
        }
    }

    fn end(&self) -> End {
        let gone = || StatusCode::from_u16(CLIENT_CLOSED_REQUEST).unwrap_or_default();
        let is_aborted = matches!(self.call.get(), Some((UpstreamOutcome::ClientAborted, _)));
        let is_unfinished = self.status.get().is_none() || is_aborted;
        End {
            status: self.status.get().unwrap_or_else(gone),
            took: self.started.elapsed(),
            is_aborted,
            is_drained: is_unfinished && self.reason.get().is_none() && self.sinks.drain.cuts(),
        }
    }

    fn log(&self, log: &RequestLog, end: End) {
        let caller = self.caller.borrow();
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
            status: end.status,
            reason: self.end_reason(end).or(end.is_aborted.then_some(EndReason::ClientAborted)),
            key_state: self.key_state.get(),
            key_id: caller.key_id.as_deref(),
            user_id: caller.user_id.as_deref(),
            cache: self.verdict_source.get(),
            upstream_ms: self.call.get().map(|(_, took)| milliseconds(took)),
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
            latency_ms: milliseconds(end.took),
        };
        log.write(&line, self.context.draw());
    }

    fn end_reason(&self, end: End) -> Option<EndReason> {
        self.reason.get().map(EndReason::Gateway).or(end.is_drained.then_some(EndReason::Drained))
    }

    /// Fills in the caller, the route and the method.
    pub(super) fn ascribe(&self, record: Record) -> Record {
        let caller = self.caller.borrow();
        Record {
            key_id: caller.key_id.clone(),
            user_id: caller.user_id.clone(),
            workspace: caller.workspace.clone(),
            route: self.route.get(),
            method: MethodLabel::from(&self.method),
            ..record
        }
    }

    fn complete(&self, record: Record, end: End) -> Record {
        Record {
            time: Timestamp::now(),
            outcome: self.outcome(end),
            status: Some(end.status.as_u16()),
            reason: self.end_reason(end),
            key_state: self.key_state.get(),
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
            ..self.ascribe(record)
        }
    }

    fn outcome(&self, End { status, is_aborted, .. }: End) -> RequestOutcome {
        let is_aborted = is_aborted || status.as_u16() == CLIENT_CLOSED_REQUEST;
        match self.reason.get() {
            Some(reason) if reason.is_failure() => RequestOutcome::Failed,
            Some(Reason::BadRequest) if is_aborted => RequestOutcome::Aborted,
            Some(_) => RequestOutcome::Denied,
            None if is_aborted => RequestOutcome::Aborted,
            None if status.is_client_error() || status.is_server_error() => RequestOutcome::Failed,
            None => RequestOutcome::Ok,
        }
    }
}
