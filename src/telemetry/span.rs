//! The span of a request: the fields of its line, filled in by the steps that know them.

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
};
use tracing::{Span, field::Empty};
use tracing_actix_web::RootSpanBuilder;

use super::context::RequestContext;

/// The longest path that a line has, in bytes.
const LONGEST_PATH: usize = 2048;

/// Builds the span without what a stranger can put into a log: no query, no credential, no address that is only
/// claimed.
#[derive(Debug)]
pub struct GatewayRootSpan;

impl RootSpanBuilder for GatewayRootSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let context = RequestContext::of(request);
        let peer = request.head().peer_addr.map(|address| address.ip().to_canonical().to_string());
        tracing::info_span!(
            target: super::request_line::TARGET,
            "request",
            request_id = context.request_id,
            trace_id = context.trace_id,
            method = request.method().as_str(),
            route = Empty,
            path = &request.path()[..request.path().floor_char_boundary(LONGEST_PATH)],
            client_ip = peer,
            status = Empty,
            reason = Empty,
            key_id = Empty,
            user_id = Empty,
            cache = Empty,
            upstream_ms = Empty,
            bytes_in = Empty,
            bytes_out = Empty,
        )
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        span.record("status", status.as_u16());
    }
}
