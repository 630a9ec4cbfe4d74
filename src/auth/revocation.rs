//! The actor that listens for revocations. A message on the channel is a key id, or `*` for every key: its cached verdicts are
//! dropped, and a key of the key file is revoked.

use std::time::Duration;

use deadpool_redis::redis::{Value, aio::PubSub};
use futures_util::StreamExt as _;
use tokio::time::{sleep, timeout};

use super::KeySource;
use crate::{
    code::Code,
    redis::{self, Redis},
};

/// The channel, the same for every gateway of a fleet.
pub(crate) const CHANNEL: &str = "hokusai:revoked";
/// The message that revokes every key.
pub(super) const EVERYTHING: &str = "*";
/// Time between two tries to subscribe, and between two pings of a subscription.
const INTERVAL: Duration = Duration::from_millis(500);
/// Time until the next try if the ACL of Redis refuses, which an operator has to fix.
const INTERVAL_AFTER_REFUSAL: Duration = Duration::from_secs(5);
/// Time for the answer to a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// Never returns.
pub(crate) async fn listen(redis: Redis, keys: KeySource) {
    let (mut lost, mut refused) = (false, false);
    loop {
        match redis.subscribe(CHANNEL).await {
            Ok(subscription) => {
                match &keys {
                    // Messages may have been missed. At the first subscription, the marks in Redis have them.
                    KeySource::Service(verifier) if lost => verifier.invalidate_all(),
                    KeySource::Service(verifier) => verifier.clear(),
                    // Nothing is cached.
                    KeySource::File(_) => {}
                }
                tracing::info!(code = Code::RevocationsNotReceived.text(), lost, "listening for revocations");
                until_lost(subscription, &keys).await;
                redis.set_up(false);
                refused = false;
                tracing::warn!(
                    code = Code::RevocationsNotReceived.text(),
                    "the subscription to revocations was lost; subscribing again"
                );
            }
            Err(error) => {
                // Whether Redis is up without it, its self-test decides.
                let refusal = redis::refusal(&error);
                let is_refused = refusal.as_ref().is_some_and(|refusal| refusal.code == Code::RedisAcl);
                if !lost || (is_refused && !refused) {
                    let fix = refusal.as_ref().map(|refusal| &refusal.fix[..]);
                    tracing::warn!(code = Code::RevocationsNotReceived.text(), %error, fix, "cannot listen for revocations");
                }
                refused = is_refused;
            }
        }
        lost = true;
        sleep(if refused { INTERVAL_AFTER_REFUSAL } else { INTERVAL }).await;
    }
}

/// Handles messages until the connection ends, or does not answer a ping.
async fn until_lost(subscription: PubSub, keys: &KeySource) {
    let (mut sink, mut messages) = subscription.split();
    loop {
        match timeout(INTERVAL, messages.next()).await {
            Ok(Some(message)) => {
                if let Ok(key_id) = message.get_payload::<String>() {
                    match keys {
                        KeySource::Service(verifier) => verifier.revoke_by_message(&key_id),
                        KeySource::File(keys) => keys.revoke(&key_id),
                    }
                }
            }
            Ok(None) => return,
            Err(_) => match timeout(PING_TIMEOUT, sink.ping::<Value>()).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => return,
            },
        }
    }
}
