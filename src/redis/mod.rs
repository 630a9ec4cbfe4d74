//! Redis, without which the gateway works too: a call has 50 ms, and a circuit breaker stops calls after failures.

mod backend;
mod fault;
mod listen;
mod self_test;
mod watch;

use std::{future::Future, sync::Arc, time::Duration};

use deadpool_redis::redis::{Cmd, ErrorKind, RedisError, aio::PubSub, cmd};
use secrecy::ExposeSecret as _;
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};
use tracing::Instrument as _;

use crate::{
    breaker::Breaker,
    code::Code,
    settings::{RedisSettings, RedisUrl},
    telemetry::{Dependency, Metrics, spans},
};
use backend::Backend;
pub(crate) use backend::Connection;
pub(crate) use fault::{fault, refusal, too_slow};
pub(crate) use listen::{Listener, listen};
pub(crate) use self_test::Needs;
pub(crate) use watch::watch;

/// The longest that a request waits for Redis.
pub(crate) const PATIENCE: Duration = Duration::from_millis(50);
/// The longest that a call runs on in the background: long enough for a first connection, which a later call then uses.
const DEADLINE: Duration = Duration::from_secs(2);
/// Calls in flight, those in the background included.
const CALLS: usize = 256;
/// Commands with retries in flight, and the pause before each try.
const RETRIED: usize = 1_000;
const TRIES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2)];
/// Failures in a row that open the breaker, and the time until the next try.
const FAILURES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// A URL that the client does not understand.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct RedisUrlError(String);

/// A pool of connections to Redis.
#[derive(Clone)]
pub(crate) struct Redis {
    backend: Backend,
    calls: Arc<Semaphore>,
    retried: Arc<Semaphore>,
    breaker: Arc<Breaker>,
    metrics: Metrics,
}

impl Redis {
    /// Connects when it is first needed.
    ///
    /// # Errors
    /// A URL that the client does not understand.
    pub(crate) fn new(settings: &RedisSettings, metrics: Metrics) -> Result<Self, RedisUrlError> {
        let backend = backend(settings)?;
        let (calls, breaker) = (Arc::new(Semaphore::new(CALLS)), Breaker::new(FAILURES, PAUSE));
        let retried = Arc::new(Semaphore::new(RETRIED));
        Ok(Self { backend, calls, retried, breaker, metrics })
    }

    /// # Errors
    /// A URL that the client does not understand.
    pub(crate) fn check(settings: &RedisSettings) -> Result<(), RedisUrlError> {
        backend(settings).map(drop)
    }

    /// The result of `work`, if it is there within the time that a request waits. After that `work` runs on in the background, so
    /// that a slow first connection is ready for the next call.
    pub(crate) async fn call<T, F>(&self, work: impl FnOnce(Connection) -> F + 'static) -> Option<T>
    where
        T: 'static,
        F: Future<Output = Result<T, RedisError>> + 'static,
    {
        let permit = Arc::clone(&self.calls).try_acquire_owned().ok()?;
        let attempt = self.breaker.admit()?;
        let backend = self.backend.clone();
        let span = spans::redis();
        let working = async move {
            let _permit = permit;
            let work = async { work(backend.connection().await?).await };
            timeout(DEADLINE, work).await
        };
        let working = actix_rt::spawn(working.instrument(span.clone()));
        let outcome = match timeout(PATIENCE, working).await {
            Ok(Ok(Ok(outcome))) => outcome,
            _ => Err(into_redis_error(format!("no answer within {PATIENCE:?}"))),
        };
        if outcome.is_err() {
            spans::failed(&span);
        }
        let answers = outcome.as_ref().map_or_else(is_a_refusal, |_| true);
        attempt.record(answers);
        if outcome.as_ref().is_err_and(is_a_refusal_of_all) {
            self.set_up(false);
        }
        outcome.inspect_err(|error| tracing::debug!(error = error_text(error), "a call to Redis failed")).ok()
    }

    /// Does `work` within [`DEADLINE`], past the limit on calls and the breaker.
    ///
    /// # Errors
    /// Those of Redis and of the connection.
    pub(crate) async fn call_directly<T, F>(
        &self,
        work: impl FnOnce(Connection) -> F,
    ) -> Result<T, RedisError>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        in_time(async { work(self.backend.connection().await?).await }).await
    }

    /// Sets the metric `redis_up`. Only a self-test, which covers all that is needed, sets it to 1.
    pub(crate) fn set_up(&self, is_up: bool) {
        self.metrics.set_dependency_up(Dependency::Redis, is_up);
    }

