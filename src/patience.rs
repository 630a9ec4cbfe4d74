//! How long somebody may be waited for who sends, or takes, a body.

use std::time::Duration;

/// A stall ends when it has lasted for `full`. A trickle ends too: what was waited comes back only with bytes, at `rate`
/// bytes a second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    full: Duration,
    rate: u64,
    left: Duration,
}

impl Patience {
    pub(crate) fn new(full: Duration, rate: u64) -> Self {
        Self { full, rate, left: full }
    }

    /// How long the next wait may be.
    pub(crate) fn left(&self) -> Duration {
        self.left
    }

    /// So many bytes came after a wait.
    pub(crate) fn rewarded(&mut self, bytes: usize, waited: Duration) {
        if waited.is_zero() && self.left == self.full {
            return;
        }
        let earned = Duration::from_secs_f64(bytes as f64 / self.rate as f64);
        self.left = self.left.saturating_sub(waited).saturating_add(earned).min(self.full);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn whoever_keeps_the_rate_is_waited_for_without_end() {
        let mut patience = Patience::new(10 * SECOND, 1000);
        for _ in 0..1000 {
            patience.rewarded(5000, 5 * SECOND);
        }
        assert_eq!(patience.left(), 10 * SECOND);
    }

    #[test]
    fn a_trickle_uses_it_up() {
        let mut patience = Patience::new(10 * SECOND, 1000);
        for _ in 0..11 {
            patience.rewarded(1, SECOND);
        }
        assert!(patience.left() < SECOND / 10);
    }

    #[test]
    fn a_burst_earns_no_more_than_one_stall() {
        let mut patience = Patience::new(10 * SECOND, 1000);
        patience.rewarded(1_000_000, Duration::ZERO);
        assert_eq!(patience.left(), 10 * SECOND);
    }
}
