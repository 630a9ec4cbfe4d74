//! Spans for a collector of traces: OpenTelemetry's SDK makes them and its OTLP exporter encodes them (OTLP over HTTP, in
//! protobuf); they wait in a bounded mailbox, and are sent by our own client, with our TLS and deadline. No request waits.

use std::{fmt, io, time::Duration};

use actix_web::http::{Method, header::CONTENT_TYPE, uri::PathAndQuery};
use opentelemetry::{
    Context, KeyValue,
    trace::{SpanId, SpanKind, TracerProvider as _},
};
use opentelemetry_http::{Bytes, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Sampler, SdkTracer, SdkTracerProvider, Span, SpanData, SpanExporter as _, SpanProcessor},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout, timeout_at},
};
use url::Url;

use super::{Metrics, spans};
use crate::{
    code::Code,
    http_client::{Connections, HttpClient, Reuse, Tls},
    settings::Telemetry,
    vocabulary::DeliveryOutcome,
};

/// Spans that may wait, and that are sent at once.
const MAILBOX: usize = 4096;
const BATCH: usize = 512;
/// How long a batch is gathered.
const GATHERING: Duration = Duration::from_secs(1);
/// How long a collector may take for one.
const DEADLINE: Duration = Duration::from_secs(5);

/// The actor that sends spans.
#[derive(Debug)]
pub struct TraceExporter {
    mailbox: mpsc::Receiver<Mail>,
    exporter: SpanExporter,
    posts: mpsc::Receiver<Post>,
    endpoint: Url,
    metrics: Metrics,
    flush: TraceFlush,
}

/// Has the spans sent that wait.
#[derive(Debug, Clone)]
pub(crate) struct TraceFlush(mpsc::Sender<Mail>);

#[derive(Debug)]
enum Mail {
    Span(Box<SpanData>),
    Flush(oneshot::Sender<()>),
}

/// An encoded batch, and where the collector's answer goes.
type Post = (Request<Bytes>, oneshot::Sender<Result<Response<Bytes>, HttpError>>);

/// The tracer of the process, and the actor that is to run for it.
pub(super) fn open(
    settings: &Telemetry,
    endpoint: &Url,
    metrics: &Metrics,
) -> io::Result<(SdkTracer, TraceExporter)> {
    let (sender, mailbox) = mpsc::channel(MAILBOX);
    let (post, posts) = mpsc::channel(1);
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(ByActor(post))
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(target(endpoint).to_string())
        // What a request is now matters more than what one was: a batch that fails is lost, and counted.
        .with_retry_policy(RetryPolicy::default().with_max_retries(0))
        .build()
        .map_err(io::Error::other)?;
    let resource = Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", settings.service.clone()),
            KeyValue::new("service.version", crate::VERSION),
            KeyValue::new("deployment.environment.name", settings.env.clone()),
        ])
        .build();
    exporter.set_resource(&resource);
    let flush = TraceFlush(sender.clone());
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        // Whoever began the trace says whether it is kept; the gateway keeps its own.
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
        // Events stay in the log: they name users.
        .with_max_events_per_span(0)
        .with_span_processor(Mailbox { mail: sender, metrics: metrics.clone() })
        .build();
    let tracer = provider.tracer("hokusai-gateway");
    Ok((
        tracer,
        TraceExporter {
            mailbox,
            exporter,
            posts,
            endpoint: endpoint.clone(),
            metrics: metrics.clone(),
            flush,
        },
    ))
}

/// `/v1/traces` behind the endpoint's path.
fn target(endpoint: &Url) -> Url {
    let mut target = endpoint.clone();
    target.set_path(&format!("{}/v1/traces", endpoint.path().trim_end_matches('/')));
    target
}

/// Where spans go when they end; called by workers, and never waits.
#[derive(Debug)]
struct Mailbox {
    mail: mpsc::Sender<Mail>,
    metrics: Metrics,
}

impl SpanProcessor for Mailbox {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if is_told(&span) && self.mail.try_send(Mail::Span(Box::new(span))).is_err() {
            self.metrics.traced(DeliveryOutcome::Dropped, 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Not what the gateway answers by itself, health checks above all, nor calls that no request waits for.
fn is_told(span: &SpanData) -> bool {
    match span.span_kind {
        SpanKind::Server => span.attributes.iter().any(|attribute| attribute.key.as_str() == spans::ROUTE),
        _ => span.parent_span_id != SpanId::INVALID,
    }
}

impl TraceFlush {
    /// Returns when what waited is sent, or lost.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.0.send(Mail::Flush(done)).await.is_ok() {
            let _ = flushed.await;
        }
    }
}

impl TraceExporter {
    pub(crate) fn flush(&self) -> TraceFlush {
        self.flush.clone()
    }

