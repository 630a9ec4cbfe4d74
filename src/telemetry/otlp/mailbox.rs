//! Spans that have ended, on their way to the actor that sends them.

use std::time::Duration;

use opentelemetry::{
    Context,
    trace::{SpanId, SpanKind},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

use crate::{
    telemetry::{Metrics, spans},
    vocabulary::DeliveryOutcome,
};

/// Spans that are sent at once, and how long they are gathered.
const BATCH: usize = 512;
const GATHERING: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) enum Mail {
    Span(Box<SpanData>),
    Flush(oneshot::Sender<()>),
}

/// Where spans go when they end; called by workers, and never waits.
#[derive(Debug)]
pub(super) struct Mailbox {
    pub(super) mail: mpsc::Sender<Mail>,
    pub(super) metrics: Metrics,
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

/// Has the spans sent that wait.
#[derive(Debug, Clone)]
pub(crate) struct TraceFlush(pub(super) mpsc::Sender<Mail>);

impl TraceFlush {
    /// Returns when what waited is sent, or lost.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.0.send(Mail::Flush(done)).await.is_ok() {
            let _ = flushed.await;
        }
    }
}

/// A batch that begins with `first`, and who waits for it to be sent.
pub(super) async fn gather(
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

#[cfg(test)]
mod tests {
    use opentelemetry::{
        KeyValue,
        trace::{Span as _, Tracer as _, TracerProvider as _},
    };
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    #[test]
    fn a_span_that_finds_no_room_is_dropped_and_counted_and_what_has_its_place_is_kept() {
        let (metrics, (mail, mut waiting)) = (Metrics::new().unwrap(), mpsc::channel(2));
        let mailbox = Mailbox { mail, metrics: metrics.clone() };
        let tracer = SdkTracerProvider::builder().with_span_processor(mailbox).build().tracer("a test");
        for name in ["first", "second", "third", "fourth", "fifth"] {
            let route = KeyValue::new(spans::ROUTE, "read");
            let span = tracer.span_builder(name).with_kind(SpanKind::Server).with_attributes([route]);
            span.start(&tracer).end();
        }
        let kept = std::iter::from_fn(|| match waiting.try_recv() {
            Ok(Mail::Span(span)) => Some(span.name),
            _ => None,
        });
        assert_eq!(kept.collect::<Vec<_>>(), ["first", "second"]);
        let families = metrics.gather();
        let spans = families.iter().find(|family| family.name().ends_with("trace_spans_total")).unwrap();
        let [dropped] = spans.get_metric() else { panic!("{spans:?}") };
        assert_eq!((dropped.get_label()[0].value(), dropped.get_counter().get_value()), ("dropped", 3.0));
    }
}
