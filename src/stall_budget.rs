//! How long the gateway waits for a client that sends or receives a body.

use std::time::Duration;

/// Waiting time that a client has left. Each wait is charged to it; each byte credits `1 / rate` seconds, up to `full`. So one
/// stall lasts `full` at most, and a client that stays below `rate` bytes a second uses its budget up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StallBudget {
    full: Duration,
    rate: u64,
    left: Duration,
}

impl StallBudget {
    pub(crate) fn new(full: Duration, rate: u64) -> Self {
        Self { full, rate, left: full }
    }

    /// How long the next wait may be.
    pub(crate) fn left(&self) -> Duration {
        self.left
    }

    /// Charges a wait, and credits the bytes that came after it.
    pub(crate) fn credit(&mut self, bytes: usize, waited: Duration) {
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
    fn a_client_that_keeps_the_rate_may_take_for_ever() {
        let mut budget = StallBudget::new(10 * SECOND, 1000);
        for _ in 0..1000 {
            budget.credit(5000, 5 * SECOND);
        }
        assert_eq!(budget.left(), 10 * SECOND);
    }

    #[test]
    fn a_trickle_uses_the_budget_up() {
        let mut budget = StallBudget::new(10 * SECOND, 1000);
        for _ in 0..11 {
            budget.credit(1, SECOND);
        }
        assert!(budget.left() < SECOND / 10);
    }

    #[test]
    fn a_burst_credits_no_more_than_one_stall() {
        let mut budget = StallBudget::new(10 * SECOND, 1000);
        budget.credit(1_000_000, Duration::ZERO);
        assert_eq!(budget.left(), 10 * SECOND);
    }
}
