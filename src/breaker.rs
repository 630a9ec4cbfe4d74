//! A circuit breaker.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Closed until `threshold` failures in a row; then open for `pause`; then half-open: one probe at a time, whose
/// success closes it and whose failure opens it again.
#[derive(Debug)]
pub(crate) struct Breaker {
    threshold: u32,
    pause: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen,
}

impl Breaker {
    pub(crate) fn new(threshold: u32, pause: Duration) -> Arc<Self> {
        Arc::new(Self { threshold, pause, state: Mutex::new(State::Closed { failures: 0 }) })
    }

    /// The permission for one try; `None` while the breaker is open.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Attempt> {
        let mut state = self.state.lock();
        match *state {
            State::Closed { .. } => {}
            State::Open { until } if until <= Instant::now() => *state = State::HalfOpen,
            State::Open { .. } | State::HalfOpen => return None,
        }
        drop(state);
        Some(Attempt { breaker: Some(Arc::clone(self)) })
    }

    /// Whether it would refuse a try now.
    pub(crate) fn is_open(&self) -> bool {
        match *self.state.lock() {
            State::Closed { .. } => false,
            State::Open { until } => until > Instant::now(),
            State::HalfOpen => true,
        }
    }

    fn close_or_open(&self, succeeded: bool) {
        let mut state = self.state.lock();
        *state = match *state {
            _ if succeeded => State::Closed { failures: 0 },
            State::Closed { failures } if failures + 1 < self.threshold => {
                State::Closed { failures: failures + 1 }
            }
            _ => State::Open { until: Instant::now() + self.pause },
        };
    }
}

/// One try. Dropped without `record`, it has no outcome, and the next one may try.
#[derive(Debug)]
pub(crate) struct Attempt {
    breaker: Option<Arc<Breaker>>,
}

impl Attempt {
    pub(crate) fn record(mut self, succeeded: bool) {
        if let Some(breaker) = self.breaker.take() {
            breaker.close_or_open(succeeded);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(breaker) = self.breaker.take() {
            let mut state = breaker.state.lock();
            if matches!(*state, State::HalfOpen) {
                *state = State::Open { until: Instant::now() };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_millis(30);

    fn fail(breaker: &Arc<Breaker>) {
        breaker.admit().unwrap().record(false);
    }

    fn opened() -> Arc<Breaker> {
        let breaker = Breaker::new(2, PAUSE);
        fail(&breaker);
        fail(&breaker);
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_not_before() {
        let breaker = Breaker::new(2, PAUSE);
        fail(&breaker);
        breaker.admit().unwrap().record(true);
        fail(&breaker);
        assert!(breaker.admit().is_some());
        fail(&breaker);
        assert!(breaker.admit().is_none());
    }

    #[test]
    fn after_the_pause_one_may_probe() {
        let breaker = opened();
        std::thread::sleep(PAUSE);
        let probe = breaker.admit().unwrap();
        assert!(breaker.admit().is_none());
        probe.record(true);
        assert!(breaker.admit().is_some());
    }

    #[test]
    fn a_failed_probe_opens_it_again() {
        let breaker = opened();
        std::thread::sleep(PAUSE);
        fail(&breaker);
        assert!(breaker.admit().is_none());
    }

    #[test]
    fn a_probe_that_is_given_up_leaves_its_place_to_the_next() {
        let breaker = opened();
        std::thread::sleep(PAUSE);
        drop(breaker.admit().unwrap());
        assert!(breaker.admit().is_some());
    }
}
