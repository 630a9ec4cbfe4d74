//! The names under which a request is found again: its id, and its place in a trace.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use rand::RngExt as _;
use uuid::{Builder, Uuid};

pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The id and the trace of one request; made once, when it begins.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The client's own `X-Request-Id` if it is 1 to 64 of `A-Za-z0-9._-`, else a new one.
    request_id: HeaderValue,
    trace: Trace,
    span: SpanId,
    /// Random: the names above a client can choose.
    draw: u32,
}

/// The trace that a request is a part of (W3C Trace Context, §3.2.2), in lower case hexadecimal digits.
#[derive(Debug, Clone, Copy)]
struct Trace {
    id: [u8; 32],
    /// The client's own span, if it has one.
    parent: Option<[u8; 16]>,
    flags: [u8; 2],
}

type SpanId = [u8; 16];

impl RequestContext {
    /// That of a request with these headers.
    pub fn of(headers: &HeaderMap) -> Self {
        let made = Builder::from_random_bytes(rand::rng().random()).into_uuid();
        Self {
            request_id: client_request_id(headers).cloned().unwrap_or_else(|| hyphenated(made)),
            trace: client_trace(headers).unwrap_or_else(|| Trace::new(made)),
            span: span_id(made),
            draw: made.as_u64_pair().1 as u32,
        }
    }

    /// A random number, by which sampling decides.
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

    /// 32 hexadecimal digits: the client's trace, else a new one.
    pub fn trace_id(&self) -> &str {
        text(&self.trace.id)
    }

    /// The client's own span, if it has one: 16 hexadecimal digits.
    pub(super) fn parent_id(&self) -> Option<&str> {
        self.trace.parent.as_ref().map(|id| text(id))
    }

    /// The gateway's own span: 16 hexadecimal digits.
    pub(super) fn span_id(&self) -> &str {
        text(&self.span)
    }

    /// The `traceparent` for MLflow: the same trace, with the gateway's own span as the parent
    /// (W3C Trace Context, §3.2).
    pub fn traceparent(&self) -> String {
        ["00", self.trace_id(), self.span_id(), text(&self.trace.flags)].join("-")
    }

    /// Whether whoever began the trace wants it kept (W3C Trace Context, §3.2.2.5.1).
    pub(super) fn is_sampled(&self) -> bool {
        u8::from_str_radix(text(&self.trace.flags), 16).is_ok_and(|flags| flags & 1 == 1)
    }
}

impl Trace {
    fn new(made: Uuid) -> Self {
        let mut id = [0; 32];
        made.simple().encode_lower(&mut id);
        Self { id, parent: None, flags: *b"01" }
    }
}

fn hyphenated(made: Uuid) -> HeaderValue {
    let mut id = Uuid::encode_buffer();
    HeaderValue::from_str(made.hyphenated().encode_lower(&mut id)).unwrap_or(HeaderValue::from_static(""))
}

/// Another number than the trace's, of the same random bits; never zero, for a version 4 has bits that are set.
fn span_id(made: Uuid) -> SpanId {
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

/// That of a valid `traceparent`: `00-<32 hex>-<16 hex>-<2 hex>`, lower case, ids not zero.
fn client_trace(headers: &HeaderMap) -> Option<Trace> {
    let mut parts = headers.get(TRACEPARENT)?.as_bytes().split(|byte| *byte == b'-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &[u8]| text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let not_zero = |text: &[u8]| text.iter().any(|byte| *byte != b'0');
    let valid = version == b"00"
        && parts.next().is_none()
        && [trace, parent, flags].into_iter().all(hex)
        && not_zero(trace)
        && not_zero(parent);
    let (id, parent, flags) = (trace.try_into().ok()?, parent.try_into().ok()?, flags.try_into().ok()?);
    valid.then_some(Trace { id, parent: Some(parent), flags })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(name: &str, value: &str) -> RequestContext {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
        RequestContext::of(&headers)
    }

    #[test]
    fn a_clients_request_id_is_taken_over_only_if_it_is_harmless() {
        for (sent, kept) in [
            ("abc-1.2_3", true),
            (&"a".repeat(64)[..], true),
            (&"a".repeat(65)[..], false),
            ("", false),
            ("a b", false),
            ("a\"b", false),
        ] {
            assert_eq!(context("x-request-id", sent).request_id() == sent, kept, "{sent}");
        }
    }

    #[test]
    fn a_valid_trace_goes_on_under_a_span_of_the_gateways_own() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let sent = format!("00-{trace}-00f067aa0ba902b7-00");
        let context = context("traceparent", &sent);
        assert_eq!(context.trace_id(), trace);
        let passed_on = context.traceparent();
        assert!(passed_on.starts_with(&format!("00-{trace}-")) && passed_on.ends_with("-00"), "{passed_on}");
        assert_ne!(passed_on, sent);
    }

    #[test]
    fn an_invalid_trace_is_replaced() {
        for sent in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_ne!(context("traceparent", sent).trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736", "{sent}");
        }
    }
}
