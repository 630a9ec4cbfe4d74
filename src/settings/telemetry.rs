//! Logs, metrics for CloudWatch, and traces.

use std::time::Duration;

use tracing_subscriber::EnvFilter;
use url::Url;

use super::{
    reader::{Noted, Reader},
    value::{FromText, section, words},
};

/// `[telemetry]`
#[derive(Debug, Clone)]
pub struct Telemetry {
    pub log: LogFormat,
    /// The share of successful reads that are logged.
    pub sample_reads: Share,
    /// Whether metrics for CloudWatch are written to the log, and how often.
    pub emf: bool,
    pub emf_interval: Duration,
    /// The trace collector, if there is one.
    pub otlp_endpoint: Option<Url>,
    /// The dimensions `Service` and `Env` of metrics and spans.
    pub service: String,
    pub env: String,
    /// Directives as in `RUST_LOG`, known to parse.
    pub filter: String,
}

words! {
    /// The format of log lines.
    pub enum LogFormat {
        /// Text on a terminal, else JSON.
        Auto = "auto",
        Json = "json",
        Text = "text",
    }
}

/// A share: 0 is none, 1 is all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share(pub f64);

impl FromText for Share {
    const FORM: &'static str = "a number from 0 to 1, such as 0.1";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        let share: f64 = text.parse().map_err(|_| "is not a number")?;
        if (0.0..=1.0).contains(&share) { Ok(Self(share)) } else { Err("is not from 0 to 1") }
    }
}

struct Directives(String);

impl FromText for Directives {
    const FORM: &'static str = "a level such as info, or directives such as info,hokusai_gateway=debug";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        EnvFilter::try_new(text).map_err(|_| "is not a log filter")?;
        Ok(Self(text.to_owned()))
    }
}

impl Telemetry {
    pub(super) fn read(reader: &mut Reader) -> Result<Self, Noted> {
        section!(Self {
            log: reader.value("telemetry.log"),
            sample_reads: reader.value("telemetry.sample_reads"),
            emf: reader.value("telemetry.emf"),
            emf_interval: reader.value("telemetry.emf_interval"),
            otlp_endpoint: reader.optional("telemetry.otlp_endpoint"),
            service: reader.value("telemetry.service"),
            env: reader.value("telemetry.env"),
            filter: reader.value::<Directives>("telemetry.filter").map(|filter| filter.0),
        })
    }
}
