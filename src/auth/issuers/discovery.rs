//! Where an issuer has its keys (OpenID Connect Discovery 1.0 §4), and what it answers there.

use std::time::Duration;

use actix_web::{
    http::{
        StatusCode,
        header::{ACCEPT, HeaderMap, USER_AGENT},
        uri::PathAndQuery,
    },
    web::Bytes,
};
use awc::http::Method;
use serde::Deserialize;
use tokio::time::timeout;
use url::Url;

use super::{fault::KeysFault, key_set::KeySet};
use crate::{
    http_client::{Connections, HttpClient, Reuse, Tls},
    settings::{Issuer, is_here},
};

/// Time for one answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes: a hundred keys with certificates.
pub(super) const MAX_ANSWER: usize = 256 * 1024;

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

/// The keys of an issuer as it publishes them now.
pub(super) async fn keys(issuer: &Issuer, tls: Option<&Tls>) -> Result<KeySet, KeysFault> {
    let url = match &issuer.jwks_url {
        Some(url) => url.clone(),
        None => {
            let at = document_url(issuer)?;
            keys_url(issuer, &at, &get(&at, tls).await?.body)?
        }
    };
    key_set(issuer, &url, &get(&url, tls).await?.body)
}

/// Where an issuer has its discovery document.
pub(crate) fn document_url(issuer: &Issuer) -> Result<Url, KeysFault> {
    let address = format!("{}/.well-known/openid-configuration", issuer.issuer.trim_end_matches('/'));
    Url::parse(&address).map_err(|_| KeysFault::NoKeysAddress)
}

/// Where the keys are, by the document from `url`.
pub(crate) fn keys_url(issuer: &Issuer, url: &Url, document: &[u8]) -> Result<Url, KeysFault> {
    let document = serde_json::from_slice::<Document>(document);
    let Document { issuer: answered, jwks_uri } =
        document.map_err(|_| KeysFault::NotJson { address: url.to_string() })?;
    // Another server's document would let it sign for this one.
    if answered != issuer.issuer {
        return Err(KeysFault::OtherIssuer { asked: issuer.issuer.clone(), answered });
    }
    let jwks_uri = Url::parse(&jwks_uri).map_err(|_| KeysFault::NoKeysAddress)?;
    let is_private = jwks_uri.scheme() == "https" || (is_here(url) && is_here(&jwks_uri));
    if is_private { Ok(jwks_uri) } else { Err(KeysFault::NoKeysAddress) }
}

/// The keys in what `url` answers; at least one.
pub(crate) fn key_set(issuer: &Issuer, url: &Url, body: &[u8]) -> Result<KeySet, KeysFault> {
    let address = || url.to_string();
    let keys = KeySet::read(body, &issuer.algorithms);
    let keys = keys.ok_or_else(|| KeysFault::NotJson { address: address() })?;
    if keys.is_empty() { Err(KeysFault::NoKeys { address: address() }) } else { Ok(keys) }
}

/// What an issuer answers.
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A document of an issuer's.
pub(crate) async fn get(url: &Url, tls: Option<&Tls>) -> Result<Answer, KeysFault> {
    let address = || url.to_string();
    let unreachable = |error: &dyn std::fmt::Display| KeysFault::Unreachable {
        address: address(),
        what: error.to_string(),
    };
    let target = PathAndQuery::try_from(&url[url::Position::BeforePath..url::Position::AfterQuery]);
    let target = target.map_err(|error| unreachable(&error))?;
    let connections = Connections { connect_timeout: PATIENCE, keep_alive: Duration::ZERO, limit: 1 };
    let client = HttpClient::new(url, tls, connections);
    let asking = async {
        let request = client
            .request(Method::GET, target, Reuse::Never)
            .insert_header((ACCEPT, "application/json"))
            .insert_header((USER_AGENT, "hokusai-gateway"));
        let mut answer = client.send(request, Bytes::new()).await.map_err(|error| unreachable(&error))?;
        if answer.status() != StatusCode::OK {
            return Err(KeysFault::Status { address: address(), status: answer.status().as_u16() });
        }
        let body = answer.body().limit(MAX_ANSWER).await;
        let body = body.map_err(|error| match error {
            awc::error::PayloadError::Overflow => KeysFault::TooLong { address: address() },
            error => unreachable(&error),
        })?;
        Ok(Answer { headers: answer.headers().clone(), body })
    };
    timeout(PATIENCE, asking).await.unwrap_or_else(|_| Err(KeysFault::Late { address: address() }))
}

#[cfg(test)]
mod tests;
