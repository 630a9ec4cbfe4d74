//! Where events go: standard output, as JSON lines or as text, by a thread of its own. Whoever logs never waits for it.

use std::io::{self, IsTerminal as _, Write};

use tracing::{Metadata, Subscriber, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::{
    EnvFilter, Layer, fmt,
    layer::{Context, SubscriberExt as _},
    reload,
    util::SubscriberInitExt as _,
};

use super::{
    Metrics,
    json_events::{JsonEvents, RequestIdOnly},
    lines::{LineWriter, Lines},
    otlp::{self, TraceExporter},
    request_line::RequestLog,
    spans,
};
use crate::{
    code::Code,
    settings::{LogFormat, Telemetry},
};

/// The log of the process.
#[derive(Debug)]
pub struct Log {
    pub filter: LogFilter,
    /// Where its lines go, for others that write whole lines.
    pub lines: Lines,
    /// Where each request gets its line.
    pub requests: RequestLog,
    /// Only where there is a collector of traces.
    pub traces: Option<TraceExporter>,
    /// Kept until the end of the process, behind its last line.
    pub writer: LineWriter,
}

/// Changes what is logged.
pub struct LogFilter(Box<dyn Fn(EnvFilter)>);

impl LogFilter {
    /// `filter` is known to parse.
    pub(crate) fn set(&self, filter: &str) {
        (self.0)(EnvFilter::new(filter));
    }
}

impl std::fmt::Debug for LogFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogFilter(…)")
    }
}

/// Starts logging for the whole process. A second call changes nothing.
///
/// # Errors
/// A machine that has no thread left; a collector's address that OpenTelemetry does not understand.
pub fn init(settings: &Telemetry, metrics: &Metrics) -> io::Result<Log> {
    init_to(io::stdout(), settings, metrics)
}

/// As [`init`], with lines for somebody else.
pub(crate) fn init_to(
    out: impl Write + Send + 'static,
    settings: &Telemetry,
    metrics: &Metrics,
) -> io::Result<Log> {
    let json = match settings.log {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !io::stdout().is_terminal(),
    };
    let (lines, writer) = Lines::to(out)?;
    let counted = lines.clone();
    metrics.count_dropped_lines(move || counted.dropped());
    let (events, handle) = reload::Layer::new(EnvFilter::new(&settings.filter));
    let traces = settings.otlp_endpoint.as_ref().map(|endpoint| otlp::open(settings, endpoint, metrics));
    let (tracer, traces) = traces.transpose()?.unzip();
    let export = tracer.map(|tracer| {
        let layer = tracing_opentelemetry::layer().with_tracer(tracer).with_context_activation(false);
        let layer = layer.with_tracked_inactivity(false).with_error_events_to_status(false);
        layer.with_location(false).with_threads(false).with_target(false)
    });
    let filter = Filter { events, are_spans_exported: export.is_some() };
    let registry = tracing_subscriber::registry().with(filter).with(export);
    let out = lines.clone();
    let lines_of_events = fmt::layer().with_writer(move || out.clone());
    let done = if json {
        let json = lines_of_events.fmt_fields(RequestIdOnly).event_format(JsonEvents::new());
        registry.with(json).try_init()
    } else {
        registry.with(lines_of_events.with_target(false)).try_init()
    };
    if let Err(error) = done {
        tracing::debug!(%error, "logging was started before");
    }
    let filter = LogFilter(Box::new(move |filter| {
        if let Err(error) = handle.reload(filter) {
            tracing::error!(code = Code::LogFilterNotSet.text(), %error, "what is logged cannot be changed");
        }
    }));
    let requests = RequestLog { json, reads: settings.sample_reads, lines: lines.clone() };
    Ok(Log { filter, lines, requests, traces, writer })
}

/// The filter of the settings decides about events, and nothing else does.
struct Filter<S> {
    events: reload::Layer<EnvFilter, S>,
    are_spans_exported: bool,
}

impl<S: Subscriber> Layer<S> for Filter<S> {
    fn register_callsite(&self, callsite: &'static Metadata<'static>) -> Interest {
        match callsite.is_span() {
            true if spans::is_wanted(callsite, self.are_spans_exported) => Interest::always(),
            true => Interest::never(),
            false => self.events.register_callsite(callsite),
        }
    }

    fn enabled(&self, callsite: &Metadata<'_>, context: Context<'_, S>) -> bool {
        if callsite.is_span() {
            spans::is_wanted(callsite, self.are_spans_exported)
        } else {
            self.events.enabled(callsite, context)
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.events.max_level_hint().map(|events| events.max(spans::LEVEL.into()))
    }
}
