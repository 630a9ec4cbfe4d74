//! TLS for clients, with a certificate that is reloaded when its file changes.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::{
    ServerConfig,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::time::{MissedTickBehavior, interval};

use super::{TlsError, Validity, certified, expiry::end_of, provider};
use crate::{
    code::Code,
    file_state::{State, file_state},
    settings::Identity,
    telemetry::Metrics,
};

const INTERVAL: Duration = Duration::from_secs(1);

/// The certificate for clients, and its key. A connection keeps the one that it began with.
#[derive(Debug)]
pub(crate) struct ServerIdentity {
    files: Identity,
    opened: [State; 2],
    current: ArcSwap<CertifiedKey>,
}

impl ServerIdentity {
    /// # Errors
    /// Files that are missing, hold something else, or do not belong together.
    pub(crate) fn open(files: &Identity) -> Result<Arc<Self>, TlsError> {
        let opened = states(files);
        let current = ArcSwap::from_pointee(certified(files)?);
        Ok(Arc::new(Self { files: files.clone(), opened, current }))
    }

    /// # Errors
    /// None with rustls's default TLS versions.
    pub(crate) fn config(self: &Arc<Self>) -> Result<ServerConfig, TlsError> {
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(self) as _;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl ResolvesServerCert for ServerIdentity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn states(files: &Identity) -> [State; 2] {
    [file_state(&files.cert), file_state(&files.key)]
}

/// The actor that reloads the certificate. Never returns.
pub(crate) async fn watch(identity: Arc<ServerIdentity>, metrics: Metrics) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut loaded, mut refused) = (identity.opened, None);
    loop {
        ticks.tick().await;
        let now = states(&identity.files);
        if now == loaded {
            continue;
        }
        let path = identity.files.cert.display();
        match certified(&identity.files) {
            Ok(key) => {
                if let Some(leaf) = key.cert.first() {
                    metrics.set_certificate_expiry("server", end_of(leaf).as_second());
                }
                identity.current.store(Arc::new(key));
                loaded = now;
                let ended = refused.take().map(|_| Code::CertificateNotReloaded.text());
                tracing::info!(code = ended, %path, "certificate reloaded");
                let validity = Validity::of(&identity.files.cert).ok().flatten();
                if let Some((code, fault)) = validity.and_then(|validity| validity.fault(Timestamp::now())) {
                    tracing::warn!(code = code.text(), %path, fault, "the reloaded certificate is not valid now");
                }
            }
            // Tried again at each tick: certificate and key may be written one after the other.
            Err(error) if refused != Some(now) => {
                refused = Some(now);
                tracing::error!(code = Code::CertificateNotReloaded.text(), %path, %error, "certificate reload failed; keeping the previous one");
            }
            Err(_) => {}
        }
    }
}
