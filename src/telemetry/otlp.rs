//! Traces for a collector: one span a request, in OTLP over HTTP as JSON (opentelemetry.io/docs/specs/otlp, "OTLP/HTTP").
//!
//! Written here because a span of ours is one object: OpenTelemetry's own exporter brings a second HTTP client, which
//! knows neither our TLS nor our guard on connections.

use std::time::Duration;

use actix_web::http::{Method, header::CONTENT_TYPE, uri::PathAndQuery};
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use url::Url;

use super::{Metrics, RequestContext};
use crate::{
    code::Code,
    http_client::{Connections, HttpClient, Reuse, Tls},
    vocabulary::{DeliveryOutcome, MethodLabel, Reason, RouteLabel},
};

/// Spans that may wait, and that are sent at once.
const MAILBOX: usize = 4096;
const BATCH: usize = 512;
/// Time that a batch is gathered for, and that a collector has to take it.
const PAUSE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);
/// The kind of a span that answers a request, and the status of one that failed (opentelemetry/proto/trace/v1/trace.proto).
const SERVER: u32 = 2;
const ERROR: u32 = 2;

/// What a request leaves of itself for a trace.
#[derive(Debug, Clone)]
pub(crate) struct RequestSpan {
    pub(crate) context: RequestContext,
    pub(crate) started: jiff::Timestamp,
    pub(crate) took: Duration,
    pub(crate) method: MethodLabel,
    pub(crate) route: RouteLabel,
    pub(crate) status: u16,
    pub(crate) reason: Option<Reason>,
}

/// The way to the exporter, for every worker.
#[derive(Debug, Clone)]
pub(crate) struct Traces {
    mailbox: mpsc::Sender<RequestSpan>,
    metrics: Metrics,
}

/// The actor that sends spans.
#[derive(Debug)]
pub(crate) struct Exporter {
    spans: mpsc::Receiver<RequestSpan>,
    client: HttpClient,
    target: PathAndQuery,
    service: String,
    env: String,
    metrics: Metrics,
}

impl Traces {
    /// `endpoint` is the collector's; `/v1/traces` is put behind its path.
    pub(crate) fn new(
        endpoint: &Url,
        tls: Option<&Tls>,
        (service, env): (&str, &str),
        metrics: &Metrics,
    ) -> (Self, Exporter) {
        let (mailbox, spans) = mpsc::channel(MAILBOX);
        let connections = Connections { connect_timeout: PATIENCE, keep_alive: PATIENCE, limit: 2 };
        let path = format!("{}/v1/traces", endpoint.path().trim_end_matches('/'));
        let exporter = Exporter {
            spans,
            client: HttpClient::new(endpoint, tls, connections),
            target: PathAndQuery::try_from(path).unwrap_or_else(|_| PathAndQuery::from_static("/v1/traces")),
            service: service.to_owned(),
            env: env.to_owned(),
            metrics: metrics.clone(),
        };
        (Self { mailbox, metrics: metrics.clone() }, exporter)
    }

    /// Leaves a span to be sent, if its trace is sampled; drops it if too many wait.
    pub(crate) fn add(&self, span: RequestSpan) {
        if span.context.is_sampled() && self.mailbox.try_send(span).is_err() {
            self.metrics.traced(DeliveryOutcome::Dropped, 1);
        }
    }
}

impl Exporter {
    /// Ends when nobody can add a span any more.
    pub(crate) async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.spans.recv_many(&mut batch, BATCH).await > 0 {
            let count = batch.len() as u64;
            let spans: Vec<Value> = batch.drain(..).map(|span| describe(&span)).collect();
            let outcome = if self.send(spans).await { DeliveryOutcome::Ok } else { DeliveryOutcome::Failed };
            self.metrics.traced(outcome, count);
            if count < BATCH as u64 {
                sleep(PAUSE).await;
            }
        }
    }

    async fn send(&self, spans: Vec<Value>) -> bool {
        let body = json!({ "resourceSpans": [{
            "resource": { "attributes": [
                text("service.name", &self.service),
                text("service.version", crate::VERSION),
                text("deployment.environment.name", &self.env),
            ] },
            "scopeSpans": [{ "scope": { "name": "hokusai-gateway" }, "spans": spans }],
        }] });
        let request = self.client.request(Method::POST, self.target.clone(), Reuse::Safe);
        let sending = request.insert_header((CONTENT_TYPE, "application/json")).send_body(body.to_string());
        match timeout(PATIENCE, sending).await {
            Ok(Ok(response)) if response.status().is_success() => true,
            Ok(Ok(response)) => {
                tracing::warn!(
                    code = Code::SpansRefused.text(),
                    status = response.status().as_u16(),
                    "the collector refused spans"
                );
                false
            }
            Ok(Err(error)) => {
                tracing::warn!(code = Code::SpansRefused.text(), %error, "spans could not be sent");
                false
            }
            Err(_) => {
                tracing::warn!(code = Code::SpansRefused.text(), "the collector took no spans in time");
                false
            }
        }
    }
}

fn describe(span: &RequestSpan) -> Value {
    let end = span.started.as_nanosecond() + span.took.as_nanos() as i128;
    let mut attributes = vec![
        text("http.request.method", span.method.word()),
        text("http.route", span.route.word()),
        json!({ "key": "http.response.status_code", "value": { "intValue": span.status.to_string() } }),
        text("hokusai.request_id", span.context.request_id()),
    ];
    attributes.extend(span.reason.map(|reason| text("error.type", reason.word())));
    let mut described = json!({
        "traceId": span.context.trace_id(),
        "spanId": span.context.span_id(),
        "name": format!("{} {}", span.method.word(), span.route.word()),
        "kind": SERVER,
        "startTimeUnixNano": span.started.as_nanosecond().to_string(),
        "endTimeUnixNano": end.to_string(),
        "attributes": attributes,
    });
    if let Some(parent) = span.context.parent_id() {
        described["parentSpanId"] = parent.into();
    }
    if span.status >= 500 {
        described["status"] = json!({ "code": ERROR });
    }
    described
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}
