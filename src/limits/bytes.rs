//! The limit on bytes of artifacts for each key and hour.
//!
//! The size of a transfer is known only at its end. It is charged as it passes, to the last byte, so the balance may become
//! negative; the next transfer is refused until it is positive again. Instances share their accounts in Redis: an instance
//! settles at the end of a transfer, after every hundredth of the limit, and before it admits a transfer if it has not for a second.

use std::{
    convert::Infallible,
    num::NonZeroU64,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use deadpool_redis::redis::Script;
use jiff::Timestamp;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use rand::RngExt as _;
use tokio::sync::mpsc;

use super::{ACCOUNTS, Allowance, Limit, LimitExceeded, rate::HOUR};
use crate::{
    redis::{Connection, Redis},
    token_bucket::TokenBucket,
};

/// Accounts that may wait to be settled; others wait for their next transfer.
const MAILBOX: usize = 1024;
/// The time for which a balance from Redis is used.
const FRESH: Duration = Duration::from_secs(1);

/// Charges ARGV[3] to a bucket of capacity ARGV[1] that gains ARGV[2] each millisecond by Redis's own clock. Returns the balance,
/// which may be negative. The instance ARGV[4] may repeat its charge number ARGV[5] if it got no answer; it counts once.
static CHARGE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local capacity, rate, charged = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        local state = redis.call('HMGET', KEYS[1], 'tokens', 'at')
        local tokens, at = tonumber(state[1]) or capacity, tonumber(state[2]) or now
        if (tonumber(redis.call('HGET', KEYS[1], ARGV[4])) or 0) >= tonumber(ARGV[5]) then
            charged = 0
        else
            redis.call('HSET', KEYS[1], ARGV[4], ARGV[5])
        end
        tokens = math.min(capacity, tokens + math.max(0, now - at) * rate) - charged
        redis.call('HSET', KEYS[1], 'tokens', tokens, 'at', now)
        redis.call('PEXPIRE', KEYS[1], math.ceil((capacity - tokens) / rate) + 60000)
        return math.floor(tokens)
        ",
    )
});

/// The accounts of every key.
#[derive(Debug)]
pub(super) struct Accounts {
    per_hour: NonZeroU64,
    accounts: Cache<String, Arc<Account>>,
    fleet: Option<Fleet>,
}

/// How the accounts of all instances are shared.
#[derive(Debug, Clone)]
struct Fleet {
    redis: Redis,
    instances: u32,
    /// The name of this instance.
    instance: Arc<str>,
    settler: mpsc::Sender<Arc<Account>>,
}

/// The actor that reports transfers of this instance to Redis.
#[derive(Debug)]
pub(crate) struct Settler(mpsc::Receiver<Arc<Account>>);

impl Settler {
    /// Ends when the limiter and all meters are dropped.
    pub(crate) async fn run(mut self) {
        while let Some(account) = self.0.recv().await {
            account.settle().await;
        }
    }
}

#[derive(Debug)]
struct Account {
    owner: String,
    per_hour: f64,
    fleet: Option<Fleet>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    bucket: TokenBucket,
    /// Bytes that passed and were not sent to Redis.
    unsettled: u64,
    /// The last charge sent to Redis and not confirmed, with its number.
    pending: (u64, u64),
    /// Whether it is in the settler's mailbox.
    is_queued: bool,
    settled_at: Option<Instant>,
}

/// Counts the bytes of a transfer; the default counts nothing.
#[derive(Debug, Clone, Default)]
pub struct Meter(Option<Arc<Account>>);

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(account) = &self.0 {
            account.settle_soon();
        }
    }
}

impl Meter {
    /// Counts bytes that have passed.
    pub fn count(&self, bytes: usize) {
        if let Some(account) = &self.0 {
            account.charge(bytes as u64);
        }
    }
}

impl Accounts {
    pub(super) fn new(per_hour: NonZeroU64, redis: Option<Redis>, instances: u32) -> (Self, Option<Settler>) {
        let (fleet, settler) = redis
            .map(|redis| {
                let (settler, accounts) = mpsc::channel(MAILBOX);
                let instance = format!("of:{:016x}", rand::rng().random::<u64>()).into();
                (Fleet { redis, instances, instance, settler }, Settler(accounts))
            })
            .unzip();
        (Self { per_hour, accounts: Cache::new(ACCOUNTS), fleet }, settler)
    }

    /// What is left, as far as this instance knows.
    pub(super) fn left(&self, owner: &str) -> Allowance {
        let per_hour = self.per_hour.get() as f64;
        let balance = self.accounts.get(owner).map(|account| account.balance());
        self.allowance(balance.unwrap_or(per_hour))
    }

    fn allowance(&self, balance: f64) -> Allowance {
        let per_hour = self.per_hour.get() as f64;
        let reset = ((per_hour - balance).max(0.0) * HOUR / per_hour).ceil() as u64;
        Allowance { limit: self.per_hour.get(), remaining: balance as u64, reset }
    }

