//! `check --probe`: every dependency, with the gateway's own clients, up to an answer that makes sense.

mod artifacts;
mod auth_service;
mod given_key;
mod mlflow;
mod redis;

use super::{Endpoint, Interrupted, Journal, KEY_VARIABLE, Party};
use crate::{
    auth::KeySource,
    resources::Resources,
    settings::{AuthMode, Settings},
};

/// Checks everything that the settings name. `key`: the key of the command; `write`: whether to write an artifact too.
pub(crate) async fn run(
    settings: &Settings,
    resources: &Resources,
    key: Option<String>,
    write: bool,
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
