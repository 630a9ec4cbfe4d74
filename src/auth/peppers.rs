//! Whether all instances at one Redis have the same pepper ([`cache`](super::cache) has the marks that they leave).

use std::{sync::Arc, time::Duration};

use secrecy::SecretString;
use tokio::time::sleep;

pub(crate) use super::cache::peppers::{KEY, LIFETIME, MOST};
use super::{CachingVerifier, cache::peppers, fingerprint::Pepper};
use crate::code::Code;

/// The time until the mark is left again, well within its lifetime of three minutes.
const EVERY: Duration = Duration::from_secs(60);

/// The mark that an instance with this pepper leaves.
pub(crate) fn mark_of(pepper: &SecretString) -> String {
    peppers::mark(&Pepper::new(pepper))
}

/// The actor that logs instances with another pepper, at the start and when their number changes. Never returns.
pub(crate) async fn watch(verifier: Arc<CachingVerifier>) {
    let Some(cache) = verifier.shared_cache() else { return std::future::pending().await };
    let (code, mut logged) = (Code::PepperNotShared.text(), 0);
    loop {
        if let Some(others) = cache.announce_pepper().await.filter(|others| *others != logged) {
            logged = others;
            if others > 0 {
                let write = "the same auth.pepper on all instances that share a Redis";
                tracing::warn!(code = code, others, write, "instances with another pepper share this Redis");
            } else {
                tracing::info!(code, "no instance with another pepper shares this Redis any more");
            }
        }
        sleep(EVERY).await;
    }
}
