//! What one key has used of its limits.

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use parking_lot::Mutex;
use quick_cache::Lifecycle;

use super::{
    Allowance, LimitExceeded,
    lease::Lease,
    rate::{Operation, Rate},
};
use crate::{
    redis::Redis,
    token_bucket::TokenBucket,
    under_way::{Lane, UnderWay},
};

/// Where the buckets are kept.
#[derive(Debug)]
pub(super) enum Store {
    /// In this process, for this instance.
    Memory,
    /// In Redis, for all instances; here are the tokens leased from them.
    Redis(Arc<Fleet>),
}

/// The instances that share the buckets.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) redis: Redis,
    pub(super) instances: u32,
}

/// One key's buckets, by [`Operation`], made when they are first used; and its requests under way.
#[derive(Debug, Default)]
pub(super) struct KeyUse {
    buckets: [OnceLock<Box<Bucket>>; Operation::COUNT],
    pub(super) under_way: Arc<UnderWay>,
}

#[derive(Debug)]
enum Bucket {
    Here(Mutex<TokenBucket>),
    Leased(Arc<Lease>, Arc<Fleet>),
}

impl KeyUse {
    /// Takes a token of the bucket for this operation.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn take(
        &self,
        owner: &str,
        rate: Rate,
        store: &Store,
    ) -> Result<Allowance, LimitExceeded> {
        let bucket = self.buckets[rate.of as usize].get_or_init(|| {
            Box::new(match store {
                Store::Memory => Bucket::Here(Mutex::new(rate.bucket(Instant::now()))),
                Store::Redis(fleet) => {
                    Bucket::Leased(Arc::new(Lease::new(rate.of.name(owner))), Arc::clone(fleet))
                }
            })
        });
        match &**bucket {
            Bucket::Here(bucket) => rate.take(&mut bucket.lock(), Instant::now()),
            Bucket::Leased(lease, fleet) => lease.take(&fleet.redis, rate, fleet.instances).await,
        }
    }

    /// Puts a token back that was taken for a request which another limit refuses.
    pub(super) fn give_back(&self, operation: Operation) {
        match self.buckets[operation as usize].get().map(Box::as_ref) {
            Some(Bucket::Here(bucket)) => bucket.lock().give_back(),
            Some(Bucket::Leased(lease, _)) => lease.give_back(),
            None => {}
        }
    }

    /// What is left, as far as this instance knows.
    pub(super) fn peek(&self, rate: Rate) -> Option<Allowance> {
        let tokens = match &**self.buckets[rate.of as usize].get()? {
            Bucket::Here(bucket) => {
                let mut bucket = bucket.lock();
                bucket.until_one(Instant::now());
                bucket.tokens()
            }
            Bucket::Leased(lease, _) => lease.tokens()?,
        };
        Some(rate.allowance(tokens))
    }
}

/// A key with requests under way is not forgotten: it would be given their places again.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeepBusy;

impl Lifecycle<String, Arc<KeyUse>> for KeepBusy {
    type RequestState = ();

    fn is_pinned(&self, _: &String, key: &Arc<KeyUse>) -> bool {
        [Lane::Requests, Lane::Artifacts].iter().any(|lane| key.under_way.count(*lane) > 0)
    }
}
