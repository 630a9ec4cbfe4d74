//! The actor that listens for revocations. A message on the channel is a key id, or `*` for every key: what was remembered of
//! it is forgotten, and a key of the key file ends.

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
/// Time between two tries to subscribe, and between two signs of life that are asked of a subscription.
const PAUSE: Duration = Duration::from_millis(500);
/// Time until the next try where the ACL of Redis says no, which somebody has to mend.
const PAUSE_AFTER_A_NO: Duration = Duration::from_secs(5);
/// How long a sign of life may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Never returns.
pub(crate) async fn listen(redis: Redis, keys: KeySource) {
    let (mut lost, mut refused) = (false, false);
    loop {
        match redis.subscribe(CHANNEL).await {
            Ok(subscription) => {
                match &keys {
                    // What was said before is not said again. At the first time the others have heard it, and left word.
                    KeySource::Service(source) if lost => source.decisions.distrust(),
                    KeySource::Service(source) => source.decisions.clear(),
                    // Nothing is remembered.
                    KeySource::File(_) => {}
                }
                tracing::info!(code = Code::RevocationsUnheard.text(), lost, "listening for revocations");
                until_lost(subscription, &keys).await;
                redis.set_down();
                refused = false;
                tracing::warn!(
                    code = Code::RevocationsUnheard.text(),
                    "the subscription to revocations was lost"
                );
            }
            Err(error) => {
                // Whether Redis is of use without it, its own trials tell.
                let refusal = redis::refusal(&error);
                let is_refused = refusal.as_ref().is_some_and(|refusal| refusal.code == Code::RedisAcl);
                if !lost || (is_refused && !refused) {
                    let fix = refusal.as_ref().map(|refusal| &refusal.fix[..]);
                    tracing::warn!(code = Code::RevocationsUnheard.text(), %error, fix, "cannot listen for revocations");
                }
                refused = is_refused;
            }
        }
        lost = true;
        sleep(if refused { PAUSE_AFTER_A_NO } else { PAUSE }).await;
    }
}

/// Takes messages until the connection ends, or is silent when it is asked for a sign of life.
async fn until_lost(subscription: PubSub, keys: &KeySource) {
    let (mut sink, mut messages) = subscription.split();
    loop {
        match timeout(PAUSE, messages.next()).await {
            Ok(Some(message)) => {
                if let Ok(key_id) = message.get_payload::<String>() {
                    match keys {
                        KeySource::Service(source) => source.decisions.heard(&key_id),
                        KeySource::File(keys) => keys.revoke(&key_id),
                    }
                }
            }
            Ok(None) => return,
            Err(_) => match timeout(PATIENCE, sink.ping::<Value>()).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => return,
            },
        }
    }
}
