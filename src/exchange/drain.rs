//! The end of a shutdown's grace, and how many requests it cut.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The server may close connections this much before the end.
const EARLY: Duration = Duration::from_millis(100);

/// One for the process; every exchange asks it.
#[derive(Debug, Default)]
pub struct Drain {
    ends: OnceLock<Instant>,
    cut: AtomicU64,
}

impl Drain {
    /// The shutdown begins: requests may go on for `grace`.
    pub fn begin(&self, grace: Duration) {
        let _ = self.ends.set(Instant::now() + grace);
    }

    /// Whether a request that ends unfinished now was cut; then it is counted.
    pub(super) fn cuts(&self) -> bool {
        let cuts = self.ends.get().is_some_and(|ends| Instant::now() + EARLY >= *ends);
        self.cut.fetch_add(cuts.into(), Ordering::Relaxed);
        cuts
    }

    /// How many were cut so far.
    pub fn cut(&self) -> u64 {
        self.cut.load(Ordering::Relaxed)
    }
}
