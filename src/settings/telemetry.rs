//! What is told to the outside.

use tracing_subscriber::EnvFilter;

use super::{
    reader::Reader,
    value::{FromText, words},
};

/// `[telemetry]`
#[derive(Debug, Clone)]
pub struct Telemetry {
    pub log: LogFormat,
    /// Directives as in `RUST_LOG`, known to parse.
    pub filter: String,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    Json,
    Text,
}

words!(LogFormat, "auto" => Self::Auto, "json" => Self::Json, "text" => Self::Text);

struct Directives(String);

impl FromText for Directives {
    const FORM: &'static str = "a level such as info, or directives such as info,hokusai_gateway=debug";

    fn from_text(text: &str) -> Result<Self, String> {
        EnvFilter::try_new(text).map_err(|error| format!("is not a log filter: {error}"))?;
        Ok(Self(text.to_owned()))
    }
}

impl Telemetry {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let log = reader.value("telemetry.log");
        let filter = reader.value::<Directives>("telemetry.filter");
        Some(Self { log: log?, filter: filter?.0 })
    }
}
