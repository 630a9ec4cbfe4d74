//! Where events go: standard output, as JSON lines or as text.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{
    EnvFilter, Layer as _, filter::filter_fn, fmt, layer::SubscriberExt as _, reload,
    util::SubscriberInitExt as _,
};

use super::request_line::{RequestLines, TARGET};
use crate::settings::{LogFormat, Telemetry};

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
pub fn init(settings: &Telemetry) -> LogFilter {
    let json = match settings.log {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !io::stdout().is_terminal(),
    };
    let events = filter_fn(|metadata| metadata.is_event());
    let requests = filter_fn(|metadata| metadata.is_span() && metadata.target() == TARGET);
    let (filter, handle) = reload::Layer::new(EnvFilter::new(&settings.filter));
    let registry =
        tracing_subscriber::registry().with(filter).with(RequestLines { json }.with_filter(requests));
    let done = if json {
        registry.with(fmt::layer().json().flatten_event(true).with_filter(events)).try_init()
    } else {
        registry.with(fmt::layer().with_target(false).with_filter(events)).try_init()
    };
    if let Err(error) = done {
        tracing::debug!(%error, "logging was started before");
    }
    LogFilter(Box::new(move |filter| {
        if let Err(error) = handle.reload(filter) {
            tracing::error!(%error, "what is logged cannot be changed");
        }
    }))
}
