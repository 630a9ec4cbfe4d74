//! One request and its response: what the steps learn of it, and its report to the [`Sinks`] when it is over.

mod drain;
mod report;

use std::{
    cell::{Cell, OnceCell, RefCell},
    future::{Ready, ready},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest,
    dev::{Payload, ServiceRequest},
    error::ErrorInternalServerError,
    http::{Method, StatusCode, header::HeaderValue},
};
use tracing::Span;
use uuid::Uuid;

pub use drain::Drain;

use crate::{
    audit::{About, AuditTrail, Lane, Record, RefusalSource},
    client_ip::Client,
    redaction::without_keys,
    telemetry::{LONGEST_PATH, RequestContext, RequestLog, WorkerMetrics},
    under_way::Place,
    usage::WorkerUsage,
    vocabulary::{KeyState, Reason, RouteLabel, UpstreamOutcome, VerdictSource},
};

/// A handle on the account of one request. The last handle is dropped after the response's last byte: then it reports.
#[derive(Debug, Clone)]
pub struct Exchange(Rc<Account>);

#[derive(Debug)]
struct Account {
    sinks: Rc<Sinks>,
    context: RequestContext,
    /// Only where it is exported.
    span: Span,
    client: Client,
    method: Method,
    path: String,
    started: Instant,
    route: Cell<RouteLabel>,
    status: Cell<Option<StatusCode>>,
    reason: Cell<Option<Reason>>,
    /// Only where the key was refused.
    key_state: Cell<Option<KeyState>>,
    verdict_source: Cell<Option<VerdictSource>>,
    /// Time that others took before the response began: MLflow, the auth service, the client with its body.
    waited: Cell<Duration>,
    /// The last call to MLflow: its outcome so far, and how long it took.
    call: Cell<Option<(UpstreamOutcome, Duration)>>,
    bytes_in: Cell<u64>,
    bytes_out: Cell<u64>,
    caller: RefCell<Caller>,
    /// The pattern of its route, where its use is told.
    endpoint: OnceCell<Arc<str>>,
    /// What is known of the request's subject when it is refused; `None`: what its head says.
    about: RefCell<Option<About>>,
    /// Boxed, for most requests have none.
    record: RefCell<Option<Box<(Lane, Record)>>>,
    /// Its place among the requests of its key, until it is over.
    place: RefCell<Option<Place>>,
    /// What the response is to set, whoever makes it.
    cookie: RefCell<Option<HeaderValue>>,
}

/// The owner of the key.
#[derive(Debug, Default)]
pub struct Caller {
    pub(crate) key_id: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) workspace: Option<String>,
}

/// Where exchanges report. One for each worker, so that workers do not share a reference count.
#[derive(Debug)]
pub struct Sinks {
    pub(crate) metrics: WorkerMetrics,
    pub(crate) log: Option<RequestLog>,
    pub(crate) audit: AuditTrail,
    pub(crate) usage: Option<WorkerUsage>,
    pub(crate) drain: Arc<Drain>,
}

impl Exchange {
    /// Begins with a request's head, and is left in the request's extensions. The route is `open` until a step sets it.
    pub fn begin(request: &ServiceRequest, client: Client, sinks: &Rc<Sinks>) -> Self {
        let begun = request.extensions_mut().remove::<RequestContext>();
        let context = begun.unwrap_or_else(|| RequestContext::new(request.headers(), Uuid::new_v4()));
        let exchange = Self::new(context, (request.method().clone(), request.path()), client, sinks);
        request.extensions_mut().insert(exchange.clone());
        exchange
    }

    /// For bytes that never became a request, with what could be read of the method and the path.
    pub fn of_no_request(
        context: RequestContext,
        request_line: (Method, &str),
        client: Client,
        sinks: &Rc<Sinks>,
    ) -> Self {
        let exchange = Self::new(context, request_line, client, sinks);
        exchange.set_route(RouteLabel::Unknown);
        exchange
    }

    fn new(
        context: RequestContext,
        (method, path): (Method, &str),
        client: Client,
        sinks: &Rc<Sinks>,
    ) -> Self {
        sinks.metrics.request_began();
        let path = without_keys(path);
        Self(Rc::new(Account {
            sinks: Rc::clone(sinks),
            span: if context.is_exported() { Span::current() } else { Span::none() },
            context,
            client,
            method,
            path: path[..path.floor_char_boundary(LONGEST_PATH)].to_owned(),
            started: Instant::now(),
            route: Cell::new(RouteLabel::Open),
            status: Cell::new(None),
            reason: Cell::new(None),
            key_state: Cell::new(None),
            verdict_source: Cell::new(None),
            waited: Cell::default(),
            call: Cell::new(None),
            bytes_in: Cell::default(),
            bytes_out: Cell::default(),
            caller: RefCell::default(),
            endpoint: OnceCell::new(),
            about: RefCell::default(),
            record: RefCell::default(),
            place: RefCell::default(),
            cookie: RefCell::default(),
        }))
    }

