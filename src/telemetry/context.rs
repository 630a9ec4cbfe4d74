//! The names under which a request is found again: its id, and its place in a trace.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use uuid::Uuid;

use super::{spans, trace_parent::TraceParent};

pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The id and the trace of one request; made once, when it begins. Ids of traces and spans are lower case hexadecimal
/// digits.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The client's own `X-Request-Id` if it is 1 to 64 of `A-Za-z0-9._-`, else a new one.
    request_id: HeaderValue,
    /// The client's trace, else a new one.
    trace_id: [u8; 32],
    /// The client's own span, if it has one.
    parent: Option<TraceParent>,
    /// The gateway's own span.
    span_id: [u8; 16],
    is_sampled: bool,
    /// Its span goes to a collector, as those of its calls do.
    is_exported: bool,
    /// A random number that no client can choose, unlike the ids.
    draw: u32,
}

impl RequestContext {
    /// That of a request with these headers; `random` is a UUID of version 4.
    pub fn new(headers: &HeaderMap, random: Uuid) -> Self {
        let parent = TraceParent::of(headers);
        Self {
            request_id: client_request_id(headers).cloned().unwrap_or_else(|| hyphenated(random)),
            trace_id: parent.map_or_else(|| trace_id(random), |parent| parent.trace_id),
            span_id: span_id(random),
            is_sampled: parent.is_none_or(|parent| parent.is_sampled),
            is_exported: false,
            parent,
            draw: random.as_u64_pair().1 as u32,
        }
    }

    /// The same for every sink of one request.
    pub(crate) fn draw(&self) -> u32 {
        self.draw
    }

    pub fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }

    /// The same, as a header has it.
    pub fn request_id_value(&self) -> &HeaderValue {
        &self.request_id
    }

    pub fn trace_id(&self) -> &str {
        text(&self.trace_id)
    }

    /// The client's own span, if it has one.
    pub(super) fn client_span(&self) -> Option<SpanContext> {
        let parent = self.parent?;
        let trace_id = TraceId::from_hex(text(&parent.trace_id)).ok()?;
        let span_id = SpanId::from_hex(text(&parent.span_id)).ok()?;
        let flags = if parent.is_sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
        Some(SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE))
    }

    /// Takes the ids of the span that a collector will know it by.
    pub(super) fn exported_as(&mut self, span: &SpanContext) {
        // Neither fails: each buffer has two digits for each byte.
        let _ = hex::encode_to_slice(span.trace_id().to_bytes(), &mut self.trace_id);
        let _ = hex::encode_to_slice(span.span_id().to_bytes(), &mut self.span_id);
        self.is_exported = true;
    }

    pub(crate) fn is_exported(&self) -> bool {
        self.is_exported
    }

    /// The `traceparent` for MLflow: the same trace, with the current span as the parent where spans are exported, else a
    /// span of the gateway's that nobody is told of (W3C Trace Context, §3.2).
    pub fn traceparent(&self) -> String {
        let mut span_id = self.span_id;
        if self.is_exported {
            let current = spans::current();
            if current.is_valid() {
                let _ = hex::encode_to_slice(current.span_id().to_bytes(), &mut span_id);
            }
        }
        let flags = if self.is_sampled { "01" } else { "00" };
        ["00", self.trace_id(), text(&span_id), flags].join("-")
    }

    /// The `tracestate` for MLflow, of a request with these headers: the client's, in one line, where the client's trace
    /// goes on. A new trace has none (W3C Trace Context, §4.3).
    pub fn tracestate(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        self.parent?;
        let values: Vec<_> = headers.get_all(TRACESTATE).map(HeaderValue::as_bytes).collect();
        HeaderValue::from_bytes(&values.join(&b',')).ok().filter(|state| !state.is_empty())
    }
}

fn hyphenated(made: Uuid) -> HeaderValue {
    let mut id = Uuid::encode_buffer();
    HeaderValue::from_str(made.hyphenated().encode_lower(&mut id)).unwrap_or(HeaderValue::from_static(""))
}

fn trace_id(made: Uuid) -> [u8; 32] {
    let mut id = [0; 32];
    made.simple().encode_lower(&mut id);
    id
}

/// Another number than the trace's, of the same random bits; never zero, for a version 4 has bits that are set.
fn span_id(made: Uuid) -> [u8; 16] {
    let (high, low) = made.as_u64_pair();
    let mut id = [0; 16];
    // Neither fails: the buffer has two digits for each byte.
    let _ = hex::encode_to_slice((high ^ low).max(1).to_be_bytes(), &mut id);
    id
}

fn text(digits: &[u8]) -> &str {
    str::from_utf8(digits).unwrap_or_default()
}

fn client_request_id(headers: &HeaderMap) -> Option<&HeaderValue> {
    let id = headers.get(X_REQUEST_ID)?;
    let usable = (1..=64).contains(&id.len())
        && id.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte));
    usable.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
        }
        headers
    }

    fn context(fields: &[(&str, &str)]) -> RequestContext {
        RequestContext::new(&headers(fields), Uuid::new_v4())
    }

    #[test]
    fn a_clients_request_id_is_used_only_if_it_is_harmless() {
        for (sent, kept) in [
            ("abc-1.2_3", true),
            (&"a".repeat(64)[..], true),
            (&"a".repeat(65)[..], false),
            ("", false),
            ("a b", false),
            ("a\"b", false),
        ] {
            assert_eq!(context(&[("x-request-id", sent)]).request_id() == sent, kept, "{sent}");
        }
    }

    #[test]
    fn a_valid_trace_goes_on_under_a_span_of_the_gateways_own() {
        let sent = format!("00-{TRACE}-00f067aa0ba902b7-00");
        let context = context(&[("traceparent", &sent)]);
        assert_eq!(context.trace_id(), TRACE);
        let passed_on = context.traceparent();
        assert!(passed_on.starts_with(&format!("00-{TRACE}-")) && passed_on.ends_with("-00"), "{passed_on}");
        assert_ne!(passed_on, sent);
    }

    #[test]
    fn a_new_trace_is_sampled() {
        let context = context(&[]);
        assert_eq!(context.traceparent(), format!("00-{}-{}-01", context.trace_id(), text(&context.span_id)));
    }

    #[test]
    fn a_state_goes_on_in_one_line_with_its_trace_and_not_without() {
        let valid = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let (traceparent, state) = (("traceparent", &*valid), ("tracestate", "a=1"));
        for (sent, passed_on) in [
            (&[traceparent, state][..], Some("a=1")),
            (&[traceparent, state, ("tracestate", "b=2,c=3")], Some("a=1,b=2,c=3")),
            (&[traceparent], None),
            (&[state], None),
            (&[("traceparent", "00-no-trace"), state], None),
            (&[traceparent, traceparent, state], None),
        ] {
            let passed = context(sent).tracestate(&headers(sent));
            assert_eq!(passed.as_ref().map(|state| state.to_str().unwrap()), passed_on, "{sent:?}");
            assert_eq!(context(sent).trace_id() == TRACE, context(sent).parent.is_some(), "{sent:?}");
        }
    }
}
