//! The way to another site, which a form of ours has led to.

use actix_web::{HttpResponse, http::StatusCode};
use maud::html;
use url::Url;

use super::sheet::{Framing, page};

/// In place of a redirect: browsers let `form-action` say where the redirects behind a form may lead, too, and an issuer may lead on to
/// anybody (w3c/webappsec-csp#8).
pub(crate) fn leave(title: &str, url: &Url) -> HttpResponse {
    let body = html! {
        h1 { (title) }
        p { "You are being taken to " (url.host_str().unwrap_or_default()) "." }
        nav { a href=(url) rel="noreferrer" { "Continue" } }
        meta http-equiv="refresh" content=(format!("0; url={url}"));
    };
    page(StatusCode::OK, Framing::Nobody, title, &body)
}
