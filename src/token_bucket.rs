//! A token bucket: a burst, and a rate after that.

use std::time::{Duration, Instant};

/// Holds at most `capacity` tokens, gains `per_second`, and begins full.
#[derive(Debug, Clone)]
pub(crate) struct TokenBucket {
    capacity: f64,
    per_second: f64,
    tokens: f64,
    updated_at: Instant,
}

impl TokenBucket {
    pub(crate) fn new(capacity: f64, per_second: f64, now: Instant) -> Self {
        Self { capacity, per_second, tokens: capacity, updated_at: now }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// The time until there is one.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        match self.until_one(now) {
            Duration::ZERO => {
                self.tokens -= 1.0;
                Ok(())
            }
            wait => Err(wait),
        }
    }

    /// The time until there is a token; zero if there is one.
    pub(crate) fn until_one(&mut self, now: Instant) -> Duration {
        self.refill(now);
        Duration::from_secs_f64(((1.0 - self.tokens) / self.per_second).max(0.0))
    }

    /// Takes tokens that are already used; the balance may become negative.
    pub(crate) fn charge(&mut self, tokens: f64, now: Instant) {
        self.refill(now);
        self.tokens -= tokens;
    }

    /// Sets the balance, which another store keeps.
    pub(crate) fn set(&mut self, tokens: f64, now: Instant) {
        self.tokens = tokens;
        self.updated_at = now;
    }

    fn refill(&mut self, now: Instant) {
        let gained = now.saturating_duration_since(self.updated_at).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + gained).min(self.capacity);
        self.updated_at = now;
    }

    /// Changes capacity and rate; the balance stays, up to the new capacity.
    pub(crate) fn resize(&mut self, capacity: f64, per_second: f64) {
        self.capacity = capacity;
        self.per_second = per_second;
        self.tokens = self.tokens.min(capacity);
    }

    /// The balance at the last call.
    pub(crate) fn tokens(&self) -> f64 {
        self.tokens
    }

    /// Puts back a token that was not used.
    pub(crate) fn give_back(&mut self) {
        self.tokens = (self.tokens + 1.0).min(self.capacity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_its_capacity_at_once_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(2.0, 4.0, start);
        assert_eq!(bucket.take(start), Ok(()));
        assert_eq!(bucket.take(start), Ok(()));
        assert_eq!(bucket.take(start), Err(Duration::from_millis(250)));
        assert_eq!(bucket.take(start + Duration::from_millis(250)), Ok(()));
        assert!(bucket.take(start + Duration::from_millis(250)).is_err());
    }

    #[test]
    fn it_never_holds_more_than_its_capacity() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(1.0, 100.0, start);
        let later = start + Duration::from_secs(60);
        bucket.give_back();
        assert_eq!(bucket.take(later), Ok(()));
        assert!(bucket.take(later).is_err());
    }

    #[test]
    fn a_token_given_back_can_be_taken_again() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(1.0, 0.001, start);
        assert_eq!(bucket.take(start), Ok(()));
        bucket.give_back();
        assert_eq!(bucket.take(start), Ok(()));
    }
}
