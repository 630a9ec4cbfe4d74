//! The limit on failures, rejected keys for the most part, of each client address.

use std::{convert::Infallible, net::IpAddr, sync::Arc, time::Instant};

use parking_lot::Mutex;
use quick_cache::sync::Cache;

use super::NotAdmitted;
use crate::{client_ip::customer_network, token_bucket::TokenBucket};

/// How many addresses have their failures counted; the least recently used are forgotten first.
const ADDRESSES: usize = 10_000;

/// How many failures each address has left.
#[derive(Debug)]
pub(in crate::auth) struct FailureLimit {
    per_minute: f64,
    budgets: Cache<IpAddr, Arc<Mutex<Budget>>>,
}

/// The failures that one address has left.
#[derive(Debug)]
struct Budget {
    left: TokenBucket,
    /// Tokens out for calls in flight, which may still be given back.
    in_use: usize,
}

/// One failure that an address may have; given back unless it is used up.
#[derive(Debug)]
pub(in crate::auth) struct FailureToken(Option<Arc<Mutex<Budget>>>);

impl FailureLimit {
    pub(in crate::auth) fn new(per_minute: usize) -> Self {
        Self { per_minute: per_minute as f64, budgets: Cache::new(ADDRESSES) }
    }

    /// Whether an address has failed too often. Takes no token.
    pub(in crate::auth) fn check(&self, client: Option<IpAddr>) -> Result<(), NotAdmitted> {
        let budget = client.and_then(|client| self.budgets.get(&customer_network(client)));
        match budget.map(|budget| budget.lock().refused(Instant::now())) {
            Some(Some(refused @ NotAdmitted::TooManyFailures(_))) => Err(refused),
            _ => Ok(()),
        }
    }

    /// Takes a token of an address, where that is known.
    ///
    /// # Errors
    /// None is left: `Busy` while some are in use, for their calls may still succeed.
    pub(in crate::auth) fn take(&self, client: Option<IpAddr>) -> Result<FailureToken, NotAdmitted> {
        let Some(client) = client else { return Ok(FailureToken(None)) };
        let now = Instant::now();
        let left = TokenBucket::new(self.per_minute, self.per_minute / 60.0, now);
        let new = || Arc::new(Mutex::new(Budget { left, in_use: 0 }));
        let Ok(of) =
            self.budgets.get_or_insert_with(&customer_network(client), || Ok::<_, Infallible>(new()));
        let mut budget = of.lock();
        if let Some(refused) = budget.refused(now) {
            return Err(refused);
        }
        budget.left.charge(1.0, now);
        budget.in_use += 1;
        drop(budget);
        Ok(FailureToken(Some(of)))
    }
}

impl Budget {
    fn refused(&mut self, now: Instant) -> Option<NotAdmitted> {
        let wait = self.left.until_one(now);
        match self.in_use {
            _ if wait.is_zero() => None,
            0 => Some(NotAdmitted::TooManyFailures(wait)),
            _ => Some(NotAdmitted::Busy),
        }
    }
}

impl FailureToken {
    pub(in crate::auth) fn use_up(mut self) {
        if let Some(budget) = self.0.take() {
            budget.lock().in_use -= 1;
        }
    }
}

impl Drop for FailureToken {
    fn drop(&mut self) {
        if let Some(budget) = self.0.take() {
            let mut budget = budget.lock();
            budget.in_use -= 1;
            budget.left.give_back();
        }
    }
}
