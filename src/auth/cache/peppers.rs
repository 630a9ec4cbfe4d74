//! The peppers of the instances that share a Redis. Instances with different peppers cannot read each other's verdicts and
//! revocations.
//!
//! Each instance leaves a mark of its pepper: a MAC that reveals no fingerprint and no key. It expires three minutes after the
//! last instance with this pepper has stopped, so that a rotation ends.

use deadpool_redis::redis::{RedisError, Script};

use crate::{auth::fingerprint::Pepper, redis::Connection};

/// The sorted set of marks, by the time when each was last left.
pub(crate) const KEY: &str = "hokusai:peppers";
/// How long a mark counts, in seconds.
pub(crate) const LIFETIME: u64 = 180;
/// The most marks that are read: anybody who can write to Redis can leave some.
pub(crate) const MOST: usize = 16;

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

pub(in crate::auth) fn mark(pepper: &Pepper) -> String {
    hex::encode(&pepper.mac("mark", &[])[..16])
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
