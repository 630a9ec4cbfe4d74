//! Counts lost records until the count itself can be written.

use jiff::Timestamp;
use parking_lot::Mutex;

use super::event::Event;

/// A process that is killed loses the count as well.
#[derive(Debug, Default)]
pub(super) struct Losses(Mutex<Option<Loss>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loss {
    records: u64,
    /// Those among them of requests that may have changed something at MLflow.
    changes: u64,
    since: Timestamp,
    until: Timestamp,
}

impl Losses {
    pub(super) fn add(&self, records: u64, changes: u64) {
        let now = Timestamp::now();
        self.merge(Loss { records, changes, since: now, until: now });
    }

    pub(super) fn are_there(&self) -> bool {
        self.0.lock().is_some()
    }

    /// If it cannot be written, put it back with [`Losses::merge`].
    pub(super) fn take(&self) -> Option<Loss> {
        self.0.lock().take()
    }

    pub(super) fn merge(&self, loss: Loss) {
        let mut lost = self.0.lock();
        *lost = Some(lost.map_or(loss, |other| Loss {
            records: other.records + loss.records,
            changes: other.changes + loss.changes,
            since: other.since.min(loss.since),
            until: other.until.max(loss.until),
        }));
    }
}

impl Loss {
    pub(super) fn event(self) -> Event {
        let Self { records, changes, since, until } = self;
        Event::Lost { time: Timestamp::now(), lost: records, changes, since, until }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_add_up_until_they_are_written() {
        let losses = Losses::default();
        assert!(!losses.are_there());
        losses.add(3, 1);
        let taken = losses.take().unwrap();
        losses.add(1, 1);
        losses.merge(taken);
        let Loss { records, changes, since, until } = losses.take().unwrap();
        assert_eq!((records, changes), (4, 2));
        assert!(since < until);
        assert!(!losses.are_there());
    }
}
