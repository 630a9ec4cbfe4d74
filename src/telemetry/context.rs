//! The names under which a request is found again: its id, and its place in a trace.
//!
//! Both are derived from the client's headers and the id that tracing-actix-web gives every request, so that each
//! step that needs them computes the same ones and nothing has to be carried along.

use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
};
use tracing_actix_web::RequestId;

pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The id and the trace of one request.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The client's own `X-Request-Id` if it is 1 to 64 of `A-Za-z0-9._-`, else a new one.
    pub request_id: String,
    /// 32 hexadecimal digits: the client's trace, else a new one.
    pub trace_id: String,
    /// 16 hexadecimal digits: the client's own span, if it has one.
    pub(super) parent_id: Option<String>,
    span_id: u64,
    flags: String,
}

impl RequestContext {
    /// The context of a request inside the tracing middleware.
    pub fn of(request: &impl HttpMessage) -> Self {
        let generated = request.extensions().get::<RequestId>().map(|id| **id).unwrap_or_default();
        let (high, low) = generated.as_u64_pair();
        let headers = request.headers();
        let (trace_id, parent_id, flags) = client_trace(headers).map_or_else(
            || (generated.simple().to_string(), None, "01".to_owned()),
            |(id, parent, flags)| (id.into(), Some(parent.into()), flags.into()),
        );
        Self {
            request_id: client_request_id(headers).map_or_else(|| generated.to_string(), str::to_owned),
            trace_id,
            parent_id,
            span_id: (high ^ low).max(1),
            flags,
        }
    }

    /// The `traceparent` for MLflow: the same trace, with the gateway's own span as the parent
    /// (W3C Trace Context, §3.2).
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-{}", self.trace_id, self.span_id(), self.flags)
    }

    /// The gateway's own span: 16 hexadecimal digits.
    pub(super) fn span_id(&self) -> String {
        format!("{:016x}", self.span_id)
    }

    /// Whether whoever began the trace wants it kept (W3C Trace Context, §3.2.2.5.1).
    pub(super) fn is_sampled(&self) -> bool {
        u8::from_str_radix(&self.flags, 16).is_ok_and(|flags| flags & 1 == 1)
    }
}

fn client_request_id(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get(X_REQUEST_ID)?.to_str().ok()?;
    let usable = (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    usable.then_some(id)
}

/// The trace id, the parent's id and the flags of a valid `traceparent`: `00-<32 hex>-<16 hex>-<2 hex>`, lower case, ids not zero.
fn client_trace(headers: &HeaderMap) -> Option<(&str, &str, &str)> {
    let value = headers.get(TRACEPARENT)?.to_str().ok()?;
    let mut parts = value.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let not_zero = |text: &str| text.bytes().any(|byte| byte != b'0');
    let valid = version == "00"
        && parts.next().is_none()
        && hex(trace, 32)
        && hex(parent, 16)
        && hex(flags, 2)
        && not_zero(trace)
        && not_zero(parent);
    valid.then_some((trace, parent, flags))
}

/// Puts `X-Request-Id` on every response.
///
/// # Errors
/// Those of the wrapped service.
pub async fn stamp_request_id(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let id = RequestContext::of(&request).request_id;
    let mut response = next.call(request).await?;
    if let Ok(value) = HeaderValue::try_from(id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn context(name: &str, value: &str) -> RequestContext {
        RequestContext::of(&TestRequest::default().insert_header((name, value)).to_srv_request())
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
            assert_eq!(context("x-request-id", sent).request_id == sent, kept, "{sent}");
        }
    }

    #[test]
    fn a_valid_trace_goes_on_under_a_span_of_the_gateways_own() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let sent = format!("00-{trace}-00f067aa0ba902b7-00");
        let context = context("traceparent", &sent);
        assert_eq!(context.trace_id, trace);
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
            assert_ne!(context("traceparent", sent).trace_id, "4bf92f3577b34da6a3ce929d0e0e4736", "{sent}");
        }
    }
}
