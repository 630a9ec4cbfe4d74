//! How long a server keeps an idle connection, as far as that is known.
//!
//! A request that meets a connection while it is being closed is lost, and whether the server has read it nobody can tell
//! (RFC 9112 §9.3.1, §9.5). So what cannot be repeated goes on a connection only while that has been idle for less than
//! half of the time after which the server was seen to close one.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// For how long a connection may be idle that is then used for what cannot be repeated, where nothing is known of the server.
pub(crate) const SURELY_OPEN: Duration = Duration::from_millis(500);
/// What is believed before anything was seen: half of what the shortest of MLflow's usual servers has (gunicorn, 2 s;
/// uvicorn has 5 s).
const UNKNOWN: Duration = SURELY_OPEN.saturating_mul(2);
/// For so long, and twice that at most, something that was seen is believed: a server that restarts closes connections
/// of any age, and may come back with another patience.
const BELIEVED: Duration = Duration::from_secs(60);

/// What was seen of a server's idle connections, and what it says of them.
#[derive(Debug, Default)]
pub(super) struct ServerPatience {
    since: Cell<Option<Instant>>,
    /// In this period, and in the one before.
    seen: Cell<[Seen; 2]>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// The shortest time after which one was closed.
    closed: Option<Duration>,
    /// The longest time after which one was open.
    open: Duration,
    /// What the server said last.
    announced: Option<Duration>,
}

impl ServerPatience {
    /// One is open after it has been idle for so long.
    pub(super) fn saw_open(&self, idle: Duration, now: Instant) {
        self.see(now, |seen| seen.open = seen.open.max(idle));
    }

    /// One was closed that was last seen open when it had been idle for so long.
    pub(super) fn saw_closed(&self, idle: Duration, now: Instant) {
        self.see(now, |seen| seen.closed = Some(seen.closed.map_or(idle, |before| before.min(idle))));
    }

    /// The server says for how long it keeps them (`Keep-Alive: timeout=5`).
    pub(super) fn announced(&self, timeout: Duration, now: Instant) {
        self.see(now, |seen| seen.announced = Some(timeout));
    }

    /// For how long one may have been idle that is used for what cannot be repeated.
    pub(super) fn trusted(&self, now: Instant) -> Duration {
        self.turn(now);
        let [this, before] = self.seen.get();
        let closed =
            [this.closed, before.closed, this.announced.or(before.announced)].into_iter().flatten().min();
        closed.unwrap_or_else(|| this.open.max(before.open).max(UNKNOWN)) / 2
    }

    fn see(&self, now: Instant, note: impl FnOnce(&mut Seen)) {
        self.turn(now);
        let [mut this, before] = self.seen.get();
        note(&mut this);
        self.seen.set([this, before]);
    }

    /// Begins a new period where the last one is over.
    fn turn(&self, now: Instant) {
        let age = self.since.get().map_or(BELIEVED * 2, |since| now.saturating_duration_since(since));
        if age >= BELIEVED {
            let [this, _] = self.seen.get();
            let before = if age < BELIEVED * 2 { this } else { Seen::default() };
            self.seen.set([Seen::default(), before]);
            self.since.set(Some(now));
        }
    }
}

/// What a `Keep-Alive` field says: `timeout=5, max=100`.
pub(super) fn timeout_in(value: &[u8]) -> Option<Duration> {
    let seconds = str::from_utf8(value).ok()?.split(',').find_map(|parameter| {
        let (name, seconds) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("timeout").then_some(seconds)
    });
    seconds?.trim().trim_matches('"').parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn half_of_the_shortest_time_is_trusted_and_half_a_second_before_anything_is_known() {
        let (patience, now) = (ServerPatience::default(), Instant::now());
        assert_eq!(patience.trusted(now), SECOND / 2);
        patience.saw_open(SECOND / 4, now);
        assert_eq!(patience.trusted(now), SECOND / 2);
        patience.saw_open(4 * SECOND, now);
        assert_eq!(patience.trusted(now), 2 * SECOND);
        patience.saw_closed(3 * SECOND, now);
        patience.saw_closed(2 * SECOND, now);
        patience.saw_closed(5 * SECOND, now);
        assert_eq!(patience.trusted(now), SECOND);
        // Its first look found one closed: nothing is known but that it does not last.
        patience.saw_closed(Duration::ZERO, now);
        assert_eq!(patience.trusted(now), Duration::ZERO);
    }

    #[test]
    fn what_was_seen_is_forgotten_and_what_is_seen_again_is_not() {
        let (patience, start) = (ServerPatience::default(), Instant::now());
        patience.saw_closed(2 * SECOND, start);
        for (later, trusted) in [(30, SECOND), (60, SECOND), (119, SECOND), (121, SECOND / 2)] {
            assert_eq!(patience.trusted(start + later * SECOND), trusted, "after {later} s");
        }
        patience.saw_closed(2 * SECOND, start + 200 * SECOND);
        assert_eq!(patience.trusted(start + 310 * SECOND), SECOND);
        assert_eq!(patience.trusted(start + 900 * SECOND), SECOND / 2);
    }

    #[test]
    fn what_the_server_said_is_forgotten_too() {
        // One page of a load balancer's, among answers that say nothing.
        let (patience, start) = (ServerPatience::default(), Instant::now());
        patience.announced(Duration::ZERO, start);
        for (later, trusted) in
            [(0, Duration::ZERO), (60, Duration::ZERO), (119, Duration::ZERO), (121, SECOND / 2)]
        {
            assert_eq!(patience.trusted(start + later * SECOND), trusted, "after {later} s");
        }
        patience.announced(4 * SECOND, start + 130 * SECOND);
        patience.announced(6 * SECOND, start + 200 * SECOND);
        assert_eq!(patience.trusted(start + 200 * SECOND), 3 * SECOND);
    }

    #[test]
    fn what_the_server_says_counts_where_it_is_shorter() {
        let (patience, now) = (ServerPatience::default(), Instant::now());
        for (value, timeout) in [
            ("timeout=5", Some(5)),
            ("max=100, Timeout = 3", Some(3)),
            ("timeout=\"7\"", Some(7)),
            ("max=100", None),
            ("timeout=soon", None),
            ("", None),
        ] {
            assert_eq!(timeout_in(value.as_bytes()), timeout.map(Duration::from_secs), "{value}");
        }
        patience.saw_closed(4 * SECOND, now);
        patience.announced(3 * SECOND, now);
        assert_eq!(patience.trusted(now), 3 * SECOND / 2);
        patience.announced(5 * SECOND, now);
        assert_eq!(patience.trusted(now), 2 * SECOND);
    }
}
