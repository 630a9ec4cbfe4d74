//! The log's events as JSON lines, each with the id of its request.

use std::fmt::{self, Debug};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::{Format, Json, Writer, json},
    },
    registry::LookupSpan,
};

/// Writes an event with its fields side by side, and behind them the `request_id` of the span that it is in.
pub(super) struct JsonEvents(Format<Json>);

impl JsonEvents {
    pub(super) fn new() -> Self {
        Self(json().flatten_event(true).with_current_span(false).with_span_list(false))
    }
}

impl<S> FormatEvent<S, RequestIdOnly> for JsonEvents
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, RequestIdOnly>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(spans) = context.event_scope() else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::with_capacity(512);
        self.0.format_event(context, Writer::new(&mut line), event)?;
        for span in spans {
            let extensions = span.extensions();
            let id = extensions.get::<FormattedFields<RequestIdOnly>>().filter(|id| !id.is_empty());
            if let (Some(id), Some(fields)) = (id, line.strip_suffix("}\n")) {
                // Its characters need no escape.
                return writeln!(writer, "{fields},\"request_id\":\"{id}\"}}");
            }
        }
        writer.write_str(&line)
    }
}

/// Keeps of a span's fields the request's id, as it is: they are formatted for each request, and read for few.
pub(super) struct RequestIdOnly;

impl<'writer> FormatFields<'writer> for RequestIdOnly {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        fields.record(&mut IdWriter(writer));
        Ok(())
    }
}

struct IdWriter<'writer>(Writer<'writer>);

impl Visit for IdWriter<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "request_id" {
            // A string takes whatever is written.
            let _ = self.0.write_str(value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}
