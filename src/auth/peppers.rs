//! The peppers of the instances that share a Redis. Instances with different peppers cannot read each other's verdicts and
//! revocations.
//!
//! Each instance leaves a mark of its pepper: a MAC that reveals no fingerprint and no key. It expires three minutes after the
//! last instance with this pepper has stopped, so that a rotation ends.

use std::{sync::Arc, time::Duration};

use deadpool_redis::redis::{RedisError, Script};
use secrecy::SecretString;
use tokio::time::sleep;

use super::{CachingVerifier, fingerprint::Pepper};
use crate::{code::Code, redis::Connection};

/// The sorted set of marks, by the time when each was last left.
pub(crate) const KEY: &str = "hokusai:peppers";
/// How long a mark counts, in seconds.
pub(crate) const LIFETIME: u64 = 180;
/// The most marks that are read: anybody who can write to Redis can leave some.
pub(crate) const MOST: usize = 16;

/// The time until the mark is left again, well within its lifetime of three minutes.
const EVERY: Duration = Duration::from_secs(60);

/// Redis's own clock counts: those of the instances may differ.
const LEAVE: &str = "
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
redis.call('EXPIRE', KEYS[1], ARGV[2])
return redis.call('ZRANGE', KEYS[1], 0, ARGV[3])";

/// Leaves a mark of this pepper. Returns the number of other peppers.
pub(super) async fn announce(mut redis: Connection, pepper: Pepper) -> Result<usize, RedisError> {
    let (mark, script) = (mark(&pepper), Script::new(LEAVE));
    let mut call = script.key(KEY);
    call.arg(&mark).arg(LIFETIME).arg(MOST);
    let marks: Vec<Vec<u8>> = call.invoke_async(&mut redis).await?;
    Ok(marks.iter().filter(|other| **other != mark.as_bytes()).count())
}

fn mark(pepper: &Pepper) -> String {
    hex::encode(&pepper.mac("mark", &[])[..16])
}

/// The mark that an instance with this pepper leaves.
pub(crate) fn mark_of(pepper: &SecretString) -> String {
    mark(&Pepper::new(pepper))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_the_same_for_one_pepper_only_and_nothing_else_that_it_makes() {
        let pepper = |secret: &str| Pepper::new(&secret.to_owned().into());
        assert_eq!(mark(&pepper("one")), mark(&pepper("one")));
        assert_ne!(mark(&pepper("one")), mark(&pepper("two")));
        let (whole, mark) = (pepper("one"), mark(&pepper("one")));
        assert_eq!(mark.len(), 32);
        assert!(!hex::encode(whole.fingerprint("", "", None).as_bytes()).starts_with(&mark));
    }
}
