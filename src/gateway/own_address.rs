//! What a client with a good key may ask about itself: the address by which the gateway knows it.
//!
//! Only then, and never a stranger: where a load balancer is not trusted, the answer is an address of the network inside.

use std::net::IpAddr;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

/// The question: `X-Hokusai-Tell: client-ip`.
const ASKED: HeaderName = HeaderName::from_static("x-hokusai-tell");
/// The answer, on the response whatever it is.
const ANSWER: HeaderName = HeaderName::from_static("x-hokusai-client-ip");

/// The address, if it is asked for.
pub(super) fn asked_for(headers: &HeaderMap, address: Option<IpAddr>) -> Option<IpAddr> {
    address.filter(|_| headers.get(ASKED).is_some_and(|asked| asked == "client-ip"))
}

pub(super) fn tell(address: Option<IpAddr>, headers: &mut HeaderMap) {
    let value = address.and_then(|address| HeaderValue::try_from(address.to_string()).ok());
    if let Some(value) = value {
        headers.insert(ANSWER, value);
    }
}
