//! The actor that listens to a channel, and subscribes again when the subscription is lost.

use std::time::Duration;

use deadpool_redis::redis::{RedisError, Value, aio::PubSub};
use futures_util::StreamExt as _;
use tokio::time::{sleep, timeout};

use super::{Redis, refusal};
use crate::code::Code;

/// Time between two tries to subscribe, and between two pings of a subscription.
const INTERVAL: Duration = Duration::from_millis(500);
/// Time until the next try if the ACL of Redis refuses, which an operator has to fix.
const INTERVAL_AFTER_REFUSAL: Duration = Duration::from_secs(5);
/// Time for the answer to a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// What to do with messages, and where they are lost.
pub(crate) trait Listener: 'static {
    const CHANNEL: &'static str;

    fn hear(&self, message: &str);

    /// It listens. `lost`: it did not before, and messages may have been missed.
    fn begin(&self, lost: bool) {
        let _ = lost;
    }

    /// The subscription was lost.
    fn lose(&self) {}

    /// There is no subscription for a reason that is new, with what may fix it.
    fn fail(&self, error: &RedisError, fix: Option<&str>) {
        let _ = (error, fix);
    }
}

/// Never returns.
pub(crate) async fn listen<L: Listener>(redis: Redis, listener: L) {
    let (mut lost, mut refused) = (false, false);
    loop {
        match redis.subscribe(L::CHANNEL).await {
            Ok(subscription) => {
                listener.begin(lost);
                until_lost(subscription, &listener).await;
                redis.set_up(false);
                refused = false;
                listener.lose();
            }
            Err(error) => {
                // Whether Redis is up without it, its self-test decides.
                let refusal = refusal(&error);
                let is_refused = refusal.as_ref().is_some_and(|refusal| refusal.code == Code::RedisAcl);
                if !lost || (is_refused && !refused) {
                    listener.fail(&error, refusal.as_ref().map(|refusal| &refusal.fix[..]));
                }
                refused = is_refused;
            }
        }
        lost = true;
        sleep(if refused { INTERVAL_AFTER_REFUSAL } else { INTERVAL }).await;
    }
}

/// Handles messages until the connection ends, or does not answer a ping.
async fn until_lost(subscription: PubSub, listener: &impl Listener) {
    let (mut sink, mut messages) = subscription.split();
    loop {
        match timeout(INTERVAL, messages.next()).await {
            Ok(Some(message)) => {
                if let Ok(text) = message.get_payload::<String>() {
                    listener.hear(&text);
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
