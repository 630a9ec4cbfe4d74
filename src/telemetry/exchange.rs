//! One request and its response: what the steps learn of it, gathered until the last byte, and told once.

mod outcome;

use std::{
    cell::{Cell, RefCell},
    future::{Ready, ready},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest,
    dev::{Payload, ServiceRequest},
    error::ErrorInternalServerError,
    http::{Method, StatusCode, header::HeaderMap},
};
use jiff::{SignedDuration, Timestamp};

pub(crate) use outcome::is_failure;
use outcome::known;

use super::{
    Drain, RequestContext,
    metrics::{Call, Series},
    otlp::{RequestSpan, Traces},
    redaction::without_keys,
    request_line::{LONGEST_PATH, RequestLog},
};
use crate::{
    audit::{AuditTrail, Lane, Record, Source},
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
    /// It was not finished when the time of a drain was over.
    is_cut: Cell<bool>,
    /// Time that others took before there was a response: MLflow, the auth service, the client with its body.
    waited: Cell<Duration>,
    /// The last call to MLflow: how it ended, as far as is known, and how long it took.
    call: Cell<Option<(Call, Duration)>>,
    bytes_in: Cell<u64>,
    bytes_out: Cell<u64>,
    caller: RefCell<Caller>,
    record: RefCell<Option<(AuditTrail, Lane, Record)>>,
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
    pub(crate) drain: Arc<Drain>,
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
        let context = RequestContext::of(request.headers());
        let exchange = Self::new(context, (request.method().clone(), request.path()), client, channels);
        request.extensions_mut().insert(exchange.clone());
        exchange
    }

    /// One of what never became a request, as far as its method and path can be told.
    pub fn of_no_request(method: Method, path: &str, client: Client, channels: &Rc<Channels>) -> Self {
        let exchange = Self::new(RequestContext::of(&HeaderMap::new()), (method, path), client, channels);
        exchange.unrouted();
        exchange
    }

    fn new(
        context: RequestContext,
        (method, path): (Method, &str),
        client: Client,
        channels: &Rc<Channels>,
    ) -> Self {
        channels.series.request_began();
        let path = without_keys(path);
        Self(Rc::new(Account {
            channels: Rc::clone(channels),
            context,
            client,
            method,
            path: path[..path.floor_char_boundary(LONGEST_PATH)].to_owned(),
            started: Instant::now(),
            route: Cell::new(OPEN),
            status: Cell::new(None),
            reason: Cell::new(None),
            key_state: Cell::new(None),
            is_cut: Cell::default(),
            waited: Cell::default(),
            call: Cell::new(None),
            bytes_in: Cell::default(),
            bytes_out: Cell::default(),
            caller: RefCell::default(),
            record: RefCell::default(),
        }))
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
    pub(crate) fn leave(&self, trail: &AuditTrail, lane: Lane, record: Record) {
        self.0.record.replace(Some((trail.clone(), lane, record)));
    }

    /// The record that is to be written before it is forwarded.
    pub(crate) fn begun(&self, record: Record) -> Record {
        Record { outcome: "begun", ..self.0.ascribe(record) }
    }

    /// Whose request it is, for those who count refusals.
    pub(crate) fn source(&self) -> Source {
        let caller = self.0.caller.borrow();
        Source::of(caller.key_id.clone().or_else(|| caller.user_id.clone()), self.0.client.ip)
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

impl Account {
    /// Whether the call to MLflow, or its response, was given up before its end.
    fn is_aborted(&self) -> bool {
        matches!(self.call.get(), Some((Call::ClientAborted, _)))
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
        let is_unfinished = self.status.get().is_none() || self.is_aborted();
        self.is_cut.set(is_unfinished && reason.is_none() && self.channels.drain.cuts());
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
        if let Some((trail, lane, record)) = self.record.take() {
            trail.add(lane, self.complete(record, status));
        }
    }
}
