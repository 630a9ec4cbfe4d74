//! Where events go: standard output, as JSON lines or as text, by a thread of its own. Whoever logs never waits for it.

use std::io::{self, IsTerminal as _, Write};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _};

use super::{
    Metrics,
    lines::{LineWriter, Lines},
    request_line::RequestLog,
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
/// A machine that has no thread left.
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
    let (filter, handle) = reload::Layer::new(EnvFilter::new(&settings.filter));
    let registry = tracing_subscriber::registry().with(filter);
    let out = lines.clone();
    let done = if json {
        registry.with(fmt::layer().json().flatten_event(true).with_writer(move || out.clone())).try_init()
    } else {
        registry.with(fmt::layer().with_target(false).with_writer(move || out.clone())).try_init()
    };
    if let Err(error) = done {
        tracing::debug!(%error, "logging was started before");
    }
    let filter = LogFilter(Box::new(move |filter| {
        if let Err(error) = handle.reload(filter) {
            tracing::error!(code = Code::LogUnchanged.text(), %error, "what is logged cannot be changed");
        }
    }));
    let requests = RequestLog { json, reads: settings.sample_reads, lines: lines.clone() };
    Ok(Log { filter, lines, requests, writer })
}
