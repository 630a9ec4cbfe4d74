//! One limit for all instances: Redis holds the bucket, and an instance leases tokens from it in batches, so that most requests
//! need no call to Redis. Leased tokens that are not used are lost; no token is used twice.

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use deadpool_redis::redis::Script;
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;
use tracing::Instrument as _;

use super::{
    Allowance, LimitExceeded,
    rate::{HOUR, Rate},
};
use crate::{
    redis::{Connection, Redis},
    token_bucket::TokenBucket,
};

/// The largest batch. A batch is a hundredth of an hour's requests.
const MAX_BATCH: u32 = 100;

/// Takes up to ARGV[3] tokens out of a bucket of capacity ARGV[1] that gains ARGV[2] each millisecond by Redis's own clock.
/// Returns the number of tokens taken and left.
static LEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local capacity, rate, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        local state = redis.call('HMGET', KEYS[1], 'tokens', 'at')
        local tokens, at = tonumber(state[1]) or capacity, tonumber(state[2]) or now
        tokens = math.min(capacity, tokens + math.max(0, now - at) * rate)
        local taken = math.min(wanted, math.floor(tokens))
        redis.call('HSET', KEYS[1], 'tokens', tokens - taken, 'at', now)
        redis.call('PEXPIRE', KEYS[1], math.ceil(capacity / rate) + 60000)
        return {taken, math.floor(tokens - taken)}
        ",
    )
});

/// The tokens that this instance has leased from one bucket.
#[derive(Debug)]
pub(super) struct Lease {
    key: String,
    held: Mutex<Held>,
    /// Locked during a call to Redis; requests that find no token wait for it.
    refilling: AsyncMutex<()>,
}

#[derive(Debug)]
struct Held {
    tokens: u32,
    /// The tokens left in Redis at the last call.
    left: u32,
    /// The bucket in Redis is empty until then.
    empty_until: Option<Instant>,
    /// This instance's share of the limit, used while Redis does not answer.
    share: Option<TokenBucket>,
}

impl Lease {
    pub(super) fn new(key: String) -> Self {
        let held = Held { tokens: 0, left: 0, empty_until: None, share: None };
        Self { key, held: Mutex::new(held), refilling: AsyncMutex::new(()) }
    }

    /// # Errors
    /// The limit is exceeded; or this instance's share of it, while Redis does not answer.
    pub(super) async fn take(
        self: &Arc<Self>,
        redis: &Redis,
        rate: Rate,
        instances: u32,
    ) -> Result<Allowance, LimitExceeded> {
        if let Some(outcome) = self.take_held(redis, rate) {
            return outcome;
        }
        let _turn = self.refilling.lock().await;
        // The request before this one may have leased enough.
        if let Some(outcome) = self.take_held(redis, rate) {
            return outcome;
        }
        match self.refill(redis, rate).await {
            Some(()) => self.take_held(redis, rate).unwrap_or_else(|| Err(exceeded(rate, rate.until_one()))),
            None => self.take_share(rate, instances),
        }
    }

    /// Puts back a token that was not used.
    pub(super) fn give_back(&self) {
        let mut held = self.held.lock();
        match &mut held.share {
            Some(share) => share.give_back(),
            None => held.tokens += 1,
        }
    }

    /// The tokens here and in Redis at the last call; `None` if there was none, or no answer to it.
    pub(super) fn tokens(&self) -> Option<f64> {
        let held = self.held.lock();
        match &held.share {
            Some(share) => Some(share.tokens()),
            None if held.tokens + held.left > 0 || held.empty_until.is_some() => {
                Some(f64::from(held.tokens + held.left))
            }
            None => None,
        }
    }

    /// `None` if there is no token here and Redis may have some.
    fn take_held(self: &Arc<Self>, redis: &Redis, rate: Rate) -> Option<Result<Allowance, LimitExceeded>> {
        let mut held = self.held.lock();
        if held.tokens == 0 {
            let until = held.empty_until?;
            let left = until.checked_duration_since(Instant::now())?;
            return Some(Err(exceeded(rate, left)));
        }
        held.tokens -= 1;
        let (tokens, remaining) = (held.tokens, held.tokens + held.left);
        drop(held);
        if tokens == batch(rate) / 2 && tokens > 0 {
            self.refill_in_background(redis, rate);
        }
        Some(Ok(rate.allowance(f64::from(remaining))))
    }

    /// Leases the next batch before this one is used up, so that no request waits for it.
    fn refill_in_background(self: &Arc<Self>, redis: &Redis, rate: Rate) {
        let (lease, redis) = (Arc::clone(self), redis.clone());
        let refilling = async move {
            let _turn = lease.refilling.lock().await;
            lease.refill(&redis, rate).await
        };
        actix_rt::spawn(refilling.in_current_span());
    }

    /// `None` if Redis does not answer.
    async fn refill(&self, redis: &Redis, rate: Rate) -> Option<()> {
        let (key, wanted) = (self.key.clone(), batch(rate));
        let per_millisecond = f64::from(rate.per_hour) / HOUR / 1000.0;
        let lease = move |mut connection: Connection| async move {
            let mut lease = LEASE.key(key);
            lease.arg(rate.per_hour).arg(per_millisecond).arg(wanted);
            lease.invoke_async::<(u32, u32)>(&mut connection).await
        };
        let (taken, left) = redis.call(lease).await?;
        let mut held = self.held.lock();
        held.tokens += taken;
        held.left = left;
        held.share = None;
        held.empty_until = (held.tokens == 0).then(|| Instant::now() + rate.until_one());
        Some(())
    }

    fn take_share(&self, rate: Rate, instances: u32) -> Result<Allowance, LimitExceeded> {
        let now = Instant::now();
        let share = Rate { per_hour: (rate.per_hour / instances).max(1), ..rate };
        let mut held = self.held.lock();
        let bucket = held.share.get_or_insert_with(|| share.bucket(now));
        share.take(bucket, now)
    }
}

fn batch(rate: Rate) -> u32 {
    (rate.per_hour / 100).clamp(1, MAX_BATCH)
}

fn exceeded(rate: Rate, retry_after: Duration) -> LimitExceeded {
    rate.exceeded(rate.allowance(0.0), retry_after)
}