    /// Runs `work` in the background.
    pub(crate) fn call_in_background<F>(&self, work: impl FnOnce(Connection) -> F + 'static)
    where
        F: Future<Output = Result<(), RedisError>> + 'static,
    {
        let redis = self.clone();
        actix_rt::spawn(async move { redis.call(work).await }.in_current_span());
    }

    /// Sends a command that must not be lost, with a few tries, past the limit on calls and the breaker. Runs in the background.
    pub(crate) fn send_with_retries(&self, command: impl Fn() -> Cmd + 'static) {
        let place = Arc::clone(&self.retried).try_acquire_owned();
        let Ok(place) = place else {
            return tracing::warn!(
                code = Code::RevocationNotPublished.text(),
                "a revocation was not sent to Redis: too many are in flight"
            );
        };
        let redis = self.clone();
        let retrying = async move {
            let _place = place;
            let mut outcome = Ok(());
            for pause in TRIES {
                sleep(pause).await;
                outcome =
                    redis.call_directly(async |mut redis| command().query_async(&mut redis).await).await;
                if outcome.is_ok() {
                    return;
                }
            }
            if let Err(error) = outcome {
                tracing::warn!(
                    code = Code::RevocationNotPublished.text(),
                    error = error_text(&error),
                    "a revocation did not reach Redis"
                );
            }
        };
        actix_rt::spawn(retrying.in_current_span());
    }

    /// Publishes a message, and returns the number of listeners; `None` for a cluster, whose nodes know their own listeners only.
    ///
    /// # Errors
    /// Those of Redis and of the connection.
    pub(crate) async fn publish(&self, channel: &str, message: &str) -> Result<Option<u64>, RedisError> {
        let publish = cmd("PUBLISH").arg(channel).arg(message).take();
        let heard =
            self.call_directly(async |mut redis| publish.query_async::<u64>(&mut redis).await).await?;
        Ok((!matches!(self.backend, Backend::Cluster { .. })).then_some(heard))
    }

    /// Publishes a message that may be lost. Whether Redis is up does not depend on it.
    pub(crate) fn publish_in_background(&self, channel: &'static str, message: String) {
        let Some(place) =
            Arc::clone(&self.calls).try_acquire_owned().ok().filter(|_| !self.breaker.is_open())
        else {
            return;
        };
        let redis = self.clone();
        let publishing = async move {
            let _place = place;
            if let Err(error) = redis.publish(channel, &message).await {
                tracing::debug!(error = error_text(&error), "a message did not reach Redis");
            }
        };
        actix_rt::spawn(publishing.in_current_span());
    }

    /// A new connection that listens to `channel`.
    ///
    /// # Errors
    /// A Redis that does not answer, or refuses.
    pub(crate) async fn subscribe(&self, channel: &str) -> Result<PubSub, RedisError> {
        in_time(async {
            let mut subscription = self.backend.pubsub().await?;
            subscription.subscribe(channel).await?;
            Ok(subscription)
        })
        .await
    }
}

fn backend(settings: &RedisSettings) -> Result<Backend, RedisUrlError> {
    let url = RedisUrl::parse(settings.url.expose_secret());
    let url = url.ok_or_else(|| RedisUrlError("has none of its forms".to_owned()))?;
    Backend::new(&url, settings.pool_size.get(), DEADLINE).map_err(RedisUrlError)
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redis(…)")
    }
}

/// The result of `work` within [`DEADLINE`].
async fn in_time<T>(work: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisError> {
    let late = |_| Err(into_redis_error(format!("no answer within {DEADLINE:?}")));
    timeout(DEADLINE, work).await.unwrap_or_else(late)
}

fn into_redis_error(error: impl std::fmt::Display) -> RedisError {
    RedisError::from(std::io::Error::other(error.to_string()))
}

/// The text of an error, without values: those of the client's parser would quote them.
fn error_text(error: &RedisError) -> String {
    match error.kind() {
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => error.category().to_owned(),
        _ => error.to_string(),
    }
}

/// Whether Redis answered and refused this one command: it is full, a replica, or has another type at this key.
fn is_a_refusal(error: &RedisError) -> bool {
    matches!(error.code(), Some("OOM" | "READONLY" | "WRONGTYPE" | "NOPERM"))
}

/// Whether it will refuse the next command of this kind too.
fn is_a_refusal_of_all(error: &RedisError) -> bool {
    is_a_refusal(error) && error.code() != Some("WRONGTYPE")
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::{Value, from_redis_value};

    use super::*;

    #[test]
    fn an_error_text_has_no_value() {
        let value = Value::BulkString(b"S3CR3T".to_vec());
        let error = RedisError::from(from_redis_value::<Vec<u64>>(value).unwrap_err());
        assert!(
            error.to_string().contains("S3CR3T") && !error_text(&error).contains("S3CR3T"),
            "{}",
            error_text(&error)
        );
    }
}