    /// Ends when there are no spans any more.
    pub(crate) async fn run(self, tls: Option<Tls>) {
        let Self { mut mailbox, exporter, mut posts, endpoint, metrics, flush } = self;
        drop(flush);
        let collector = Collector::new(&endpoint, tls.as_ref());
        let exporting = async move {
            while let Some(mail) = mailbox.recv().await {
                let (spans, flush) = gather(mail, &mut mailbox).await;
                let count = spans.len() as u64;
                if count > 0 {
                    let is_taken = exporter.export(spans).await.is_ok();
                    metrics
                        .traced(if is_taken { DeliveryOutcome::Ok } else { DeliveryOutcome::Failed }, count);
                }
                if let Some(done) = flush {
                    let _ = done.send(());
                }
            }
        };
        let posting = async {
            while let Some((request, answer)) = posts.recv().await {
                let _ = answer.send(collector.post(request.into_body()).await);
            }
        };
        tokio::join!(exporting, posting);
    }
}

/// A batch that begins with `first`, and who waits for it to be sent.
async fn gather(
    first: Mail,
    mailbox: &mut mpsc::Receiver<Mail>,
) -> (Vec<SpanData>, Option<oneshot::Sender<()>>) {
    let until = Instant::now() + GATHERING;
    let (mut spans, mut next) = (Vec::new(), Some(first));
    while let Some(mail) = next {
        match mail {
            Mail::Span(span) => spans.push(with_our_names(*span)),
            Mail::Flush(done) => return (spans, Some(done)),
        }
        if spans.len() == BATCH {
            break;
        }
        next = timeout_at(until, mailbox.recv()).await.unwrap_or_default();
    }
    (spans, None)
}

/// The log's field is an attribute of ours, not of OpenTelemetry's conventions.
fn with_our_names(mut span: SpanData) -> SpanData {
    for attribute in span.attributes.iter_mut().filter(|attribute| attribute.key.as_str() == "request_id") {
        attribute.key = "hokusai.request_id".into();
    }
    span
}

/// The exporter's client, which may be used on any thread: it hands each batch to the actor, whose client is of one thread.
#[derive(Debug)]
struct ByActor(mpsc::Sender<Post>);

#[async_trait::async_trait]
impl opentelemetry_http::HttpClient for ByActor {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (answer, answered) = oneshot::channel();
        self.0.send((request, answer)).await?;
        answered.await?
    }
}

/// The way to the collector.
struct Collector {
    client: HttpClient,
    target: PathAndQuery,
}

impl Collector {
    fn new(endpoint: &Url, tls: Option<&Tls>) -> Self {
        let connections = Connections { connect_timeout: DEADLINE, keep_alive: DEADLINE, limit: 2 };
        let path = PathAndQuery::try_from(target(endpoint).path());
        Self {
            client: HttpClient::new(endpoint, tls, connections),
            target: path.unwrap_or_else(|_| PathAndQuery::from_static("/v1/traces")),
        }
    }

    /// Logs why a batch is lost.
    async fn post(&self, body: Bytes) -> Result<Response<Bytes>, HttpError> {
        let request = self.client.request(Method::POST, self.target.clone(), Reuse::Safe);
        let sending = request.insert_header((CONTENT_TYPE, "application/x-protobuf")).send_body(body);
        match timeout(DEADLINE, sending).await {
            Ok(Ok(response)) => {
                let status = response.status().as_u16();
                if !response.status().is_success() {
                    tracing::warn!(
                        code = Code::SpansRefused.text(),
                        status,
                        "the collector refused spans; they are lost"
                    );
                }
                Ok(Response::builder().status(status).body(Bytes::new())?)
            }
            Ok(Err(error)) => {
                tracing::warn!(code = Code::SpansRefused.text(), %error, "spans could not be sent to the collector; they are lost");
                Err(error.to_string().into())
            }
            Err(late) => {
                tracing::warn!(
                    code = Code::SpansRefused.text(),
                    "the collector did not take spans in time; they are lost"
                );
                Err(late.into())
            }
        }
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").field("target", &self.target).finish_non_exhaustive()
    }
}
