//! The batches that the service does not have yet: in the spool, or in memory where that cannot be written.

use std::{collections::VecDeque, sync::Arc};

use uuid::Uuid;

use super::spool::SealedFile;

/// What waits in memory at most, in bytes.
const MAX_MEMORY: u64 = 8 * 1024 * 1024;
/// What a file takes at least, by which small ones are bounded too.
const BLOCK: u64 = 4096;
/// How often a batch fails before later ones go first, so that one that the service cannot take does not hold them all up.
const PATIENCE: u32 = 4;

#[derive(Debug, Clone)]
pub(super) struct WaitingBatch {
    pub(super) file: SealedFile,
    /// Its bytes, where it is not in the spool.
    pub(super) in_memory: Option<Arc<[u8]>>,
    pub(super) failures: u32,
}

impl WaitingBatch {
    pub(super) fn in_spool(file: SealedFile) -> Self {
        Self { file, in_memory: None, failures: 0 }
    }

    fn size(&self) -> u64 {
        self.file.size.next_multiple_of(BLOCK)
    }
}

/// Oldest first.
#[derive(Debug)]
pub(super) struct Waiting {
    batches: VecDeque<WaitingBatch>,
    spool_size: u64,
    /// The one that is being sent: it is not dropped.
    sending: Option<Uuid>,
}

impl Waiting {
    pub(super) fn new(spool_size: u64) -> Self {
        Self { batches: VecDeque::new(), spool_size, sending: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// The requests that wait: in the spool, in memory.
    pub(super) fn requests(&self) -> (u64, u64) {
        let of = |in_spool: bool| {
            let batches = self.batches.iter().filter(|batch| batch.in_memory.is_none() == in_spool);
            batches.map(|batch| batch.file.requests).sum()
        };
        (of(true), of(false))
    }

    /// Adds batches; those that fall out for them.
    pub(super) fn add(&mut self, batches: impl IntoIterator<Item = WaitingBatch>) -> Vec<WaitingBatch> {
        for batch in batches {
            let at = self.batches.partition_point(|earlier| earlier.file.from <= batch.file.from);
            self.batches.insert(at, batch);
        }
        let mut fallen = self.over(true, self.spool_size);
        fallen.extend(self.over(false, MAX_MEMORY));
        fallen
    }

    /// Takes out the oldest of one kind beyond its limit; the newest is kept, however large.
    fn over(&mut self, in_spool: bool, limit: u64) -> Vec<WaitingBatch> {
        let is_of_kind = |batch: &WaitingBatch| batch.in_memory.is_none() == in_spool;
        let mut size: u64 =
            self.batches.iter().filter(|batch| is_of_kind(batch)).map(WaitingBatch::size).sum();
        let newest = self.batches.iter().rfind(|batch| is_of_kind(batch)).map(|batch| batch.file.id);
        let kept = [newest, self.sending];
        let mut fallen = Vec::new();
        while size > limit {
            let falls = |batch: &WaitingBatch| is_of_kind(batch) && !kept.contains(&Some(batch.file.id));
            let Some(batch) = self.batches.iter().position(falls).and_then(|at| self.batches.remove(at))
            else {
                break;
            };
            size -= batch.size();
            fallen.push(batch);
        }
        fallen
    }

    /// The one to be sent next, which stays until [`Self::done`].
    pub(super) fn begin(&mut self) -> Option<WaitingBatch> {
        let next = self.batches.iter().min_by_key(|batch| batch.failures / PATIENCE)?;
        self.sending = Some(next.file.id);
        Some(next.clone())
    }

    /// It was not taken.
    pub(super) fn failed(&mut self, id: Uuid) {
        self.sending = None;
        if let Some(batch) = self.batches.iter_mut().find(|batch| batch.file.id == id) {
            batch.failures += 1;
        }
    }

    /// It is not to be sent again.
    pub(super) fn done(&mut self, id: Uuid) {
        self.sending = None;
        self.batches.retain(|batch| batch.file.id != id);
    }

    /// The oldest in memory that nobody sends.
    pub(super) fn first_in_memory(&self) -> Option<(SealedFile, Arc<[u8]>)> {
        let mut others = self.batches.iter().filter(|batch| Some(batch.file.id) != self.sending);
        others.find_map(|batch| Some((batch.file, Arc::clone(batch.in_memory.as_ref()?))))
    }

    /// It is in the spool now, unless it is gone or being sent.
    pub(super) fn written(&mut self, id: Uuid) -> bool {
        let written = self.batches.iter_mut().find(|batch| batch.file.id == id && Some(id) != self.sending);
        written.map(|batch| batch.in_memory = None).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(from: i64, size: u64, in_memory: bool) -> WaitingBatch {
        let file = SealedFile { id: Uuid::new_v4(), from, requests: 10, size };
        WaitingBatch { in_memory: in_memory.then(|| Arc::from([])), ..WaitingBatch::in_spool(file) }
    }

    fn times(batches: &[WaitingBatch]) -> Vec<i64> {
        batches.iter().map(|batch| batch.file.from).collect()
    }

    #[test]
    fn the_oldest_falls_out_of_a_full_spool_unless_it_is_being_sent() {
        let mut waiting = Waiting::new(3 * BLOCK);
        // What a dead process left may be older than what is there.
        for from in [3, 1, 2] {
            assert!(waiting.add([batch(from, 1, false)]).is_empty());
        }
        assert_eq!(times(&waiting.add([batch(4, BLOCK, false)])), [1]);
        assert_eq!(waiting.begin().unwrap().file.from, 2);
        assert_eq!(times(&waiting.add([batch(5, BLOCK + 1, false)])), [3, 4]);
        // Memory has a limit of its own.
        assert!(waiting.add([batch(0, MAX_MEMORY, true)]).is_empty());
        assert_eq!(times(&waiting.add([batch(6, 1, true)])), [0]);
        assert_eq!(waiting.requests(), (20, 10));
        // One is kept, however large.
        assert_eq!(times(&waiting.add([batch(7, 100 * BLOCK, false)])), [5]);
    }

    #[test]
    fn the_oldest_is_sent_first_and_one_that_fails_again_and_again_lets_others_pass() {
        let mut waiting = Waiting::new(1 << 20);
        for from in [2, 1] {
            waiting.add([batch(from, 1, false)]);
        }
        for _ in 0..PATIENCE {
            let first = waiting.begin().unwrap().file;
            assert_eq!(first.from, 1);
            waiting.failed(first.id);
        }
        let next = waiting.begin().unwrap().file;
        assert_eq!(next.from, 2);
        waiting.done(next.id);
        assert_eq!(waiting.begin().unwrap().file.from, 1);
    }
}