    /// The exchange of a request; `None` where there was no [`Exchange::begin`], in tests.
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

    pub fn set_route(&self, route: impl Into<RouteLabel>) {
        self.0.route.set(route.into());
    }

    pub fn set_caller(&self, caller: Caller) {
        self.0.caller.replace(caller);
    }

    /// The request is admitted: it is a use of its key.
    pub(crate) fn set_endpoint(&self, pattern: &Arc<str>) {
        if self.0.sinks.usage.is_some() {
            let _ = self.0.endpoint.set(Arc::clone(pattern));
        }
    }

    pub fn set_verdict_source(&self, source: VerdictSource) {
        self.0.verdict_source.set(Some(source));
    }

    /// Why the gateway refused the request, could not get a response, or broke one off.
    pub fn set_reason(&self, reason: Reason) {
        self.0.reason.set(Some(reason));
    }

    pub fn set_key_state(&self, state: Option<KeyState>) {
        self.0.key_state.set(state);
    }

    /// Holds the request's place until its end.
    pub(crate) fn hold(&self, place: Option<Place>) {
        self.0.place.replace(place);
    }

    /// Keeps what was read of a request for the record of its refusal.
    pub(crate) fn set_about(&self, about: About) {
        self.0.about.replace(Some(about));
    }

    pub(crate) fn take_about(&self) -> Option<About> {
        self.0.about.take()
    }

    /// Adds a record to the audit stream when the request is over.
    pub(crate) fn set_record(&self, lane: Lane, record: Record) {
        self.0.record.replace(Some(Box::new((lane, record))));
    }

    /// The new cookie of the session.
    pub(crate) fn set_cookie(&self, cookie: Option<HeaderValue>) {
        self.0.cookie.replace(cookie);
    }

    pub(crate) fn take_cookie(&self) -> Option<HeaderValue> {
        self.0.cookie.take()
    }

    pub(crate) fn has_record(&self) -> bool {
        self.0.record.borrow().is_some()
    }

    /// The record that is written before the request is forwarded.
    pub(crate) fn begun_record(&self, record: Record) -> Record {
        self.0.ascribe(record)
    }

    /// The source that a refusal of this request is counted under.
    pub(crate) fn source(&self) -> RefusalSource {
        let caller = self.0.caller.borrow();
        RefusalSource::of(caller.key_id.clone().or_else(|| caller.user_id.clone()), self.0.client.ip)
    }

    /// Adds time that is not the gateway's own.
    pub fn waited(&self, time: Duration) {
        self.0.waited.set(self.0.waited.get() + time);
    }

    /// A call to MLflow failed, or its response began.
    pub fn upstream_called(&self, outcome: UpstreamOutcome, took: Duration) {
        if let Some((earlier, took)) = self.0.call.replace(Some((outcome, took))) {
            self.0.sinks.metrics.upstream_called(earlier, took);
        }
        self.waited(took);
    }

    /// The response of the last call broke off, or the client did not take all of it.
    pub fn upstream_broke_off(&self, outcome: UpstreamOutcome) {
        self.0.call.set(self.0.call.get().map(|(_, took)| (outcome, took)));
    }

    pub fn response_began(&self, status: StatusCode) {
        let account = &self.0;
        account.status.set(Some(status));
        let overhead = account.started.elapsed().saturating_sub(account.waited.get());
        account.sinks.metrics.response_began(account.route.get(), overhead);
    }

    pub fn received(&self, bytes: u64) {
        self.0.bytes_in.set(self.0.bytes_in.get() + bytes);
        self.0.sinks.metrics.received(bytes);
    }

    pub fn sent(&self, bytes: u64) {
        self.0.bytes_out.set(self.0.bytes_out.get() + bytes);
        self.0.sinks.metrics.sent(bytes);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.report();
    }
}

/// From the extensions, where [`Exchange::begin`] left it.
impl FromRequest for Exchange {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request).ok_or_else(|| ErrorInternalServerError("a request without an exchange")))
    }
}
