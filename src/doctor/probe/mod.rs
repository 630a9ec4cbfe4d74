//! `check --probe`: every dependency, with the gateway's own clients, up to an answer that makes sense.

mod artifacts;
mod auth_service;
mod example_token;
mod given_key;
mod issuers;
mod mlflow;
mod redis;

use super::{Endpoint, Interrupted, Journal, KEY_VARIABLE, Party};
use crate::{
    auth::KeySource,
    resources::Resources,
    settings::{AuthMode, Settings},
};

/// What the command was given.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) key: Option<String>,
    /// An example of the tokens of `auth.issuers`.
    pub(crate) token: Option<String>,
    /// Whether to write an artifact too.
    pub(crate) write: bool,
}

/// Checks everything that the settings name.
pub(crate) async fn run(
    settings: &Settings,
    resources: &Resources,
    Given { key, token, write }: Given,
    journal: &mut Journal,
) -> Result<(), Interrupted> {
    mlflow::probe(settings, resources, write, journal).await?;
    let policy = &settings.policy;
    match (&settings.auth.mode, &resources.keys, key) {
        (AuthMode::Service(service), _, key) => {
            auth_service::probe(service, resources.auth_tls.as_ref(), key, policy, journal).await;
        }
        (_, KeySource::File(keys), Some(key)) => {
            journal.check("key", async { given_key::in_file(keys, &key, policy) }).await;
        }
        _ => journal.skip("key", &format!("no key: set {KEY_VARIABLE}")),
    }
    let issuers = resources.issuers.iter().flat_map(|issuers| issuers.iter());
    let mut published = Vec::new();
    for issuer in issuers {
        published.push((&**issuer, issuers::probe(issuer, journal).await));
    }
    if let Some(token) = token {
        example_token::probe(&token, &published, journal).await;
    }
    if let (Some(settings_of_redis), Some(pool)) = (&settings.redis, &resources.redis) {
        let shares_verdicts = matches!(settings.auth.mode, AuthMode::Service(_));
        let pepper = settings.auth.pepper.as_ref().filter(|_| shares_verdicts);
        redis::probe(settings_of_redis, pool, shares_verdicts, pepper, journal).await;
    }
    if let Some(url) = &settings.telemetry.otlp_endpoint {
        let setting = ["telemetry.otlp_endpoint", "SSL_CERT_FILE"];
        let endpoint = Endpoint::of(Party::Collector, url, resources.otlp_tls.as_ref(), setting);
        endpoint.reach(journal, "collector").await;
    }
    Ok(())
}
