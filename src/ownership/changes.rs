//! When things were changed last, so that MLflow's answer to an earlier question is not used.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher as _,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use crate::routing::Kind;

/// Two things in one slot cost a question more.
const SLOTS: usize = 4096;

/// The time of the last change in each slot. Whoever notes changes in a flood makes others ask again, and no more.
#[derive(Debug)]
pub(super) struct Changes {
    began: Instant,
    /// Nanoseconds since then; 0: never.
    slots: Box<[AtomicU64]>,
    /// Likewise, of any thing: mostly nothing was changed for longer than an answer is remembered.
    last: AtomicU64,
    hasher: RandomState,
}

impl Changes {
    pub(super) fn new() -> Self {
        let slots = (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        Self { began: Instant::now(), slots, last: AtomicU64::new(0), hasher: RandomState::new() }
    }

    /// Notes that a thing is being changed, or was.
    pub(super) fn note(&self, kind: Kind, id: &str) {
        let now = self.nanoseconds(Instant::now());
        self.slot(kind, id).fetch_max(now, Ordering::AcqRel);
        self.last.fetch_max(now, Ordering::AcqRel);
    }

    /// Whether a thing was changed, or its change began or ended, after `asked`.
    pub(super) fn any_since(&self, kind: Kind, id: &str, asked: Instant) -> bool {
        let asked = self.nanoseconds(asked);
        let is_later = |change: &AtomicU64| change.load(Ordering::Acquire) >= asked;
        is_later(&self.last) && is_later(self.slot(kind, id))
    }

    /// The workspace does not count: MLflow takes a request without one for its default. Nor does case, for some databases.
    fn slot(&self, kind: Kind, id: &str) -> &AtomicU64 {
        let hash = self.hasher.hash_one((kind.word(), id.trim().to_lowercase()));
        &self.slots[hash as usize % SLOTS]
    }

    fn nanoseconds(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.began).as_nanos() as u64 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_before_a_change_is_void_and_what_is_asked_after_it_is_not() {
        let changes = Changes::new();
        let before = Instant::now();
        assert!(!changes.any_since(Kind::Model, "m", before));
        changes.note(Kind::Model, "m");
        assert!(changes.any_since(Kind::Model, "m", before));
        assert!(!changes.any_since(Kind::Model, "m", Instant::now()));
    }

    #[test]
    fn a_change_concerns_every_spelling_of_the_name_and_no_other_kind() {
        let changes = Changes::new();
        let before = Instant::now();
        changes.note(Kind::Model, "Acme ");
        for (kind, id, expected) in
            [(Kind::Model, "acme", true), (Kind::Model, "ACME", true), (Kind::Experiment, "acme", false)]
        {
            assert_eq!(changes.any_since(kind, id, before), expected, "{kind:?} {id}");
        }
    }
}
