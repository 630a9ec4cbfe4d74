//! Issuers of tokens: whether each publishes keys that its tokens can be verified with, under the name in the settings.

use actix_web::http::header::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use url::Url;

use crate::{
    auth::{
        KeysFault,
        issuers::{
            TrustedIssuer, ask, discovery,
            key_set::{self, KeySet},
        },
    },
    doctor::{Endpoint, Fault, Finding, Journal, Party, clock, start_of},
    http_client::Tls,
    settings::{Issuer, TokenAlgorithm},
};

const CA: &str = "tls.ca in auth.issuers";

/// Returns the keys that its tokens may be signed with.
pub(super) async fn probe(issuer: &TrustedIssuer, journal: &mut Journal) -> Option<KeySet> {
    let TrustedIssuer { settings, tls, .. } = issuer;
    let step = |step: &str| format!("auth.issuers[{}].{step}", settings.issuer);
    let (url, setting) = match &settings.jwks_url {
        Some(url) => (url.clone(), "jwks_url in auth.issuers"),
        None => (discovery::document_url(settings).ok()?, "issuer in auth.issuers"),
    };
    let (tls, start) = (tls.as_ref(), Timestamp::now());
    if !is_reached(&url, tls, setting, journal, &step("")).await {
        journal.skip(&step("keys"), "the issuer cannot be reached");
        return None;
    }
    let mut date = None;
    let keys_url = if settings.jwks_url.is_some() {
        url
    } else {
        let discovered = discovered(settings, &url, tls);
        let Some((headers, keys_url)) = journal.check(&step("discovery"), discovered).await else {
            journal.skip(&step("keys"), "nobody says where they are");
            return None;
        };
        date = Some(headers);
        if keys_url.origin() != url.origin() {
            let setting = "jwks_url in auth.issuers";
            is_reached(&keys_url, tls, setting, journal, &step("keys.")).await.then_some(())?;
        }
        keys_url
    };
    let read = journal.check(&step("keys"), keys(settings, &keys_url, tls)).await;
    let (headers, keys) = read.unzip();
    let tolerance = SignedDuration::try_from(settings.leeway).unwrap_or(clock::SERVER_TOLERANCE);
    let time = date.or(headers).as_ref().and_then(clock::date_of);
    let clock = clock::compare("the issuer", time, start, tolerance);
    journal.check(&step("clock"), async { clock }).await;
    keys
}

async fn is_reached(
    url: &Url,
    tls: Option<&Tls>,
    setting: &'static str,
    journal: &mut Journal,
    name: &str,
) -> bool {
    let endpoint = Endpoint::of(Party::Issuer, url, tls, [setting, CA]);
    endpoint.reach(journal, name.trim_end_matches('.')).await.is_some()
}

async fn discovered(issuer: &Issuer, url: &Url, tls: Option<&Tls>) -> Finding<(HeaderMap, Url)> {
    let answer = ask::get(url, tls).await.map_err(|error| fault(&error, &[]))?;
    let keys = discovery::keys_url(issuer, url, &answer.body).map_err(|error| fault(&error, &[]))?;
    let found = format!(
        "its name is the one in auth.issuers; its keys are at {}",
        start_of(keys.as_str().as_bytes())
    );
    Ok(((answer.headers, keys), found))
}

async fn keys(issuer: &Issuer, url: &Url, tls: Option<&Tls>) -> Finding<(HeaderMap, KeySet)> {
    let answer = ask::get(url, tls).await.map_err(|error| fault(&error, &[]))?;
    let keys = discovery::key_set(issuer, url, &answer.body).map_err(|error| fault(&error, &answer.body))?;
    let words = |(id, algorithms): (Option<&str>, Vec<String>)| {
        format!("{} ({})", id.unwrap_or("no kid"), algorithms.join(" "))
    };
    let words = keys.keys().map(words).collect::<Vec<_>>().join(", ");
    Ok(((answer.headers, keys), format!("usable keys: {}", start_of(words.as_bytes()))))
}

/// `body`: the keys, where they are what is wrong.
fn fault(error: &KeysFault, body: &[u8]) -> Fault {
    let (cause, fix) = match error {
        KeysFault::OtherIssuer { asked, answered } => {
            let is_slash = asked.trim_end_matches('/') == answered.trim_end_matches('/');
            let cause = if is_slash {
                "a slash at the end counts: `iss` in its tokens has it, or lacks it, as the document does"
            } else {
                "the issuer has another name than its address, or this is the address of another one; its tokens have its name in `iss`"
            };
            let answered = start_of(answered.as_bytes());
            (
                cause.to_owned(),
                format!("issuer = \"{answered}\" in auth.issuers, if this is the one that is meant"),
            )
        }
        KeysFault::NoKeys { .. } => no_keys(body),
        KeysFault::NoKeysAddress => (
            "whoever can change an answer on its way could put keys of his own there".to_owned(),
            "jwks_url in auth.issuers with https, where it has its keys at such an address".to_owned(),
        ),
        KeysFault::NotJson { .. } => (
            "a page of a load balancer or of a login answers there, or another service".to_owned(),
            "the issuer's own address; or jwks_url in auth.issuers, where its keys are".to_owned(),
        ),
        KeysFault::Status { status: 300..=399, .. } => (
            "something before it redirects, and the gateway follows nobody to keys".to_owned(),
            "the address that it redirects to: in issuer if its tokens have it in `iss`, else in jwks_url"
                .to_owned(),
        ),
        KeysFault::Status { status: 401 | 403, .. } => (
            "it wants credentials, as the API server of Kubernetes does, or a firewall is before it"
                .to_owned(),
            "jwks_url in auth.issuers: an address where its keys are open to all".to_owned(),
        ),
        KeysFault::Status { status: 404, .. } => (
            "the path in issuer is another one, or it has no discovery document".to_owned(),
            "the issuer as its tokens have it in `iss`; or jwks_url in auth.issuers, where its keys are"
                .to_owned(),
        ),
        KeysFault::Status { .. } | KeysFault::Late { .. } => (
            "it is broken or slow".to_owned(),
            "look at its log, or at its provider's page of outages".to_owned(),
        ),
        _ => (
            "it breaks the connection off, or answers with something else than keys".to_owned(),
            "the issuer's own address; `curl` shows what is there".to_owned(),
        ),
    };
    Fault::new(error.code(), start_of(error.to_string().as_bytes()), cause, fix)
}

/// Why none of its keys is usable, and what would make one so.
fn no_keys(body: &[u8]) -> (String, String) {
    let published = key_set::published(body);
    let published = if published.is_empty() { "nothing".to_owned() } else { published.join("; ") };
    let cause = format!("it publishes {}", start_of(published.as_bytes()));
    let usable = KeySet::read(body, &TokenAlgorithm::ALL).unwrap_or_default();
    let mut algorithms: Vec<_> = usable.keys().flat_map(|(_, algorithms)| algorithms).collect();
    algorithms.sort();
    algorithms.dedup();
    let fix = if algorithms.is_empty() {
        "keys for signatures there: RSA of 2048 bits or more, P-256, P-384 or Ed25519".to_owned()
    } else {
        format!("algorithms in auth.issuers: what its tokens are signed with, of {}", algorithms.join(", "))
    };
    (cause, fix)
}
