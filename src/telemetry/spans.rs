//! The span of a request, which gives every event inside it the request's id; and, where a collector of traces wants them,
//! the spans of the calls that the request waits for.

use actix_web::{
    Error, HttpMessage as _,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{StatusCode, header::HeaderMap},
};
use opentelemetry::{
    Context, KeyValue,
    trace::{SpanContext, Status, TraceContextExt as _},
};
use tracing::{Level, Metadata, Span, info_span};
use tracing_actix_web::{RequestId, RootSpanBuilder};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use uuid::Uuid;

use super::RequestContext;
use crate::vocabulary::{MethodLabel, Reason, RouteLabel};

/// The target of the span that every request has, whatever is logged.
const REQUEST: &str = "hokusai_gateway::span::request";
/// That of spans that there are only where they are exported.
const EXPORTED: &str = "hokusai_gateway::span::exported";
/// The level of both.
pub(super) const LEVEL: Level = Level::INFO;

/// An attribute that only the span of a request has that was MLflow's to answer, or nobody's.
pub(super) const ROUTE: &str = "http.route";

/// Begins the span of each request, for `TracingLogger`. It logs nothing: a request has its one line.
#[derive(Debug)]
pub struct RequestSpan;

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let random = request.extensions().get::<RequestId>().map_or_else(Uuid::new_v4, |id| **id);
        let (context, span) = begin(request.headers(), random);
        request.extensions_mut().insert(context);
        span
    }

    fn on_request_end<B: MessageBody>(_: Span, _: &Result<ServiceResponse<B>, Error>) {}
}

/// The context and the span of a request with these headers; `random` is a UUID of version 4.
pub(crate) fn begin(headers: &HeaderMap, random: Uuid) -> (RequestContext, Span) {
    let mut context = RequestContext::new(headers, random);
    if !tracing::span_enabled!(target: EXPORTED, LEVEL) {
        let span = info_span!(target: REQUEST, parent: None, "request", request_id = context.request_id());
        return (context, span);
    }
    let span = info_span!(
        target: EXPORTED, parent: None, "request", otel.kind = "server", request_id = context.request_id()
    );
    if let Some(client) = context.client_span() {
        // Fails only where there are no such spans.
        let _ = span.set_parent(Context::new().with_remote_span_context(client));
    }
    context.exported_as(span.context().span().span_context());
    (context, span)
}

/// Tells of a request that is over in its span, and ends that.
pub(crate) fn end(
    span: &Span,
    method: MethodLabel,
    route: RouteLabel,
    status: StatusCode,
    reason: Option<Reason>,
) {
    let (method, route) = (method.word(), route.word());
    let context = span.context();
    let span = context.span();
    span.update_name(format!("{method} {route}"));
    span.set_attribute(KeyValue::new("http.request.method", method));
    span.set_attribute(KeyValue::new(ROUTE, route));
    span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
    if let Some(reason) = reason {
        span.set_attribute(KeyValue::new("error.type", reason.word()));
    }
    if status.is_server_error() {
        span.set_status(Status::error(""));
    }
    span.end();
}

/// That of asking the auth service about a key.
pub(crate) fn validation() -> Span {
    info_span!(target: EXPORTED, "validation", otel.kind = "client")
}

/// That of a request to MLflow, up to the head of its response. What is sent in it names it as the parent.
pub(crate) fn call_to_mlflow() -> Span {
    info_span!(target: EXPORTED, "MLflow", otel.kind = "client")
}

/// That of a command to Redis.
pub(crate) fn redis() -> Span {
    info_span!(target: EXPORTED, "Redis", otel.kind = "client")
}

/// Marks a call as failed.
pub(crate) fn failed(span: &Span) {
    if !span.is_disabled() {
        span.set_status(Status::error(""));
    }
}

/// The current span as a collector knows it.
pub(super) fn current() -> SpanContext {
    Span::current().context().span().span_context().clone()
}

/// Whether there is this span. No filter of the log decides about it, for it is no line, and an event without its request's
/// id is of little use.
pub(super) fn is_wanted(span: &Metadata<'_>, are_exported: bool) -> bool {
    span.target() == REQUEST || (are_exported && span.target() == EXPORTED)
}
