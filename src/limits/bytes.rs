//! How many bytes of artifacts a key may move in an hour.
//!
//! What a transfer costs is known when it is over. It is charged as it passes, to the last byte and into debt; the next
//! one is refused until that is paid. A fleet keeps its accounts in Redis: an instance settles with it at a transfer's
//! end, at every hundredth of the hour's bytes, and before it admits one when it has not for a second.

use std::{
    num::NonZeroU64,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use deadpool_redis::redis::Script;
use jiff::Timestamp;
use quick_cache::sync::Cache;
use rand::RngExt as _;
use tokio::sync::mpsc;

use super::{ACCOUNTS, HOUR, get_or_make};
use crate::{
    redis::{Connection, Redis},
    token_bucket::TokenBucket,
};

/// Accounts that may wait to be settled; what is more waits for its next transfer.
const MAILBOX: usize = 1024;
/// How long what Redis said of an account is believed.
const FRESH: Duration = Duration::from_secs(1);

/// Charges ARGV[3] to a bucket of ARGV[1] that gains ARGV[2] a millisecond; by Redis's own clock. Returns what is left,
/// which may be less than nothing. The instance ARGV[4] may say charge number ARGV[5] again, for it may not have heard.
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

/// Where a fleet keeps its accounts, how many instances it has, and who settles with it.
#[derive(Debug, Clone)]
struct Fleet {
    redis: Redis,
    instances: u32,
    /// The name of this one.
    instance: Arc<str>,
    settler: mpsc::Sender<Arc<Account>>,
}

/// The actor that tells the fleet what passed here.
#[derive(Debug)]
pub(crate) struct Settler(mpsc::Receiver<Arc<Account>>);

impl Settler {
    /// Ends when nobody moves artifacts any more.
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
    /// What passed and the fleet was not told of.
    unsettled: u64,
    /// What it was told of last, and has not confirmed; with the number of the charge.
    told: (u64, u64),
    /// Whether the settler has it before itself.
    waits: bool,
    settled_at: Option<Instant>,
}

/// Where the bytes of a transfer are counted; by default nowhere.
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
    /// So many bytes more have passed.
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

    pub(super) fn per_hour(&self) -> u64 {
        self.per_hour.get()
    }

    /// # Errors
    /// How long it takes until what was moved is paid for.
    pub(super) async fn open(&self, owner: &str) -> Result<Meter, (Meter, Duration)> {
        let account = get_or_make(&self.accounts, owner, || {
            let per_hour = self.per_hour.get() as f64;
            let bucket = TokenBucket::new(per_hour, per_hour / HOUR, Instant::now());
            Account {
                owner: owner.to_owned(),
                per_hour,
                fleet: self.fleet.clone(),
                state: Mutex::new(State {
                    bucket,
                    unsettled: 0,
                    told: (0, first_number()),
                    waits: false,
                    settled_at: None,
                }),
            }
        });
        if account.state().settled_at.is_none_or(|at| at.elapsed() > FRESH) {
            account.settle().await;
        }
        let wait = account.state().bucket.until_one(Instant::now());
        let meter = Meter(Some(account));
        if wait.is_zero() { Ok(meter) } else { Err((meter, wait)) }
    }
}

impl Account {
    fn charge(self: &Arc<Self>, bytes: u64) {
        let mut state = self.state();
        state.bucket.charge(bytes as f64, Instant::now());
        state.unsettled += bytes;
        let much = state.unsettled as f64 > self.per_hour / 100.0;
        drop(state);
        if much {
            self.settle_soon();
        }
    }

    /// Leaves it to the settler, unless it waits there already.
    fn settle_soon(self: &Arc<Self>) {
        let Some(fleet) = &self.fleet else { return };
        let mut state = self.state();
        if state.unsettled > 0 && !state.waits {
            state.waits = fleet.settler.try_send(Arc::clone(self)).is_ok();
        }
    }

    /// Tells the fleet what passed here and hears what is left of all. If Redis does not answer, it is told later, and
    /// until then this instance has its share.
    async fn settle(&self) {
        let Some(fleet) = &self.fleet else { return };
        let (owed, number) = {
            let mut state = self.state();
            state.waits = false;
            if state.told.0 == 0 {
                state.told = (std::mem::take(&mut state.unsettled), state.told.1 + 1);
            }
            state.told
        };
        let instance = fleet.instance.clone();
        let (key, capacity) = (format!("hokusai:limit:bytes:{}", self.owner), self.per_hour);
        let charge = move |mut connection: Connection| async move {
            let mut charge = CHARGE.key(key);
            charge.arg(capacity).arg(capacity / HOUR / 1000.0).arg(owed).arg(&*instance).arg(number);
            charge.invoke_async::<i64>(&mut connection).await
        };
        let left = fleet.redis.call(charge).await;
        let mut state = self.state();
        state.settled_at = Some(Instant::now());
        if let Some(left) = left {
            if state.told.1 == number {
                state.told.0 = 0;
            }
            let since = (state.unsettled + state.told.0) as f64;
            state.bucket.resize(capacity, capacity / HOUR);
            state.bucket.set(left as f64 - since, Instant::now());
        } else {
            let share = capacity / f64::from(fleet.instances);
            state.bucket.resize(share, share / HOUR);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Behind the numbers of every account of this name that was forgotten here.
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
        let (_, wait) = accounts.open("a").await.unwrap_err();
        assert_eq!(wait.as_secs_f64().round(), 60.0);
        assert!(accounts.open("b").await.is_ok());
    }

    #[actix_rt::test]
    async fn bytes_up_to_the_last_are_admitted() {
        let (accounts, _) = Accounts::new(NonZeroU64::new(3600).unwrap(), None, 1);
        accounts.open("a").await.unwrap().count(3599);
        assert!(accounts.open("a").await.is_ok());
    }
}
