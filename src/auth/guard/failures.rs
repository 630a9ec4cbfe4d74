//! The keys that were refused to one client address.

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use quick_cache::sync::Cache;

use crate::{client_ip::household, token_bucket::TokenBucket};

/// For how many addresses failures are counted; those not heard of for longest are forgotten first.
const ADDRESSES: usize = 10_000;

/// How often each address may still fail.
#[derive(Debug)]
pub(super) struct Failures {
    per_minute: f64,
    of: Cache<IpAddr, Arc<Mutex<TokenBucket>>>,
}

/// A try that one address has; given back unless it is used up.
#[derive(Debug)]
pub(super) struct Try(Option<Arc<Mutex<TokenBucket>>>);

impl Failures {
    pub(super) fn new(per_minute: usize) -> Self {
        Self { per_minute: per_minute as f64, of: Cache::new(ADDRESSES) }
    }

    /// A try for an address, where it is known.
    ///
    /// # Errors
    /// It has none left; there is another after this time.
    pub(super) fn take(&self, client: Option<IpAddr>) -> Result<Try, Duration> {
        let Some(client) = client else { return Ok(Try(None)) };
        let now = Instant::now();
        let new = || Arc::new(Mutex::new(TokenBucket::new(self.per_minute, self.per_minute / 60.0, now)));
        let made: Result<_, Infallible> = self.of.get_or_insert_with(&household(client), || Ok(new()));
        let bucket = made.unwrap_or_else(|never| match never {});
        lock(&bucket).take(now)?;
        Ok(Try(Some(bucket)))
    }
}

impl Try {
    pub(super) fn use_up(mut self) {
        self.0 = None;
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        if let Some(bucket) = &self.0 {
            lock(bucket).give_back();
        }
    }
}

fn lock(bucket: &Mutex<TokenBucket>) -> MutexGuard<'_, TokenBucket> {
    bucket.lock().unwrap_or_else(PoisonError::into_inner)
}
