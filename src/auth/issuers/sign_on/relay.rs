//! The requests of openidconnect, which speaks no HTTP itself, by the gateway's client.

use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use awc::http::Method;
use openidconnect::{HttpRequest, HttpResponse, http::Response};
use url::Url;

use crate::{
    auth::issuers::{
        ask::{Answer, ask},
        fault::KeysFault,
    },
    http_client::Tls,
};

/// Between the types of http 1 and those of http 0.2, which actix has.
pub(super) async fn relay(tls: Option<&Tls>, request: HttpRequest) -> Result<HttpResponse, KeysFault> {
    let (head, body) = request.into_parts();
    let url = Url::parse(&head.uri.to_string()).map_err(|_| KeysFault::NoTokens)?;
    let method = Method::from_bytes(head.method.as_str().as_bytes()).map_err(|_| KeysFault::NoTokens)?;
    let headers: HeaderMap = head
        .headers
        .iter()
        .filter_map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
            Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
        })
        .collect();
    let Answer { status, headers, body } = ask(&url, tls, method, headers, body.into()).await?;
    let mut answer = Response::builder().status(status.as_u16());
    if let Some(content_type) = headers.get(CONTENT_TYPE) {
        answer = answer.header("content-type", content_type.as_bytes());
    }
    answer.body(body.to_vec()).map_err(|_| KeysFault::NoTokens)
}
