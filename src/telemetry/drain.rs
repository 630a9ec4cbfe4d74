//! When a drain ends that was begun, and how many transfers it cut.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// By how much the server may be early.
const EARLY: Duration = Duration::from_millis(100);

/// Shared by the process, and by every request that may be cut.
#[derive(Debug, Default)]
pub struct Drain {
    ends: OnceLock<Instant>,
    cut: AtomicU64,
}

impl Drain {
    /// A drain begins, and transfers may go on for so long.
    pub fn begin(&self, grace: Duration) {
        let _ = self.ends.set(Instant::now() + grace);
    }

    /// Counts a request that ends unfinished now, if that is because the drain is over.
    pub(super) fn cuts(&self) -> bool {
        let cuts = self.ends.get().is_some_and(|ends| Instant::now() + EARLY >= *ends);
        self.cut.fetch_add(cuts.into(), Ordering::Relaxed);
        cuts
    }

    /// How many it has cut so far.
    pub fn cut(&self) -> u64 {
        self.cut.load(Ordering::Relaxed)
    }
}
