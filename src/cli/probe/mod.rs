//! `check --probe`: each dependency, from its name to an answer that makes sense, with the gateway's own clients.

mod auth_service;
mod mlflow;
mod redis;

use url::Url;

use super::{
    Loaded,
    diagnosis::{Journal, Place},
};
use crate::{settings::AuthMode, tls::ClientConfig};

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
        place(endpoint, resources.otlp_tls.as_ref(), written_as).reach(journal, "collector").await;
    }
}

/// Where a URL leads, spoken to over TLS if it is https.
fn place(url: &Url, tls: Option<&ClientConfig>, [written_as, ca_written_as]: [&'static str; 2]) -> Place {
    Place {
        host: url.host_str().unwrap_or_default().to_owned(),
        port: url.port_or_known_default().unwrap_or(80),
        tls: tls.filter(|_| url.scheme() == "https").cloned(),
        written_as,
        ca_written_as,
        not_at: None,
    }
}
