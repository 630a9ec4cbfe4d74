//! What was revoked, and when: for verdicts that arrive later and were asked for before.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::Timestamp;
use quick_cache::sync::Cache;

use super::shared::is_void;
use crate::auth::revocation::EVERYTHING;

/// How many revocations are remembered: those of an hour, at one in 36 ms.
const REVOCATIONS: usize = 100_000;

/// The revocations that this process has heard of. Each concerns the verdicts on its own key, and no others.
#[derive(Debug)]
pub(super) struct Revocations {
    /// Counts them.
    epoch: AtomicU64,
    /// The epoch since which nothing from before is believed.
    everything: AtomicU64,
    /// By a hash: who may publish may publish long texts.
    of_one: Cache<u64, Revoked>,
    hasher: RandomState,
    noting: Mutex<()>,
}

#[derive(Debug, Clone, Copy)]
struct Revoked {
    epoch: u64,
    at: Timestamp,
}

impl Revocations {
    pub(super) fn new() -> Self {
        Self {
            epoch: AtomicU64::new(0),
            everything: AtomicU64::new(0),
            of_one: Cache::new(REVOCATIONS),
            hasher: RandomState::new(),
            noting: Mutex::new(()),
        }
    }

    /// To be noted before a verdict is asked for.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Notes the end of a name, or of everything, and lets `forget` forget what was remembered. Whoever asks in the new
    /// epoch finds nothing of the old one.
    pub(super) fn note(&self, name: &str, forget: impl FnOnce()) {
        self.in_a_new_epoch(name == EVERYTHING, forget, |epoch| {
            self.of_one.insert(self.hasher.hash_one(name), Revoked { epoch, at: Timestamp::now() });
        });
    }

    /// Notes that what is under way is not to be remembered; what others remember may still be good.
    pub(super) fn note_clearing(&self, forget: impl FnOnce()) {
        self.in_a_new_epoch(true, forget, |_| {});
    }

    fn in_a_new_epoch(&self, of_everything: bool, forget: impl FnOnce(), note: impl FnOnce(u64)) {
        let _one_at_a_time = self.noting.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = self.epoch() + 1;
        if of_everything {
            self.everything.store(epoch, Ordering::Release);
        }
        note(epoch);
        forget();
        self.epoch.store(epoch, Ordering::Release);
    }

    /// Whether a name was revoked after `epoch`.
    pub(super) fn since(&self, name: &str, epoch: u64) -> bool {
        self.everything.load(Ordering::Acquire) > epoch
            || self.revoked(name).is_some_and(|revoked| revoked.epoch > epoch)
    }

    /// When a name, or everything, was last revoked.
    pub(super) fn at(&self, name: &str) -> Option<Timestamp> {
        [EVERYTHING, name].into_iter().filter_map(|name| self.revoked(name)).map(|revoked| revoked.at).max()
    }

    /// Whether a verdict that another instance asked for at `asked_at` is void.
    pub(super) fn void(&self, name: &str, asked_at: Timestamp) -> bool {
        [EVERYTHING, name]
            .into_iter()
            .filter_map(|name| self.revoked(name))
            .any(|revoked| is_void(asked_at, Some(revoked.at)))
    }

    fn revoked(&self, name: &str) -> Option<Revoked> {
        self.of_one.get(&self.hasher.hash_one(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_concerns_its_own_name() {
        let revocations = Revocations::new();
        let before = revocations.epoch();
        revocations.note("a", || {});
        assert!(revocations.since("a", before) && !revocations.since("b", before));
        assert!(!revocations.since("a", revocations.epoch()));
        revocations.note(EVERYTHING, || {});
        assert!(revocations.since("b", before));
    }

    #[test]
    fn a_clearing_ends_what_is_under_way_and_not_what_others_know() {
        let revocations = Revocations::new();
        let (before, asked_at) = (revocations.epoch(), Timestamp::now());
        revocations.note_clearing(|| {});
        assert!(revocations.since("a", before) && !revocations.void("a", asked_at));
    }

    #[test]
    fn what_another_instance_asked_for_before_is_void() {
        let revocations = Revocations::new();
        let before = Timestamp::now();
        revocations.note("a", || {});
        assert!(revocations.void("a", before) && !revocations.void("b", before));
        assert!(!revocations.void("a", before + jiff::SignedDuration::from_secs(60)));
        revocations.note(EVERYTHING, || {});
        assert!(revocations.void("b", before));
    }
}
