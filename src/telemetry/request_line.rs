//! Writes the one line of a request when its span closes, which is after the last byte of its response.

use std::{fmt, io::Write as _, time::Instant};

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_appender::non_blocking::NonBlocking;
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::exchange::{GONE, milliseconds};
use crate::settings::Share;

/// The target of request spans, by which this layer knows them.
pub(super) const TARGET: &str = "hokusai_gateway::request";

/// A layer that writes request lines to standard output.
#[derive(Debug)]
pub(super) struct RequestLines {
    pub(super) json: bool,
    /// The share of successful reads that get a line.
    pub(super) reads: Share,
    pub(super) out: NonBlocking,
}

struct Line {
    started: Instant,
    fields: Fields,
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }
}

impl<S> Layer<S> for RequestLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(Line { started: Instant::now(), fields });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(line) = span.extensions_mut().get_mut::<Line>() {
            values.record(&mut line.fields);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(Line { started, fields: Fields(mut fields) }) = span.extensions_mut().remove::<Line>()
        else {
            return;
        };
        if !fields.contains_key("status") {
            fields.insert("status".to_owned(), GONE.into());
        }
        fields.insert("latency_ms".to_owned(), milliseconds(started.elapsed()).into());
        if is_successful_read(&fields) && !self.reads.includes(&fields) {
            return;
        }
        let line = if self.json { json(fields) } else { text(&fields) };
        // A log that cannot be written is no reason to fail a request.
        let _ = self.out.clone().write_all(line.as_bytes());
    }
}

/// What sampling may leave out: never an error, and nothing that changed anything.
fn is_successful_read(fields: &Map<String, Value>) -> bool {
    let route = fields.get("route").and_then(Value::as_str).unwrap_or_default();
    let status = fields.get("status").and_then(Value::as_u64).unwrap_or_default();
    ["read", "artifact_read", "ui", "open"].contains(&route)
        && (200..400).contains(&status)
        && !fields.contains_key("reason")
}

impl Share {
    /// By the trace's id, so that every service that samples like this keeps the same traces.
    fn includes(self, fields: &Map<String, Value>) -> bool {
        let id = fields.get("trace_id").and_then(Value::as_str).unwrap_or_default();
        let last =
            id.get(id.len().saturating_sub(8)..).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        f64::from(last.unwrap_or_default()) < self.0 * (f64::from(u32::MAX) + 1.0)
    }
}

fn json(fields: Map<String, Value>) -> String {
    let mut line = Map::new();
    line.insert("timestamp".to_owned(), Timestamp::now().to_string().into());
    line.insert("level".to_owned(), "INFO".into());
    line.insert("message".to_owned(), "request".into());
    line.extend(fields);
    format!("{}\n", Value::Object(line))
}

fn text(fields: &Map<String, Value>) -> String {
    let mut line = format!("{:.6} INFO request", Timestamp::now());
    for (name, value) in fields {
        line.push_str(&format!(" {name}={value}"));
    }
    line.push('\n');
    line
}
