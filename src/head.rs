//! The first step: refuses heads that different servers read differently.
//!
//! They are legal, or nearly: actix-http has already refused what RFC 9112 forbids in framing and field syntax.

use actix_web::{
    dev::RequestHead,
    http::{
        Method, Version,
        header::{CONTENT_LENGTH, EXPECT, HOST, HeaderMap, TRANSFER_ENCODING, UPGRADE, VIA},
        uri::Authority,
    },
};

/// The methods that MLflow's API, its UI and its artifact proxy use.
pub(crate) const METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// The gateway's pseudonym in `Via` (RFC 9110 §7.6.3): a request that has it was forwarded by a gateway before. It is not a possible
/// host name of another proxy.
pub(crate) const PSEUDONYM: &str = "hokusai-gateway-hop";

/// An inspected head; made by [`inspect`] only.
#[derive(Debug, Clone, Copy)]
pub struct SoundHead<'a>(&'a RequestHead);

impl<'a> SoundHead<'a> {
    pub fn get(self) -> &'a RequestHead {
        self.0
    }
}

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    #[error("this method is not allowed")]
    Method,
    #[error("the request has come from a gateway: mlflow.url leads to a gateway, and not to MLflow")]
    Loop,
    #[error("a header's name has `_`, which some servers read as `-`")]
    Underscore,
    #[error("the Host header is not a host")]
    Host,
    #[error("a HEAD request has a body, which some servers read and some do not")]
    Body,
    #[error("the target names another host than the Host header")]
    OtherHost,
    #[error("protocol upgrades are not supported")]
    Upgrade,
    #[error("the only expectation that can be met is 100-continue")]
    Expectation,
}

/// # Errors
/// The head is ambiguous, or asks for something that the gateway does not support.
pub fn inspect(head: &RequestHead) -> Result<SoundHead<'_>, HeadError> {
    if !METHODS.contains(&head.method) {
        return Err(HeadError::Method);
    }
    if has_been_here(&head.headers) {
        return Err(HeadError::Loop);
    }
    if head.headers.keys().any(|name| name.as_str().contains('_')) {
        return Err(HeadError::Underscore);
    }
    host(head)?;
    // A GET may have one: MLflow reads parameters from it (policy/body.rs).
    if head.method == Method::HEAD && has_body(&head.headers) {
        return Err(HeadError::Body);
    }
    // After an upgrade to WebSocket the rest of the connection would be this request's body. Other upgrades are ignored
    // (RFC 9110 §7.8).
    let websocket = |value: &str| value.to_ascii_lowercase().contains("websocket");
    if head.headers.get_all(UPGRADE).any(|value| value.to_str().map_or(true, websocket)) {
        return Err(HeadError::Upgrade);
    }
    if head.headers.get_all(EXPECT).any(|value| !value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Err(HeadError::Expectation);
    }
    Ok(SoundHead(head))
}

/// Whether any gateway has forwarded this request before; behind a load balancer it may be another instance.
pub(crate) fn has_been_here(headers: &HeaderMap) -> bool {
    headers.get_all(VIA).any(|value| {
        let value = value.as_bytes().to_ascii_lowercase();
        memchr::memmem::find(&value, PSEUDONYM.as_bytes()).is_some()
    })
}

/// Whether a head announces a body that is not empty.
pub(crate) fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0")
}

/// One host, the same in `Host` and in an absolute target (RFC 9110 §7.2, RFC 9112 §3.2.2).
fn host(head: &RequestHead) -> Result<(), HeadError> {
    let Some(host) = head.headers.get(HOST) else {
        return if head.version < Version::HTTP_11 { Ok(()) } else { Err(HeadError::Host) };
    };
    let authority = Authority::try_from(host.as_bytes()).map_err(|_| HeadError::Host)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
    if authority.host().is_empty() || !authority.as_str().bytes().all(plain) {
        return Err(HeadError::Host);
    }
    match head.uri.authority() {
        Some(named) if *named != authority => Err(HeadError::OtherHost),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn outcome(target: &str, headers: &[(&str, &str)]) -> Result<(), HeadError> {
        let mut request = TestRequest::with_uri(target);
        for header in headers {
            request = request.append_header(*header);
        }
        inspect(request.to_http_request().head()).map(|_| ())
    }

    #[test]
    fn methods_that_mlflow_does_not_use_are_refused() {
        for method in ["TRACE", "CONNECT", "OPTIONS", "PROPFIND", "get"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let request = TestRequest::default().method(method.clone()).insert_header(("host", "a"));
            let outcome = inspect(request.to_http_request().head()).map(|_| ());
            assert_eq!(outcome, Err(HeadError::Method), "{method}");
        }
    }

    #[test]
    fn a_host_is_one_host() {
        for host in ["mlflow", "mlflow.example.com:8443", "127.0.0.1:80", "[::1]:8001", "a-b.c_d"] {
            assert_eq!(outcome("/", &[("host", host)]), Ok(()), "{host}");
        }
        for host in ["", "a b", "a/..", "u@evil", "a,b", "a?b", "a#b", "a:b:c", "é"] {
            assert_eq!(outcome("/", &[("host", host)]), Err(HeadError::Host), "{host}");
        }
        assert_eq!(outcome("/", &[]), Err(HeadError::Host));
    }

    #[test]
    fn a_target_in_absolute_form_names_the_same_host() {
        let host = ("host", "mlflow:80");
        assert_eq!(outcome("http://mlflow:80/x", &[host]), Ok(()));
        assert_eq!(outcome("http://evil/x", &[host]), Err(HeadError::OtherHost));
    }

    #[test]
    fn ambiguous_heads_and_unsupported_expectations_are_refused() {
        for (name, value, error) in [
            ("content_length", "5", HeadError::Underscore),
            ("x_hokusai_user_id", "eve", HeadError::Underscore),
            ("upgrade", "websocket", HeadError::Upgrade),
            ("upgrade", "h2c, WebSocket", HeadError::Upgrade),
            ("expect", "bogus", HeadError::Expectation),
            ("expect", "100-continue, bogus", HeadError::Expectation),
            ("via", "1.1 hokusai-gateway-hop", HeadError::Loop),
            ("via", "1.1 cdn.example (a comment), 1.1 Hokusai-Gateway-Hop:8001", HeadError::Loop),
            ("via", "1.1 caché,1.1 hokusai-gateway-hop", HeadError::Loop),
        ] {
            assert_eq!(outcome("/", &[("host", "a"), (name, value)]), Err(error), "{name}: {value}");
        }
        for (name, value) in
            [("upgrade", "h2c"), ("expect", "100-Continue"), ("via", "1.1 cdn, 2 hokusai-gateway")]
        {
            assert_eq!(outcome("/", &[("host", "a"), (name, value)]), Ok(()), "{name}: {value}");
        }
    }
}
