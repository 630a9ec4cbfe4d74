//! One request and its response: what the steps learn of it, gathered until the last byte, and told once.

use std::{
    cell::{Cell, RefCell},
    future::{Ready, ready},
    rc::Rc,
    time::{Duration, Instant},
};

use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest,
    dev::{Payload, ServiceRequest},
    error::ErrorInternalServerError,
    http::{Method, StatusCode},
};
use jiff::{SignedDuration, Timestamp};

use super::{
    RequestContext,
    metrics::{Call, Series},
    otlp::{RequestSpan, Traces},
    request_line::{LONGEST_PATH, RequestLine, RequestLog, milliseconds},
};
use crate::{
    audit::{AuditTrail, Record},
    client_ip::Client,
};

/// A handle; what it stands for is told when the last one is dropped, which is behind the response's last byte.
#[derive(Debug, Clone)]
pub struct Exchange(Rc<Account>);

#[derive(Debug)]
struct Account {
    channels: Rc<Channels>,
    context: RequestContext,
    client: Client,
    method: Method,
    path: String,
    started: Instant,
    route: Cell<&'static str>,
    status: Cell<Option<StatusCode>>,
    reason: Cell<Option<&'static str>>,
    /// What became of the key, where it was refused.
    key_state: Cell<Option<&'static str>>,
    /// Time that others took before there was a response: MLflow, the auth service, the client with its body.
    waited: Cell<Duration>,
    /// The last call to MLflow: how it ended, as far as is known, and how long it took.
    call: Cell<Option<(Call, Duration)>>,
    bytes_in: Cell<u64>,
    bytes_out: Cell<u64>,
    caller: RefCell<Caller>,
    record: RefCell<Option<(AuditTrail, Record)>>,
}

/// Whose key it is, and who said so.
#[derive(Debug, Default)]
pub struct Caller {
    pub(crate) key_id: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) workspace: Option<String>,
    pub(crate) answered: Option<&'static str>,
}

/// Where it is told; one for each worker, so that workers do not count each other's references.
#[derive(Debug)]
pub struct Channels {
    pub(crate) series: Series,
    pub(crate) log: Option<RequestLog>,
    pub(crate) traces: Option<Traces>,
}

/// The route of a request for which none was found.
const UNKNOWN: &str = "unknown";
/// That of what the gateway answers by itself, without a key.
const OPEN: &str = "open";
/// nginx's word for a client that was gone before there was a response.
pub(super) const GONE: u16 = 499;

impl Exchange {
    /// One that begins now: what `client` asks for is the gateway's own to answer, until a step says otherwise.
    pub fn begin(request: &ServiceRequest, client: Client, channels: &Rc<Channels>) -> Self {
        channels.series.request_began();
        let path = request.path();
        let exchange = Self(Rc::new(Account {
            channels: Rc::clone(channels),
            context: RequestContext::of(request.headers()),
            client,
            method: request.method().clone(),
            path: path[..path.floor_char_boundary(LONGEST_PATH)].to_owned(),
            started: Instant::now(),
            route: Cell::new(OPEN),
            status: Cell::new(None),
            reason: Cell::new(None),
            key_state: Cell::new(None),
            waited: Cell::default(),
            call: Cell::new(None),
            bytes_in: Cell::default(),
            bytes_out: Cell::default(),
            caller: RefCell::default(),
            record: RefCell::default(),
        }));
        request.extensions_mut().insert(exchange.clone());
        exchange
    }

    /// That of a request; `None` where there was no [`Exchange::begin`], in tests.
    pub fn of(request: &impl HttpMessage) -> Option<Self> {
        request.extensions().get().cloned()
    }

    pub fn context(&self) -> &RequestContext {
        &self.0.context
    }

    pub fn client(&self) -> Client {
        self.0.client
    }

    pub fn started(&self) -> Instant {
        self.0.started
    }

    /// The class of its route.
    pub fn routed(&self, class: &'static str) {
        self.0.route.set(class);
    }

    /// It is MLflow's to answer, by a route that is still to be found.
    pub fn unrouted(&self) {
        self.routed(UNKNOWN);
    }

    pub fn called_by(&self, caller: Caller) {
        self.0.caller.replace(caller);
    }

    /// This record is to be left of it.
    pub(crate) fn leave(&self, trail: &AuditTrail, record: Record) {
        self.0.record.replace(Some((trail.clone(), record)));
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
            self.0.channels.series.upstream_called(elder, took);
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

    /// What became of its key, where that was refused: no client is told.
    pub fn key_was(&self, state: Option<&'static str>) {
        self.0.key_state.set(state);
    }

    /// The head of its response is there.
    pub fn answered(&self, status: StatusCode) {
        let account = &self.0;
        account.status.set(Some(status));
        let overhead = account.started.elapsed().saturating_sub(account.waited.get());
        account.channels.series.answered(account.route.get(), overhead);
    }

    pub fn received(&self, bytes: u64) {
        self.0.bytes_in.set(self.0.bytes_in.get() + bytes);
        self.0.channels.series.received(bytes);
    }

    pub fn sent(&self, bytes: u64) {
        self.0.bytes_out.set(self.0.bytes_out.get() + bytes);
        self.0.channels.series.sent(bytes);
    }
}

/// That of [`Exchange::begin`].
impl FromRequest for Exchange {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request).ok_or_else(|| ErrorInternalServerError("a request that nobody observes")))
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let gone = || StatusCode::from_u16(GONE).unwrap_or_default();
        let status = self.status.get().unwrap_or_else(gone);
        let (route, reason, method) = (self.route.get(), self.reason.get(), known(&self.method));
        if let Some(reason) = reason {
            self.channels.series.metrics().denied(reason);
        }
        if let Some((outcome, took)) = self.call.get() {
            self.channels.series.upstream_called(outcome, took);
        }
        let took = self.started.elapsed();
        self.channels.series.request_ended(route, method, status, took);
        if let Some(log) = &self.channels.log {
            self.log(log, status, took);
        }
        if let Some(traces) = self.channels.traces.as_ref().filter(|_| route != OPEN) {
            let started = Timestamp::now() - SignedDuration::try_from(took).unwrap_or_default();
            let (context, status) = (self.context.clone(), status.as_u16());
            traces.add(RequestSpan { context, started, took, method, route, status, reason });
        }
        if let Some((trail, record)) = self.record.take() {
            trail.add(self.complete(record, method, status));
        }
    }
}

impl Account {
    fn log(&self, log: &RequestLog, status: StatusCode, took: Duration) {
        let caller = self.caller.borrow();
        let (call, reason) = (self.call.get(), self.reason.get());
        let aborted = matches!(call, Some((Call::ClientAborted, _))).then_some("client_aborted");
        log.write(&RequestLine {
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
            reason: reason.or(aborted),
            key_state: self.key_state.get(),
            key_id: caller.key_id.as_deref(),
            user_id: caller.user_id.as_deref(),
            cache: caller.answered,
            upstream_ms: call.map(|(_, took)| milliseconds(took)),
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
            latency_ms: milliseconds(took),
        });
    }

    fn complete(&self, record: Record, method: &'static str, status: StatusCode) -> Record {
        let (Caller { key_id, user_id, workspace, .. }, reason) = (self.caller.take(), self.reason.get());
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
            method,
            outcome,
            status: status.as_u16(),
            reason,
            key_state: self.key_state.get(),
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
