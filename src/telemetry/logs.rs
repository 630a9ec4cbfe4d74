//! Where events go: standard output, as JSON lines or as text, by a thread of its own. Whoever logs never waits for it.

use std::io::{self, IsTerminal as _, Write};

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

use tracing_subscriber::{
    EnvFilter, Layer as _, filter::filter_fn, fmt, layer::SubscriberExt as _, reload,
    util::SubscriberInitExt as _,
};

use super::{
    Metrics,
    request_line::{RequestLines, TARGET},
};
use crate::settings::{LogFormat, Telemetry};

/// Lines that may wait for standard output to take them; what is more is dropped, and counted.
const WAITING: usize = 16 * 1024;

/// The log of the process.
#[derive(Debug)]
pub struct Log {
    pub filter: LogFilter,
    /// Where its lines go, for others that write whole lines.
    pub lines: NonBlocking,
    /// Kept until the end of the process, behind its last line.
    pub writer: WorkerGuard,
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
pub fn init(settings: &Telemetry, metrics: &Metrics) -> Log {
    init_to(io::stdout(), settings, metrics)
}

/// As [`init`], with lines for somebody else.
pub(crate) fn init_to(out: impl Write + Send + 'static, settings: &Telemetry, metrics: &Metrics) -> Log {
    let json = match settings.log {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !io::stdout().is_terminal(),
    };
    let (out, writer) =
        NonBlockingBuilder::default().buffered_lines_limit(WAITING).thread_name("log").finish(out);
    let dropped = out.error_counter();
    metrics.count_dropped_lines(move || dropped.dropped_lines());
    let events = filter_fn(|metadata| metadata.is_event());
    let requests = filter_fn(|metadata| metadata.is_span() && metadata.target() == TARGET);
    let (filter, handle) = reload::Layer::new(EnvFilter::new(&settings.filter));
    let (lines, requests_out) = (out.clone(), out.clone());
    let request_lines = RequestLines { json, reads: settings.sample_reads, out: requests_out };
    let registry = tracing_subscriber::registry().with(filter).with(request_lines.with_filter(requests));
    let done = if json {
        registry.with(fmt::layer().json().flatten_event(true).with_writer(out).with_filter(events)).try_init()
    } else {
        registry.with(fmt::layer().with_target(false).with_writer(out).with_filter(events)).try_init()
    };
    if let Err(error) = done {
        tracing::debug!(%error, "logging was started before");
    }
    let filter = LogFilter(Box::new(move |filter| {
        if let Err(error) = handle.reload(filter) {
            tracing::error!(%error, "what is logged cannot be changed");
        }
    }));
    Log { filter, lines, writer }
}
