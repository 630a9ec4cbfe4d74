//! `check --probe`: each dependency, from its name to an answer that makes sense, with the gateway's own clients.

mod artifacts;
mod auth_service;
mod held_key;
mod mlflow;
mod redis;

use super::{Journal, KEY_VARIABLE, Party, Place};
use crate::{
    auth::KeySource,
    resources::Resources,
    settings::{AuthMode, Settings},
};
pub(crate) use artifacts::Interrupted;

/// What is looked at beside the settings.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) key: Option<String>,
    /// Whether an artifact is written, too.
    pub(crate) write: bool,
}

/// Looks at everything that the settings name.
pub(crate) async fn run(
    settings: &Settings,
    resources: &Resources,
    Wanted { key, write }: Wanted,
    journal: &mut Journal,
) -> Interrupted {
    if mlflow::probe(settings, resources, write, journal).await == Interrupted(true) {
        return Interrupted(true);
    }
    let policy = &settings.policy;
    let verifier = match (&settings.auth.mode, &resources.keys) {
        (AuthMode::Service(service), KeySource::Service(source)) => {
            auth_service::probe(service, resources.auth_tls.as_ref(), key, policy, journal).await;
            Some(&source.verifier)
        }
        (_, KeySource::File(keys)) => {
            match key {
                Some(key) => {
                    journal.check("key", async { held_key::in_file(keys, &key, policy) }).await;
                }
                None => journal.skip("key", &format!("no key: set {KEY_VARIABLE}")),
            }
            None
        }
        _ => None,
    };
    if let (Some(redis), Some(pool)) = (&settings.redis, &resources.redis) {
        redis::probe(redis, pool, verifier.map(|verifier| &**verifier), journal).await;
    }
    if let Some(endpoint) = &settings.telemetry.otlp_endpoint {
        let written_as = ["telemetry.otlp_endpoint", "SSL_CERT_FILE"];
        Place::of(Party::Collector, endpoint, resources.otlp_tls.as_ref(), written_as)
            .reach(journal, "collector")
            .await;
    }
    Interrupted(false)
}
