//! A number of requests in an hour, as the rate of a token bucket.

use std::time::{Duration, Instant};

use super::{Allowance, Limit, LimitExceeded};
use crate::token_bucket::TokenBucket;

pub(super) const HOUR: f64 = 3600.0;

/// What has a bucket of its own. Reads and changes are counted apart: a dashboard that polls does not keep a training run from logging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Read,
    Write,
    /// Counted as a write, too.
    Create,
}

impl Operation {
    pub(super) const COUNT: usize = 3;

    /// The name of a key's bucket in Redis.
    pub(super) fn name(self, owner: &str) -> String {
        let operation = match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Create => "create",
        };
        format!("hokusai:limit:{operation}:{owner}")
    }
}

/// The rate of a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    pub(super) of: Operation,
    pub(super) per_hour: u32,
}

impl Rate {
    pub(super) fn bucket(self, now: Instant) -> TokenBucket {
        TokenBucket::new(f64::from(self.per_hour), f64::from(self.per_hour) / HOUR, now)
    }

    pub(super) fn take(self, bucket: &mut TokenBucket, now: Instant) -> Result<Allowance, LimitExceeded> {
        bucket.resize(f64::from(self.per_hour), f64::from(self.per_hour) / HOUR);
        let taken = bucket.take(now);
        let allowance = self.allowance(bucket.tokens());
        taken.map(|()| allowance).map_err(|retry_after| self.exceeded(allowance, retry_after))
    }

    pub(super) fn exceeded(self, allowance: Allowance, retry_after: Duration) -> LimitExceeded {
        let limit = match self.of {
            Operation::Read | Operation::Write => Limit::Requests(self.per_hour),
            Operation::Create => Limit::Creates(self.per_hour),
        };
        LimitExceeded { limit, allowance, retry_after }
    }

    /// The rate limit headers for a bucket with this many tokens.
    pub(super) fn allowance(self, tokens: f64) -> Allowance {
        let missing = (f64::from(self.per_hour) - tokens).max(0.0);
        let reset = (missing * HOUR / f64::from(self.per_hour)).ceil() as u64;
        Allowance { limit: self.per_hour.into(), remaining: tokens as u64, reset }
    }

    /// The time until a new token.
    pub(super) fn until_one(self) -> Duration {
        Duration::from_secs_f64(HOUR / f64::from(self.per_hour))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hours_requests_come_back_in_an_hour() {
        let (rate, start) = (Rate { of: Operation::Read, per_hour: 60 }, Instant::now());
        let mut bucket = rate.bucket(start);
        for _ in 0..60 {
            rate.take(&mut bucket, start).unwrap();
        }
        let refused = rate.take(&mut bucket, start).unwrap_err();
        assert_eq!(refused.retry_after.as_secs_f64().round(), 60.0);
        assert_eq!(refused.allowance, Allowance { limit: 60, remaining: 0, reset: 3600 });
        let later = rate.take(&mut bucket, start + Duration::from_secs(600)).unwrap();
        assert_eq!((later.remaining, later.reset), (9, 3060));
    }
}
