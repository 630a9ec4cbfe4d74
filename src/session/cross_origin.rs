//! Requests that pages of other origins make with what a browser remembers of us: its cookies and its Basic credentials.
//!
//! A key in another header is no browser's doing, and may come from anywhere.

use actix_web::{
    dev::RequestHead,
    http::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN},
};
use url::{Origin, Url};

use super::browser::SITE;
use crate::{client_ip::Client, settings::WebOrigin};

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Why a request is a foreign page's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrossOrigin {
    /// With the origin that the request itself has.
    #[error(
        "a page of another origin than {0} asked for this with a browser's credentials: it may not, unless \
         server.cors.allowed_origins names it"
    )]
    Foreign(String),
    #[error(
        "the page was opened over https, and the gateway was reached over http: its operator has to name the load balancer in \
         server.trusted_proxies, and it has to say `X-Forwarded-Proto: https`"
    )]
    SchemeUnknown,
}

/// Whether a browser's credentials may be used for a change that this head asks for.
///
/// # Errors
/// A page of another origin asks for it, or one of which the browser does not say the origin.
pub(crate) fn check(
    head: &RequestHead,
    client: Client,
    is_host_told: bool,
    allowed: &[WebOrigin],
) -> Result<(), CrossOrigin> {
    let headers = head.headers();
    let mut origins = headers.get_all(ORIGIN);
    let (origin, more) = (origins.next(), origins.next());
    let Some(origin) = origin else {
        // Browsers leave it out where a request is not another origin's, and programs always do.
        let site = headers.get(SITE).map(HeaderValue::as_bytes);
        let is_ours = matches!(site, None | Some(b"same-origin" | b"none"));
        return if is_ours { Ok(()) } else { Err(foreign(head, client, is_host_told)) };
    };
    let Some(origin) = origin.to_str().ok().filter(|_| more.is_none()) else {
        return Err(foreign(head, client, is_host_told));
    };
    if allowed.iter().any(|allowed| allowed.as_str() == origin) {
        return Ok(());
    }
    let Some(page) = Url::parse(origin).ok().map(|url| url.origin()).filter(Origin::is_tuple) else {
        return Err(foreign(head, client, is_host_told));
    };
    let hosts = hosts(headers, is_host_told);
    if hosts.iter().any(|host| own_origin(client.secure, host).as_ref() == Some(&page)) {
        Ok(())
    } else if !client.secure && hosts.iter().any(|host| own_origin(true, host).as_ref() == Some(&page)) {
        Err(CrossOrigin::SchemeUnknown)
    } else {
        Err(foreign(head, client, is_host_told))
    }
}

/// The address of the gateway in the browser, as far as its host: at the name that a trusted balancer says, else at that of `Host`.
pub(crate) fn own_address(head: &RequestHead, client: Client, is_host_told: bool) -> Option<String> {
    let own = hosts(head.headers(), is_host_told).first().and_then(|host| own_origin(client.secure, host))?;
    Some(own.ascii_serialization())
}

/// The hosts that the client may have used: the balancer's word counts where there is a trusted one. Of several each adds its own.
fn hosts(headers: &HeaderMap, is_host_told: bool) -> Vec<&str> {
    let forwarded = headers.get_all(X_FORWARDED_HOST).filter(|_| is_host_told);
    let lines = forwarded.chain(headers.get_all(HOST)).filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).collect()
}

fn own_origin(is_secure: bool, host: &str) -> Option<Origin> {
    let scheme = if is_secure { "https" } else { "http" };
    Url::parse(&format!("{scheme}://{}", host.trim())).ok().map(|url| url.origin())
}

fn foreign(head: &RequestHead, client: Client, is_host_told: bool) -> CrossOrigin {
    let own = own_address(head, client, is_host_told);
    CrossOrigin::Foreign(own.unwrap_or_else(|| "the gateway's".to_owned()))
}
