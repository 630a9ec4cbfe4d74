//! What every page has: its frame, its style, and the headers that say that nothing else belongs to it.

use std::sync::LazyLock;

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, ContentType, HeaderName, HeaderValue, REFERRER_POLICY,
            VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use crate::proxy;

pub(crate) const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

const STYLE: &str = include_str!("style.css");
/// A wave.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Cpath fill='%230f5fa8' d='M2 22c5 0 6-10 13-12 5-1 9 2 9 6 0 3-3 5-5 3 4 0 3-5-1-5-5 0-6 8-1 8h13v6H2z'/%3E%3C/svg%3E";

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src data:; form-action 'self'; base-uri 'none'"
    )
});

/// Who may show a page within another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Nobody: a button could be pressed on it that the person does not see.
    Nobody,
    /// Anybody: there is nothing to press.
    Anybody,
}

/// Lets a page run this script of its own, and no other.
pub(super) fn allow_script(script: &str, page: &mut HttpResponse) {
    let Some(policy) = page.headers().get(CONTENT_SECURITY_POLICY).and_then(|policy| policy.to_str().ok())
    else {
        return;
    };
    let hash = BASE64_STANDARD.encode(Sha256::digest(script));
    if let Ok(policy) = HeaderValue::try_from(format!("{policy}; script-src 'sha256-{hash}'")) {
        page.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
}

pub(super) fn page(status: StatusCode, framing: Framing, title: &str, body: &Markup) -> HttpResponse {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) " · hokusai-gateway" }
                link rel="icon" href=(ICON);
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body) } }
        }
    };
    let mut response = HttpResponse::build(status);
    if framing == Framing::Nobody {
        response.insert_header((CONTENT_SECURITY_POLICY, format!("{}; frame-ancestors 'none'", *POLICY)));
        response.insert_header((X_FRAME_OPTIONS, "DENY"));
    } else {
        response.insert_header((CONTENT_SECURITY_POLICY, POLICY.as_str()));
    }
    response
        .insert_header(ContentType::html())
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((VARY, proxy::VARYING))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // Not `no-referrer`: with that a browser says that a form of this page has no origin.
        .insert_header((REFERRER_POLICY, "same-origin"))
        .insert_header((OPENER_POLICY, "same-origin"))
        .body(page.into_string())
}
