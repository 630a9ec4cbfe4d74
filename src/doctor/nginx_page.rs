//! Error pages of an nginx in front of a server. nginx accepts every TLS connection, and refuses a client with a page.

use url::Url;

use super::{Endpoint, Fault, excerpt, handshake::client_certificate, site::Response};
use crate::code::Code;

/// The fault behind such a page; `None` if this is not one. `has_certificate`: whether the gateway has one for this server.
pub(super) fn fault(
    answer: &Response,
    url: &Url,
    endpoint: &Endpoint,
    has_certificate: bool,
) -> Option<Fault> {
    if answer.status.as_u16() != 400 {
        return None;
    }
    let text = answer.text();
    if text.contains("No required SSL certificate was sent") || text.contains("The SSL certificate error") {
        let what = format!("{url} requires a client certificate: {}", excerpt(answer));
        let by = "an authority that the server knows (nginx: ssl_client_certificate)";
        return Some(client_certificate(endpoint.ca_setting, what, has_certificate, None, by));
    }
    if text.contains("plain HTTP request was sent to HTTPS port") {
        return Some(tls_expected(url, endpoint, &format!(": {}", excerpt(answer))));
    }
    None
}

/// An http:// address of a server that speaks TLS.
pub(super) fn tls_expected(url: &Url, endpoint: &Endpoint, details: &str) -> Fault {
    let mut fixed = url.clone();
    let _ = fixed.set_scheme("https");
    Fault::new(
        Code::TlsExpected,
        format!("the server at {url} speaks TLS{details}"),
        "the address says http",
        format!("{} = \"{fixed}\"", endpoint.setting),
    )
}
