//! Whether a request is sent once more.

use std::cell::Cell;

use actix_web::web::Payload;

use super::{
    Forwarded, ProxyError,
    balancer::{Balancer, Lease},
    error::Retry,
    request_body::RequestFraming,
};

/// Whether to try once more, without doing anything twice: at another server if this one could not be connected to; or, if the
/// connection ended before a byte of the response, for an idempotent method without a body (RFC 9110 §9.2.2).
pub(super) fn may_retry(
    error: &ProxyError,
    pool: &Balancer,
    lease: &Lease<'_>,
    forwarded: Forwarded<'_>,
    body: &Cell<Option<Payload>>,
) -> bool {
    match error.retry() {
        Retry::Elsewhere => {
            let untouched = body.take();
            let is_untouched = untouched.is_some();
            body.set(untouched);
            is_untouched && pool.has_other_than(&lease.member.upstream)
        }
        Retry::IfRepeatable => is_repeatable(forwarded),
        Retry::Never => false,
    }
}

/// Whether the request may be sent to MLflow twice.
pub(super) fn is_repeatable(Forwarded { request, framing, .. }: Forwarded<'_>) -> bool {
    matches!(framing, RequestFraming::None | RequestFraming::Length(0)) && request.method().is_idempotent()
}
