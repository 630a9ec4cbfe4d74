//! Where an issuer has its keys (OpenID Connect Discovery 1.0 §4), and what it answers there.

use serde::Deserialize;
use url::Url;

use super::{ask::get, fault::KeysFault, key_set::KeySet};
use crate::{
    http_client::Tls,
    settings::{Issuer, is_here},
};

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
    must_be_of(issuer, &answered)?;
    let jwks_uri = Url::parse(&jwks_uri).map_err(|_| KeysFault::NoKeysAddress)?;
    if is_private(&jwks_uri, url) { Ok(jwks_uri) } else { Err(KeysFault::NoKeysAddress) }
}

/// Another server's document would let it speak for this one.
pub(super) fn must_be_of(issuer: &Issuer, answered: &str) -> Result<(), KeysFault> {
    if answered == issuer.issuer {
        return Ok(());
    }
    Err(KeysFault::OtherIssuer { asked: issuer.issuer.clone(), answered: answered.to_owned() })
}

/// Whether nobody else is on the way to an address that the document from another one names.
pub(super) fn is_private(url: &Url, document: &Url) -> bool {
    url.scheme() == "https" || (is_here(url) && is_here(document))
}

/// The keys in what `url` answers; at least one.
pub(crate) fn key_set(issuer: &Issuer, url: &Url, body: &[u8]) -> Result<KeySet, KeysFault> {
    let address = || url.to_string();
    let keys = KeySet::read(body, &issuer.algorithms);
    let keys = keys.ok_or_else(|| KeysFault::NotJson { address: address() })?;
    if keys.is_empty() { Err(KeysFault::NoKeys { address: address() }) } else { Ok(keys) }
}

#[cfg(test)]
mod tests;
