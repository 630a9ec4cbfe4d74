//! How long a server keeps an idle connection, learned from what it does.
//!
//! A request that meets a connection which the server is closing is lost, and nobody can tell whether the server has read it
//! (RFC 9112 §9.3.1, §9.5). So a request that must not be sent twice reuses a connection only while that has been idle for
//! less than half of the time after which the server was seen to close one.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// Assumed of an unknown server: half of the shortest idle timeout of MLflow's usual servers (gunicorn 2 s, uvicorn 5 s).
const ASSUMED: Duration = Duration::from_secs(1);
/// An observation counts for one to two such periods: a server that restarts closes connections of any age, and may come
/// back with another timeout.
const PERIOD: Duration = Duration::from_secs(60);

/// What is known of a server's idle timeout.
#[derive(Debug, Default)]
pub(super) struct IdleTimeout {
    since: Cell<Option<Instant>>,
    /// Of this period, and of the one before.
    seen: Cell<[Seen; 2]>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// The shortest time after which one was closed.
    closed: Option<Duration>,
    /// The longest time after which one was open.
    open: Duration,
    /// The last `Keep-Alive: timeout`.
    announced: Option<Duration>,
}

impl IdleTimeout {
    /// A connection is still open after `idle`.
    pub(super) fn observe_open(&self, idle: Duration, now: Instant) {
        self.see(now, |seen| seen.open = seen.open.max(idle));
    }

    /// A connection was closed; it was last seen open after `idle`.
    pub(super) fn observe_closed(&self, idle: Duration, now: Instant) {
        self.see(now, |seen| seen.closed = Some(seen.closed.map_or(idle, |before| before.min(idle))));
    }

    /// The server announces its timeout (`Keep-Alive: timeout=5`).
    pub(super) fn announced(&self, timeout: Duration, now: Instant) {
        self.see(now, |seen| seen.announced = Some(timeout));
    }

    /// How long a connection may have been idle to be reused for a request that must not be sent twice.
    pub(super) fn safe_within(&self, now: Instant) -> Duration {
        self.turn(now);
        let [this, before] = self.seen.get();
        let closed =
            [this.closed, before.closed, this.announced.or(before.announced)].into_iter().flatten().min();
        closed.unwrap_or_else(|| this.open.max(before.open).max(ASSUMED)) / 2
    }

    fn see(&self, now: Instant, note: impl FnOnce(&mut Seen)) {
        self.turn(now);
        let [mut this, before] = self.seen.get();
        note(&mut this);
        self.seen.set([this, before]);
    }

    /// Begins a new period if the last one is over.
    fn turn(&self, now: Instant) {
        let age = self.since.get().map_or(PERIOD * 2, |since| now.saturating_duration_since(since));
        if age >= PERIOD {
            let [this, _] = self.seen.get();
            let before = if age < PERIOD * 2 { this } else { Seen::default() };
            self.seen.set([Seen::default(), before]);
            self.since.set(Some(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn half_of_the_shortest_time_is_trusted_and_half_a_second_before_anything_is_known() {
        let (timeout, now) = (IdleTimeout::default(), Instant::now());
        assert_eq!(timeout.safe_within(now), SECOND / 2);
        timeout.observe_open(SECOND / 4, now);
        assert_eq!(timeout.safe_within(now), SECOND / 2);
        timeout.observe_open(4 * SECOND, now);
        assert_eq!(timeout.safe_within(now), 2 * SECOND);
        timeout.observe_closed(3 * SECOND, now);
        timeout.observe_closed(2 * SECOND, now);
        timeout.observe_closed(5 * SECOND, now);
        assert_eq!(timeout.safe_within(now), SECOND);
        // Its first look found one closed: nothing is known but that it does not last.
        timeout.observe_closed(Duration::ZERO, now);
        assert_eq!(timeout.safe_within(now), Duration::ZERO);
    }

    #[test]
    fn what_was_seen_is_forgotten_and_what_is_seen_again_is_not() {
        let (timeout, start) = (IdleTimeout::default(), Instant::now());
        timeout.observe_closed(2 * SECOND, start);
        for (later, trusted) in [(30, SECOND), (60, SECOND), (119, SECOND), (121, SECOND / 2)] {
            assert_eq!(timeout.safe_within(start + later * SECOND), trusted, "after {later} s");
        }
        timeout.observe_closed(2 * SECOND, start + 200 * SECOND);
        assert_eq!(timeout.safe_within(start + 310 * SECOND), SECOND);
        assert_eq!(timeout.safe_within(start + 900 * SECOND), SECOND / 2);
    }

    #[test]
    fn what_the_server_said_is_forgotten_too() {
        // One page of a load balancer's, among answers that say nothing.
        let (timeout, start) = (IdleTimeout::default(), Instant::now());
        timeout.announced(Duration::ZERO, start);
        for (later, trusted) in
            [(0, Duration::ZERO), (60, Duration::ZERO), (119, Duration::ZERO), (121, SECOND / 2)]
        {
            assert_eq!(timeout.safe_within(start + later * SECOND), trusted, "after {later} s");
        }
        timeout.announced(4 * SECOND, start + 130 * SECOND);
        timeout.announced(6 * SECOND, start + 200 * SECOND);
        assert_eq!(timeout.safe_within(start + 200 * SECOND), 3 * SECOND);
    }

    #[test]
    fn what_the_server_says_counts_where_it_is_shorter() {
        let (timeout, now) = (IdleTimeout::default(), Instant::now());
        timeout.observe_closed(4 * SECOND, now);
        timeout.announced(3 * SECOND, now);
        assert_eq!(timeout.safe_within(now), 3 * SECOND / 2);
        timeout.announced(5 * SECOND, now);
        assert_eq!(timeout.safe_within(now), 2 * SECOND);
    }
}
