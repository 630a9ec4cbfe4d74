//! What nginx says in the place of a server that it stands before: it ends TLS with everybody, and refuses by a page.

use super::{Fault, excerpt, handshake::client_certificate, site::Answer};
use crate::code::Code;

/// Whose address it is, and how it is spoken to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) url: &'a url::Url,
    pub(super) written_as: &'a str,
    pub(super) ca_written_as: &'a str,
    /// Whether there is a certificate to show.
    pub(super) has_certificate: bool,
}

/// What such a page means, if this is one.
pub(super) fn fault(answer: &Answer, asked: Asked<'_>) -> Option<Fault> {
    let Asked { url, written_as, ca_written_as, has_certificate } = asked;
    if answer.status.as_u16() != 400 {
        return None;
    }
    let text = answer.text();
    if text.contains("No required SSL certificate was sent") || text.contains("The SSL certificate error") {
        let what = format!("{url} wants to be shown a certificate: {}", excerpt(answer));
        let by = "an authority that the server knows (nginx: ssl_client_certificate)";
        return Some(client_certificate(ca_written_as, what, has_certificate, None, by));
    }
    if text.contains("plain HTTP request was sent to HTTPS port") {
        let mut fixed = url.clone();
        let _ = fixed.set_scheme("https");
        let what = format!("what listens at {url} speaks TLS: {}", excerpt(answer));
        let fix = format!("{written_as} = \"{fixed}\"");
        return Some(Fault::new(Code::TlsExpected, what, "the address says http", fix));
    }
    None
}
