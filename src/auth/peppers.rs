//! Whether all instances at one Redis have the same pepper ([`cache`](super::cache) has the marks that they leave).

use std::{sync::Arc, time::Duration};

use deadpool_redis::redis::RedisError;
use tokio::time::sleep;

use super::CachingVerifier;
use crate::code::Code;

/// The time until the mark is left again, well within its lifetime of three minutes.
const EVERY: Duration = Duration::from_secs(60);

/// The number of other peppers at this Redis; `None` if this instance has no Redis or no fixed pepper.
///
/// # Errors
/// Those of Redis.
pub(crate) async fn others(verifier: &CachingVerifier) -> Option<Result<usize, RedisError>> {
    Some(verifier.shared_cache()?.count_other_peppers().await)
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
