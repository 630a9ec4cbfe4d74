//! One request and its response: what the steps learn of it, gathered until the last byte, and told once.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use actix_web::http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use tracing::Span;

use super::{
    RequestContext,
    metrics::{Call, Metrics},
    otlp::{RequestSpan, Traces},
};
use crate::audit::{AuditTrail, Record};

/// A handle; what it stands for is told when the last one is dropped, which is behind the response's last byte.
#[derive(Debug, Clone)]
pub struct Exchange(Rc<Account>);

#[derive(Debug)]
struct Account {
    metrics: Metrics,
    span: Span,
    method: &'static str,
    started: Instant,
    route: Cell<&'static str>,
    status: Cell<Option<StatusCode>>,
    reason: Cell<Option<&'static str>>,
    /// Time that others took before there was a response: MLflow, the auth service, the client with its body.
    waited: Cell<Duration>,
    /// The last call to MLflow: how it ended, as far as is known, and how long it took.
    call: Cell<Option<(Call, Duration)>>,
    bytes_in: Cell<u64>,
    bytes_out: Cell<u64>,
    caller: RefCell<Caller>,
    record: RefCell<Option<(AuditTrail, Record)>>,
    trace: RefCell<Option<(Traces, RequestContext)>>,
}

/// Whose key it is.
#[derive(Debug, Default)]
struct Caller {
    key_id: Option<String>,
    user_id: Option<String>,
    workspace: Option<String>,
}

/// The route of a request for which none was found.
const UNKNOWN: &str = "unknown";
/// That of what the gateway answers by itself, without a key.
const OPEN: &str = "open";
/// nginx's word for a client that was gone before there was a response.
pub(super) const GONE: u16 = 499;

impl Exchange {
    /// One that begins now, in the span of its request.
    pub fn begin(metrics: &Metrics, method: &Method) -> Self {
        metrics.request_began();
        Self(Rc::new(Account {
            metrics: metrics.clone(),
            span: Span::current(),
            method: known(method),
            started: Instant::now(),
            route: Cell::new(UNKNOWN),
            status: Cell::new(None),
            reason: Cell::new(None),
            waited: Cell::default(),
            call: Cell::new(None),
            bytes_in: Cell::default(),
            bytes_out: Cell::default(),
            caller: RefCell::default(),
            record: RefCell::default(),
            trace: RefCell::default(),
        }))
    }

    /// One that the gateway answers by itself.
    pub fn open(metrics: &Metrics, method: &Method) -> Self {
        let exchange = Self::begin(metrics, method);
        exchange.routed(OPEN);
        exchange
    }

    pub fn started(&self) -> Instant {
        self.0.started
    }

    /// The class of its route.
    pub fn routed(&self, class: &'static str) {
        self.0.route.set(class);
    }

    pub fn called_by(&self, key_id: Option<&str>, user_id: Option<&str>, workspace: Option<&str>) {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let caller = Caller { key_id: owned(key_id), user_id: owned(user_id), workspace: owned(workspace) };
        self.0.caller.replace(caller);
    }

    /// This record is to be left of it.
    pub(crate) fn leave(&self, trail: &AuditTrail, record: Record) {
        self.0.record.replace(Some((trail.clone(), record)));
    }

    /// A span is to be left of it.
    pub(crate) fn trace(&self, traces: &Traces, context: RequestContext) {
        self.0.trace.replace(Some((traces.clone(), context)));
    }

    pub(crate) fn has_record(&self) -> bool {
        self.0.record.borrow().is_some()
    }

    /// Somebody else took this long.
    pub fn waited(&self, time: Duration) {
        self.0.waited.set(self.0.waited.get() + time);
    }

    /// A call to MLflow for it ended, or its response began.
    pub fn called(&self, outcome: Call, took: Duration) {
        if let Some((elder, took)) = self.0.call.replace(Some((outcome, took))) {
            self.0.metrics.upstream_called(elder, took);
        }
        self.waited(took);
    }

    /// The response of the last call broke off, or nobody took it to its end.
    pub fn broke_off(&self, outcome: Call) {
        self.0.call.set(self.0.call.get().map(|(_, took)| (outcome, took)));
    }

    /// Why the gateway refused it, could not have a response, or broke one off.
    pub fn ended_for(&self, reason: &'static str) {
        self.0.reason.set(Some(reason));
    }

    /// The head of its response is there.
    pub fn answered(&self, status: StatusCode) {
        let account = &self.0;
        account.status.set(Some(status));
        let overhead = account.started.elapsed().saturating_sub(account.waited.get());
        account.metrics.answered(account.route.get(), overhead);
    }

    pub fn received(&self, bytes: u64) {
        self.0.bytes_in.set(self.0.bytes_in.get() + bytes);
        self.0.metrics.received(bytes);
    }

    pub fn sent(&self, bytes: u64) {
        self.0.bytes_out.set(self.0.bytes_out.get() + bytes);
        self.0.metrics.sent(bytes);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let gone = || StatusCode::from_u16(GONE).unwrap_or_default();
        let status = self.status.get().unwrap_or_else(gone);
        let (route, reason) = (self.route.get(), self.reason.get());
        self.span.record("route", route);
        if let Some(reason) = reason {
            self.span.record("reason", reason);
            self.metrics.denied(reason);
        }
        if let (None, Some((Call::ClientAborted, _))) = (reason, self.call.get()) {
            self.span.record("reason", "client_aborted");
        }
        if let Some((outcome, took)) = self.call.get() {
            self.span.record("upstream_ms", milliseconds(took));
            self.metrics.upstream_called(outcome, took);
        }
        self.span.record("bytes_in", self.bytes_in.get());
        self.span.record("bytes_out", self.bytes_out.get());
        self.metrics.request_ended(route, self.method, status, self.started.elapsed());
        if let Some((traces, context)) = self.trace.take() {
            let took = self.started.elapsed();
            let started = Timestamp::now() - SignedDuration::try_from(took).unwrap_or_default();
            let (method, status) = (self.method, status.as_u16());
            traces.add(RequestSpan { context, started, took, method, route, status, reason });
        }
        if let Some((trail, record)) = self.record.take() {
            trail.add(self.complete(record, status));
        }
    }
}

impl Account {
    fn complete(&self, record: Record, status: StatusCode) -> Record {
        let (Caller { key_id, user_id, workspace }, reason) = (self.caller.take(), self.reason.get());
        let aborted = matches!(self.call.get(), Some((Call::ClientAborted, _))) || status.as_u16() == GONE;
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
            key_id,
            user_id,
            workspace,
            route: self.route.get(),
            method: self.method,
            outcome,
            status: status.as_u16(),
            reason,
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
            ..record
        }
    }
}

/// Whether a reason tells of something that failed, and not of a request that was refused.
pub(crate) fn is_failure(reason: &str) -> bool {
    matches!(reason, "auth_unavailable" | "internal" | "loop_detected") || reason.starts_with("upstream_")
}

/// A method as a label: what is not one of MLflow's is one word.
fn known(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    known.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// Milliseconds, to three places.
pub(super) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