    /// # Errors
    /// The balance is not positive.
    pub(super) async fn open(&self, owner: &str) -> Result<Meter, (Meter, LimitExceeded)> {
        let make = || {
            let per_hour = self.per_hour.get() as f64;
            let bucket = TokenBucket::new(per_hour, per_hour / HOUR, Instant::now());
            let account = Account {
                owner: owner.to_owned(),
                per_hour,
                fleet: self.fleet.clone(),
                state: Mutex::new(State {
                    bucket,
                    unsettled: 0,
                    pending: (0, first_number()),
                    is_queued: false,
                    settled_at: None,
                }),
            };
            Ok::<_, Infallible>(Arc::new(account))
        };
        let Ok(account) = self.accounts.get_or_insert_with(owner, make);
        if account.state.lock().settled_at.is_none_or(|at| at.elapsed() > FRESH) {
            account.settle().await;
        }
        let retry_after = account.state.lock().bucket.until_one(Instant::now());
        let allowance = self.allowance(account.balance());
        let meter = Meter(Some(account));
        if retry_after.is_zero() {
            return Ok(meter);
        }
        let limit = Limit::ArtifactBytes(self.per_hour.get());
        Err((meter, LimitExceeded { limit, allowance, retry_after }))
    }
}

impl Account {
    /// Negative where more has passed than the limit allows.
    fn balance(&self) -> f64 {
        let mut state = self.state.lock();
        state.bucket.until_one(Instant::now());
        state.bucket.tokens()
    }

    fn charge(self: &Arc<Self>, bytes: u64) {
        let mut state = self.state.lock();
        state.bucket.charge(bytes as f64, Instant::now());
        state.unsettled += bytes;
        let much = state.unsettled as f64 > self.per_hour / 100.0;
        drop(state);
        if much {
            self.settle_soon();
        }
    }

    /// Queues the account for the settler.
    fn settle_soon(self: &Arc<Self>) {
        let Some(fleet) = &self.fleet else { return };
        let mut state = self.state.lock();
        if state.unsettled > 0 && !state.is_queued {
            state.is_queued = fleet.settler.try_send(Arc::clone(self)).is_ok();
        }
    }

    /// Sends the charge to Redis and takes its balance. If Redis does not answer, the charge is sent later, and this instance uses
    /// its share of the limit until then.
    async fn settle(&self) {
        let Some(fleet) = &self.fleet else { return };
        let (owed, number) = {
            let mut state = self.state.lock();
            state.is_queued = false;
            if state.pending.0 == 0 {
                state.pending = (std::mem::take(&mut state.unsettled), state.pending.1 + 1);
            }
            state.pending
        };
        let instance = fleet.instance.clone();
        let (key, capacity) = (format!("hokusai:limit:bytes:{}", self.owner), self.per_hour);
        let charge = move |mut connection: Connection| async move {
            let mut charge = CHARGE.key(key);
            charge.arg(capacity).arg(capacity / HOUR / 1000.0).arg(owed).arg(&*instance).arg(number);
            charge.invoke_async::<i64>(&mut connection).await
        };
        let left = fleet.redis.call(charge).await;
        let mut state = self.state.lock();
        state.settled_at = Some(Instant::now());
        if let Some(left) = left {
            if state.pending.1 == number {
                state.pending.0 = 0;
            }
            let since = (state.unsettled + state.pending.0) as f64;
            state.bucket.resize(capacity, capacity / HOUR);
            state.bucket.set(left as f64 - since, Instant::now());
        } else {
            let share = capacity / f64::from(fleet.instances);
            state.bucket.resize(share, share / HOUR);
        }
    }
}

/// Higher than the numbers of a forgotten account of the same name.
fn first_number() -> u64 {
    Timestamp::now().as_microsecond().unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn a_transfer_is_finished_and_the_next_one_waits_until_it_is_paid_for() {
        let (accounts, _) = Accounts::new(NonZeroU64::new(3600).unwrap(), None, 1);
        accounts.open("a").await.unwrap().count(3599 + 60);
        let (_, exceeded) = accounts.open("a").await.unwrap_err();
        assert_eq!(exceeded.retry_after.as_secs_f64().round(), 60.0);
        assert_eq!(exceeded.allowance, Allowance { limit: 3600, remaining: 0, reset: 3659 });
        assert_eq!(accounts.left("a"), exceeded.allowance);
        assert!(accounts.open("b").await.is_ok());
    }

    #[actix_rt::test]
    async fn bytes_up_to_the_last_are_admitted() {
        let (accounts, _) = Accounts::new(NonZeroU64::new(3600).unwrap(), None, 1);
        accounts.open("a").await.unwrap().count(3599);
        assert!(accounts.open("a").await.is_ok());
    }
}
