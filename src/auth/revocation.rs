//! The actor that listens for revocations. A message on the channel is a key id, or `*` for every key.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt as _;

use super::Decisions;
use crate::redis::Redis;

/// The channel, the same for every gateway of a fleet.
const CHANNEL: &str = "hokusai:revoked";
/// The message that revokes every key.
pub(super) const EVERYTHING: &str = "*";
/// Time between two tries to subscribe.
const PAUSE: Duration = Duration::from_millis(500);

/// Never returns.
pub(crate) async fn listen(redis: Redis, decisions: Arc<Decisions>) {
    let mut lost = false;
    loop {
        match redis.subscribe(CHANNEL).await {
            Ok(mut subscription) => {
                if lost {
                    // What was said meanwhile is not said again.
                    decisions.forget(EVERYTHING);
                    tracing::info!("listening for revocations again: everything remembered was forgotten");
                }
                let mut messages = subscription.on_message();
                while let Some(message) = messages.next().await {
                    if let Ok(key_id) = message.get_payload::<String>() {
                        decisions.revoke(&key_id).await;
                    }
                }
                tracing::warn!("the subscription to revocations was lost");
            }
            Err(error) => tracing::debug!(%error, "cannot subscribe to revocations"),
        }
        lost = true;
        actix_rt::time::sleep(PAUSE).await;
    }
}
