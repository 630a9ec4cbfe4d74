//! What of a request only browsers send.

use std::net::IpAddr;

use actix_web::{
    dev::RequestHead,
    http::{
        Method,
        header::{ACCEPT, HOST, HeaderMap, HeaderName, USER_AGENT},
    },
};

/// Set by browsers, never by a page's script (Fetch Metadata Request Headers).
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
pub(super) const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Where a browser shows what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// In a tab of its own.
    AsPage,
    /// Within a page, which may be another's.
    InFrame,
}

/// Where a page is shown that a person opens; `None`: nobody opens a page. Browsers before 2023 say it by `Accept` alone.
pub(crate) fn opens(head: &RequestHead) -> Option<Shown> {
    if ![Method::GET, Method::HEAD].contains(&head.method) {
        return None;
    }
    let text = |name| head.headers().get(name).and_then(|value| value.to_str().ok());
    match (text(MODE), text(DEST)) {
        (Some("navigate"), None | Some("document")) => Some(Shown::AsPage),
        (Some("navigate"), Some(_)) => Some(Shown::InFrame),
        (Some(_), _) => None,
        (None, _) => text(ACCEPT).is_some_and(|types| types.contains("text/html")).then_some(Shown::AsPage),
    }
}

/// Whether a browser sent it, which would ask for a password itself where it is told of Basic.
pub(crate) fn is_browsers(headers: &HeaderMap) -> bool {
    let agent = headers.get(USER_AGENT).map(|agent| agent.as_bytes());
    headers.contains_key(MODE) || agent.is_some_and(|agent| agent.starts_with(b"Mozilla/"))
}

/// Whether the address in the browser is one of its own machine, which nobody can listen to.
pub(crate) fn is_at_loopback(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let is_localhost =
        name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost");
    is_localhost || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
