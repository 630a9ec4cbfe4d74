//! Whether all instances that share a Redis share the pepper, too ([`cache`](super::cache) has the marks that they leave).

use std::{sync::Arc, time::Duration};

use deadpool_redis::redis::RedisError;
use tokio::time::sleep;

use super::Decisions;
use crate::code::Code;

/// How often the mark is left again: well within the three minutes that it counts.
const EVERY: Duration = Duration::from_secs(60);

/// How many other peppers instances have that share this one's Redis; `None` where this one has none to share.
///
/// # Errors
/// What Redis says.
pub(crate) async fn others(decisions: &Decisions) -> Option<Result<usize, RedisError>> {
    Some(decisions.shared_by_pepper()?.other_peppers().await)
}

/// The actor that tells of instances with another pepper, when it begins and when their number changes. Never returns.
pub(crate) async fn watch(decisions: Arc<Decisions>) {
    let Some(shared) = decisions.shared_by_pepper() else { return std::future::pending().await };
    let (code, mut told) = (Code::PepperNotShared.text(), 0);
    loop {
        if let Some(others) = shared.leave_mark().await.filter(|others| *others != told) {
            told = others;
            if others > 0 {
                let write = "one auth.pepper for all that share a Redis";
                tracing::warn!(code = code, others, write, "instances with another pepper share this Redis");
            } else {
                tracing::info!(code, "no instance with another pepper shares this Redis any more");
            }
        }
        sleep(EVERY).await;
    }
}
