//! Revocations and their times, for verdicts that were requested before a revocation and arrive after it.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

use jiff::Timestamp;
use parking_lot::Mutex;
use quick_cache::sync::Cache;

use super::redis_cache::is_void;
use crate::auth::revocation::EVERYTHING;

/// How many revocations are remembered: an hour's, at one in 36 ms.
const REVOCATIONS: usize = 100_000;

/// The revocations that this process knows. Each concerns the verdicts on its own key only.
#[derive(Debug)]
pub(in crate::auth) struct Revocations {
    /// The number of revocations so far.
    epoch: AtomicU64,
    /// The epoch of the last revocation of everything; earlier verdicts are void.
    everything: AtomicU64,
    /// By a hash: a published name may be long.
    by_name: Cache<u64, Revoked>,
    hasher: RandomState,
    revoking: Mutex<()>,
}

#[derive(Debug, Clone, Copy)]
struct Revoked {
    epoch: u64,
    at: Timestamp,
}

impl Revocations {
    pub(in crate::auth) fn new() -> Self {
        Self {
            epoch: AtomicU64::new(0),
            everything: AtomicU64::new(0),
            by_name: Cache::new(REVOCATIONS),
            hasher: RandomState::new(),
            revoking: Mutex::new(()),
        }
    }

    /// To be read before a verdict is requested.
    pub(in crate::auth) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Records the revocation of a name, or of everything, and calls `forget` to clear the cache. In the new epoch, nothing of
    /// the old one is found.
    pub(in crate::auth) fn revoke(&self, name: &str, forget: impl FnOnce()) {
        self.begin_epoch(name == EVERYTHING, forget, |epoch| {
            self.by_name.insert(self.hasher.hash_one(name), Revoked { epoch, at: Timestamp::now() });
        });
    }

    /// Voids the verdicts in flight, and calls `forget`. The verdicts of other instances stay valid.
    pub(in crate::auth) fn clear(&self, forget: impl FnOnce()) {
        self.begin_epoch(true, forget, |_| {});
    }

    fn begin_epoch(&self, is_everything: bool, forget: impl FnOnce(), record: impl FnOnce(u64)) {
        let _lock = self.revoking.lock();
        let epoch = self.epoch() + 1;
        if is_everything {
            self.everything.store(epoch, Ordering::Release);
        }
        record(epoch);
        forget();
        self.epoch.store(epoch, Ordering::Release);
    }

    /// Whether a name was revoked after `epoch`.
    pub(in crate::auth) fn is_revoked_since(&self, name: &str, epoch: u64) -> bool {
        self.everything.load(Ordering::Acquire) > epoch
            || self.revoked(name).is_some_and(|revoked| revoked.epoch > epoch)
    }

    /// When a name, or everything, was last revoked.
    pub(in crate::auth) fn revoked_at(&self, name: &str) -> Option<Timestamp> {
        let at = |name: &str| self.revoked(name).map(|revoked| revoked.at);
        at(name).max(at(EVERYTHING))
    }

    /// Whether a verdict that another instance requested at `asked_at` is void.
    pub(in crate::auth) fn is_void(&self, name: &str, asked_at: Timestamp) -> bool {
        self.revoked_at(name).is_some_and(|at| is_void(asked_at, Some(at)))
    }

    fn revoked(&self, name: &str) -> Option<Revoked> {
        self.by_name.get(&self.hasher.hash_one(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_concerns_its_own_name() {
        let revocations = Revocations::new();
        let before = revocations.epoch();
        revocations.revoke("a", || {});
        assert!(revocations.is_revoked_since("a", before) && !revocations.is_revoked_since("b", before));
        assert!(!revocations.is_revoked_since("a", revocations.epoch()));
        revocations.revoke(EVERYTHING, || {});
        assert!(revocations.is_revoked_since("b", before));
    }

    #[test]
    fn a_clearing_ends_what_is_under_way_and_not_what_others_know() {
        let revocations = Revocations::new();
        let (before, asked_at) = (revocations.epoch(), Timestamp::now());
        revocations.clear(|| {});
        assert!(revocations.is_revoked_since("a", before) && !revocations.is_void("a", asked_at));
    }

    #[test]
    fn what_another_instance_asked_for_before_is_void() {
        let revocations = Revocations::new();
        let before = Timestamp::now();
        revocations.revoke("a", || {});
        assert!(revocations.is_void("a", before) && !revocations.is_void("b", before));
        assert!(!revocations.is_void("a", before + jiff::SignedDuration::from_secs(60)));
        revocations.revoke(EVERYTHING, || {});
        assert!(revocations.is_void("b", before));
    }
}
