//! `check --probe`: each dependency, from its name to an answer that makes sense, with the gateway's own clients.

mod auth_service;
mod mlflow;
mod redis;

use super::{
    Loaded,
    diagnosis::{Journal, Party, Place},
};
use crate::settings::AuthMode;

/// Looks at everything that the settings name.
pub(super) async fn run(loaded: &Loaded, key: Option<String>, journal: &mut Journal) {
    let Loaded { settings, resources, .. } = loaded;
    mlflow::probe(settings, resources, journal).await;
    if let AuthMode::Service(service) = &settings.auth.mode {
        auth_service::probe(service, resources.auth_tls.as_ref(), key, journal).await;
    }
    if let (Some(redis), Some(pool)) = (&settings.redis, &resources.redis) {
        redis::probe(redis, pool, journal).await;
    }
    if let Some(endpoint) = &settings.telemetry.otlp_endpoint {
        let written_as = ["telemetry.otlp_endpoint", "SSL_CERT_FILE"];
        Place::of(Party::Collector, endpoint, resources.otlp_tls.as_ref(), written_as)
            .reach(journal, "collector")
            .await;
    }
}
