//! Each thing that the gateway does with Redis, done once.

use std::time::{Duration, Instant};

use deadpool_redis::redis::{RedisError, Script, cmd};

use super::{Dependency, PATIENCE, Redis, in_time};

/// Keys for trying out, and a channel.
const TRIAL: &str = "hokusai:check";
const TRIAL_OF_SCRIPTS: &str = "hokusai:check:script";
const TRIAL_OF_SORTED_SETS: &str = "hokusai:check:sorted";
/// The commands of our scripts: those of limits, and those of the marks of peppers.
const SCRIPT: &str = "redis.call('TIME') redis.call('HMGET', KEYS[1], 'at') redis.call('HSET', KEYS[1], 'at', 1) \
                      redis.call('HGET', KEYS[1], 'at') return redis.call('PEXPIRE', KEYS[1], 1000)";
const SORTED_SETS: &str = "redis.call('ZADD', KEYS[1], 1, 'a') redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', 0) \
                           redis.call('ZRANGE', KEYS[1], 0, 1) redis.call('ZRANGEBYSCORE', KEYS[1], 0, '+inf', 'LIMIT', 0, 1) \
                           return redis.call('EXPIRE', KEYS[1], 1)";

/// What the gateway does with Redis, beside limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    /// The channel of revocations.
    pub(crate) channel: &'static str,
    /// Whether verdicts of an auth service are shared, and revocations told and heard. With a key file they are heard where
    /// Redis lets us, and nothing else hangs on that.
    pub(crate) shares_verdicts: bool,
}

impl Redis {
    /// Does once each thing that the gateway does, whatever happened before. Tells how long a round trip took, the shortest
    /// of three; where that is more than [`PATIENCE`], nothing else is tried.
    ///
    /// # Errors
    /// What Redis, or the way to it, says.
    pub(crate) async fn self_test(&self, needs: Needs) -> Result<Duration, RedisError> {
        let took = in_time(self.round_trip()).await?;
        if took > PATIENCE {
            return Ok(took);
        }
        in_time(async {
            let mut redis = self.backend.connection().await?;
            Script::new(SCRIPT).key(TRIAL_OF_SCRIPTS).invoke_async::<()>(&mut redis).await?;
            if !needs.shares_verdicts {
                return Ok(());
            }
            self.test_revocations(needs.channel).await?;
            cmd("GET").arg(TRIAL).query_async::<()>(&mut redis).await?;
            cmd("GETRANGE").arg(TRIAL).arg(0).arg(1).query_async::<()>(&mut redis).await?;
            cmd("UNLINK").arg(TRIAL).query_async::<()>(&mut redis).await?;
            Script::new(SORTED_SETS).key(TRIAL_OF_SORTED_SETS).invoke_async::<()>(&mut redis).await
        })
        .await?;
        Ok(took)
    }

    /// Listens to a channel, and tells something on another one.
    ///
    /// # Errors
    /// What Redis, or the way to it, says.
    pub(crate) async fn test_revocations(&self, channel: &str) -> Result<(), RedisError> {
        self.subscribe(channel).await?;
        self.publish(TRIAL, "1").await.map(drop)
    }

    /// How long the shortest of three round trips takes: one may wait for something else.
    async fn round_trip(&self) -> Result<Duration, RedisError> {
        let mut redis = self.backend.connection().await?;
        let write = cmd("SET").arg(TRIAL).arg(1).arg("PX").arg(1000).take();
        let mut shortest = Duration::MAX;
        for command in [cmd("PING"), write.clone(), write] {
            let began = Instant::now();
            command.query_async::<()>(&mut redis).await?;
            shortest = shortest.min(began.elapsed());
        }
        Ok(shortest)
    }

    /// Tells for the metrics what came of a trial.
    pub(super) fn set_up(&self, is_of_use: bool) {
        self.metrics.set_dependency_up(Dependency::Redis, is_of_use);
    }
}
