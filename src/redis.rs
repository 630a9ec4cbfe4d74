//! Redis, which is never a reason to fail: every call has 50 ms, and after a few that failed none is made for a while.

use std::{future::Future, sync::Arc, time::Duration};

use deadpool_redis::{
    Manager, Pool, PoolConfig, Runtime, Timeouts,
    redis::{AsyncTypedCommands as _, Client, RedisError, SetExpiry, SetOptions, aio::PubSub, cmd},
};
use secrecy::ExposeSecret as _;
use tokio::{sync::Semaphore, time::timeout};

use crate::{breaker::Breaker, settings::RedisSettings};

/// The most that a request waits for Redis.
const PATIENCE: Duration = Duration::from_millis(50);
/// The most that a call takes behind the back of a request that did not wait for it: long enough for a first
/// connection, which a later call then finds.
const DEADLINE: Duration = Duration::from_secs(2);
/// Calls under way at once, those that nobody waits for included.
const CALLS: usize = 256;
/// Failures in a row after which Redis is left alone, and for how long.
const FAILURES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// Why Redis cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[error("redis.url: {0}")]
pub struct RedisUrlError(String);

/// A pool of connections to Redis.
#[derive(Clone)]
pub(crate) struct Redis {
    client: Client,
    pool: Pool,
    calls: Arc<Semaphore>,
    breaker: Arc<Breaker>,
}

impl Redis {
    /// Connects when it is first needed.
    ///
    /// # Errors
    /// A URL that the client does not understand.
    pub(crate) fn new(settings: &RedisSettings) -> Result<Self, RedisUrlError> {
        let unusable = |error: String| RedisUrlError(error);
        let client =
            Client::open(settings.url.expose_secret()).map_err(|error| unusable(error.to_string()))?;
        let manager =
            Manager::new(settings.url.expose_secret()).map_err(|error| unusable(error.to_string()))?;
        let timeouts = Timeouts { wait: Some(DEADLINE), create: Some(DEADLINE), recycle: Some(DEADLINE) };
        let config = PoolConfig { max_size: settings.pool_size.get(), timeouts, ..PoolConfig::default() };
        let pool = Pool::builder(manager).config(config).runtime(Runtime::Tokio1).build();
        Ok(Self {
            client,
            pool: pool.map_err(|error| unusable(error.to_string()))?,
            calls: Arc::new(Semaphore::new(CALLS)),
            breaker: Breaker::new(FAILURES, PAUSE),
        })
    }

    /// At most `limit` bytes of the value of `key`; `None` if there is none, or Redis does not say in time.
    pub(crate) async fn get(&self, key: String, limit: isize) -> Option<Vec<u8>> {
        self.get_or_absent(key, limit).await?
    }

    /// The same, with `Some(None)` for a value that is known not to be there.
    pub(crate) async fn get_or_absent(&self, key: String, limit: isize) -> Option<Option<Vec<u8>>> {
        let pool = self.pool.clone();
        let value: Vec<u8> = self
            .call(async move {
                let mut connection = pool.get().await.map_err(into_redis_error)?;
                let mut range = cmd("GETRANGE");
                range.arg(key).arg(0).arg(limit - 1).query_async(&mut connection).await
            })
            .await?;
        Some((!value.is_empty()).then_some(value))
    }

    /// Sets `key` for `ttl`.
    pub(crate) async fn set(&self, key: String, value: Vec<u8>, ttl: Duration) {
        let pool = self.pool.clone();
        let options = SetOptions::default().with_expiration(SetExpiry::PX(ttl.as_millis() as u64));
        self.call(async move {
            let mut connection = pool.get().await.map_err(into_redis_error)?;
            connection.set_options(key, value, options).await.map(drop)
        })
        .await;
    }

    /// A connection of its own that listens to `channel`.
    ///
    /// # Errors
    /// A Redis that does not answer, or refuses.
    pub(crate) async fn subscribe(&self, channel: &str) -> Result<PubSub, RedisError> {
        let mut subscription = self.client.get_async_pubsub().await?;
        subscription.subscribe(channel).await?;
        Ok(subscription)
    }

    /// Runs `call` for as long as it may take, and waits for it for as long as a request may.
    async fn call<T: 'static>(
        &self,
        call: impl Future<Output = Result<T, RedisError>> + 'static,
    ) -> Option<T> {
        let permit = Arc::clone(&self.calls).try_acquire_owned().ok()?;
        let attempt = self.breaker.admit()?;
        let running = actix_rt::spawn(async move {
            let outcome = timeout(DEADLINE, call).await;
            drop(permit);
            outcome
        });
        let outcome = match timeout(PATIENCE, running).await {
            Ok(Ok(Ok(outcome))) => outcome.map_err(|error| error.to_string()),
            _ => Err(format!("no answer within {PATIENCE:?}")),
        };
        attempt.ended(outcome.is_ok());
        outcome.inspect_err(|error| tracing::debug!(error, "Redis did not help")).ok()
    }
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redis(…)")
    }
}

fn into_redis_error(error: deadpool_redis::PoolError) -> RedisError {
    RedisError::from(std::io::Error::other(error.to_string()))
}
