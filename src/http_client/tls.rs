//! TLS towards upstreams and the auth service: HTTP/1.1 only, trusted by the machine's own certificate store.

use std::sync::Arc;

use actix_tls::connect::rustls_0_23::reexports::ClientConfig;
use rustls::{RootCertStore, crypto::ring};

/// How TLS is spoken; shared by all clients.
pub(crate) type Tls = Arc<ClientConfig>;

/// Why no TLS connection could ever be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("no usable certificate authority on this machine (Debian: the package ca-certificates): {0}")]
    NoRoots(String),
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

/// # Errors
/// A machine without certificate authorities.
pub(crate) fn client_config() -> Result<Tls, TlsError> {
    let native = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(native.certs);
    if usable == 0 {
        let errors: Vec<String> = native.errors.iter().map(ToString::to_string).collect();
        return Err(TlsError::NoRoots(errors.join("; ")));
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
