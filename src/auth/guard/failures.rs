//! The keys that were refused to one client address.

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use quick_cache::sync::Cache;

use super::Refused;
use crate::{client_ip::household, token_bucket::TokenBucket};

/// For how many addresses failures are counted; those not heard of for longest are forgotten first.
const ADDRESSES: usize = 10_000;

/// How often each address may still fail.
#[derive(Debug)]
pub(super) struct Failures {
    per_minute: f64,
    of: Cache<IpAddr, Arc<Mutex<Tries>>>,
}

/// The tries of one address.
#[derive(Debug)]
struct Tries {
    left: TokenBucket,
    /// Those that may be given back yet.
    in_use: usize,
}

/// A try that one address has; given back unless it is used up.
#[derive(Debug)]
pub(super) struct Try {
    of: Option<Arc<Mutex<Tries>>>,
    used_up: bool,
}

impl Failures {
    pub(super) fn new(per_minute: usize) -> Self {
        Self { per_minute: per_minute as f64, of: Cache::new(ADDRESSES) }
    }

    /// Whether an address has failed too often; takes nothing.
    pub(super) fn look(&self, client: Option<IpAddr>) -> Result<(), Refused> {
        let tries = client.and_then(|client| self.of.get(&household(client)));
        match tries.map(|tries| lock(&tries).refused(Instant::now())) {
            Some(Some(refused @ Refused::TooManyFailures(_))) => Err(refused),
            _ => Ok(()),
        }
    }

    /// A try for an address, where it is known.
    ///
    /// # Errors
    /// It has none left. Those that are in use say nothing of its keys yet.
    pub(super) fn take(&self, client: Option<IpAddr>) -> Result<Try, Refused> {
        let Some(client) = client else { return Ok(Try { of: None, used_up: false }) };
        let now = Instant::now();
        let left = TokenBucket::new(self.per_minute, self.per_minute / 60.0, now);
        let new = || Arc::new(Mutex::new(Tries { left, in_use: 0 }));
        let made: Result<_, Infallible> = self.of.get_or_insert_with(&household(client), || Ok(new()));
        let of = made.unwrap_or_else(|never| match never {});
        let mut tries = lock(&of);
        if let Some(refused) = tries.refused(now) {
            return Err(refused);
        }
        tries.left.charge(1.0, now);
        tries.in_use += 1;
        drop(tries);
        Ok(Try { of: Some(of), used_up: false })
    }
}

impl Tries {
    fn refused(&mut self, now: Instant) -> Option<Refused> {
        let wait = self.left.until_one(now);
        match self.in_use {
            _ if wait.is_zero() => None,
            0 => Some(Refused::TooManyFailures(wait)),
            _ => Some(Refused::Busy),
        }
    }
}

impl Try {
    pub(super) fn use_up(mut self) {
        self.used_up = true;
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        if let Some(of) = &self.of {
            let mut tries = lock(of);
            tries.in_use -= 1;
            if !self.used_up {
                tries.left.give_back();
            }
        }
    }
}

fn lock(tries: &Mutex<Tries>) -> MutexGuard<'_, Tries> {
    tries.lock().unwrap_or_else(PoisonError::into_inner)
}
