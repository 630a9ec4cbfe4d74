//! Spans for a collector of traces: OpenTelemetry's SDK makes them and its OTLP exporter encodes them (OTLP over HTTP, in
//! protobuf); they wait in a bounded mailbox, and are sent by our own client, with our TLS and deadline. No request waits.

mod collector;
mod mailbox;

use std::{io, time::Duration};

use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracer, SdkTracerProvider, SpanExporter as _},
};
use tokio::sync::mpsc;
use url::Url;

use super::Metrics;
use crate::{http_client::Tls, settings::Telemetry, vocabulary::DeliveryOutcome};
use collector::{ByActor, Collector, Post, target};
pub(crate) use mailbox::TraceFlush;
use mailbox::{Mail, Mailbox, gather};

/// Spans that may wait.
const MAILBOX: usize = 4096;
/// How long a collector may take for a batch.
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
                    let taken = exporter.export(spans).await;
                    metrics.traced(taken.map_or(DeliveryOutcome::Failed, |()| DeliveryOutcome::Ok), count);
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
