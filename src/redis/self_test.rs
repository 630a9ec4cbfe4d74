//! A test of every Redis command that the gateway uses.

use std::time::{Duration, Instant};

use deadpool_redis::redis::{RedisError, Script, cmd};

use super::{PATIENCE, Redis, in_time};

/// The keys of the test, and its channel.
const TEST_KEY: &str = "hokusai:check";
const SCRIPT_TEST_KEY: &str = "hokusai:check:script";
const SORTED_SET_TEST_KEY: &str = "hokusai:check:sorted";
/// The commands of the scripts: for limits, and for the marks of peppers.
const SCRIPT: &str = "redis.call('TIME') redis.call('HMGET', KEYS[1], 'at') redis.call('HSET', KEYS[1], 'at', 1) \
                      redis.call('HGET', KEYS[1], 'at') return redis.call('PEXPIRE', KEYS[1], 1000)";
const SORTED_SETS: &str = "redis.call('ZADD', KEYS[1], 1, 'a') redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', 0) \
                           redis.call('ZRANGE', KEYS[1], 0, 1) redis.call('ZRANGEBYSCORE', KEYS[1], 0, '+inf', 'LIMIT', 0, 1) \
                           return redis.call('EXPIRE', KEYS[1], 1)";

/// What the gateway uses Redis for, beside limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    /// The channel of revocations.
    pub(crate) channel: &'static str,
    /// Whether verdicts and revocations of an auth service are shared. With a key file, revocations are received if the ACL of
    /// Redis allows it, and nothing depends on that.
    pub(crate) shares_verdicts: bool,
}

impl Redis {
    /// Runs each command once, past the breaker. Returns the time of a round trip, the shortest of three; if that is more than
    /// [`PATIENCE`], nothing else is tested.
    ///
    /// # Errors
    /// Those of Redis and of the connection.
    pub(crate) async fn self_test(&self, needs: Needs) -> Result<Duration, RedisError> {
        let took = in_time(self.round_trip()).await?;
        if took > PATIENCE {
            return Ok(took);
        }
        in_time(async {
            let mut redis = self.backend.connection().await?;
            Script::new(SCRIPT).key(SCRIPT_TEST_KEY).invoke_async::<()>(&mut redis).await?;
            if !needs.shares_verdicts {
                return Ok(());
            }
            self.test_revocations(needs.channel).await?;
            cmd("GET").arg(TEST_KEY).query_async::<()>(&mut redis).await?;
            cmd("GETRANGE").arg(TEST_KEY).arg(0).arg(1).query_async::<()>(&mut redis).await?;
            cmd("UNLINK").arg(TEST_KEY).query_async::<()>(&mut redis).await?;
            Script::new(SORTED_SETS).key(SORTED_SET_TEST_KEY).invoke_async::<()>(&mut redis).await
        })
        .await?;
        Ok(took)
    }

    /// Subscribes to a channel, and publishes on another one.
    ///
    /// # Errors
    /// Those of Redis and of the connection.
    pub(crate) async fn test_revocations(&self, channel: &str) -> Result<(), RedisError> {
        self.subscribe(channel).await?;
        self.publish(TEST_KEY, "1").await.map(drop)
    }

    /// The time of the shortest of three round trips.
    async fn round_trip(&self) -> Result<Duration, RedisError> {
        let mut redis = self.backend.connection().await?;
        let write = cmd("SET").arg(TEST_KEY).arg(1).arg("PX").arg(1000).take();
        let mut shortest = Duration::MAX;
        for command in [cmd("PING"), write.clone(), write] {
            let began = Instant::now();
            command.query_async::<()>(&mut redis).await?;
            shortest = shortest.min(began.elapsed());
        }
        Ok(shortest)
    }
}
