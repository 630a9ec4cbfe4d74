//! Limits the connections of one worker, and the memory of their request heads. Over a limit it evicts connections.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::{Rc, Weak},
    time::Instant,
};

use rand::RngExt as _;

use super::Connection;
use crate::telemetry::Metrics;

/// How many connections are compared, from a random one on, to find the one to evict. All would be too many.
const EVICTION_SAMPLE: usize = 64;

/// The connections of one worker. A new one over the limit evicts the one that has been idle, or has left its head incomplete,
/// for longest. A connection with a request in flight is never evicted.
#[derive(Debug)]
pub(crate) struct ConnectionLimiter {
    max_connections: usize,
    /// The most bytes of incomplete and large heads together.
    max_head_bytes: usize,
    connections: RefCell<Vec<Rc<Connection>>>,
    /// Evicted connections that are not closed yet.
    evicted: Cell<usize>,
    /// Bytes of incomplete heads, and their connections, the oldest head first. Some of these heads are complete by now.
    head_bytes: Cell<usize>,
    incomplete_heads: RefCell<VecDeque<(Weak<Connection>, Instant)>>,
    /// Bytes of large heads that are being answered.
    large_head_bytes: Cell<usize>,
    metrics: Metrics,
}

impl ConnectionLimiter {
    pub(crate) fn new(max_connections: usize, max_head_bytes: usize, metrics: Metrics) -> Rc<Self> {
        Rc::new(Self {
            max_connections,
            max_head_bytes,
            connections: RefCell::default(),
            evicted: Cell::default(),
            head_bytes: Cell::default(),
            incomplete_heads: RefCell::default(),
            large_head_bytes: Cell::default(),
            metrics,
        })
    }

    /// Admits a connection; `None` if all others have requests in flight.
    pub(super) fn admit(self: &Rc<Self>, connection: &Rc<Connection>) -> Option<ConnectionPermit> {
        let staying = self.connections.borrow().len() - self.evicted.get();
        if staying >= self.max_connections && !self.evict_longest_waiting() {
            self.metrics.connection_dropped();
            return None;
        }
        let mut connections = self.connections.borrow_mut();
        connection.index.set(connections.len());
        connections.push(Rc::clone(connection));
        Some(ConnectionPermit { limiter: Rc::clone(self), connection: Rc::clone(connection) })
    }

    /// Evicts the longest waiting connection of a sample. `false` if none may be evicted.
    fn evict_longest_waiting(&self) -> bool {
        let connections = self.connections.borrow();
        let Some(last) = connections.len().checked_sub(1) else { return false };
        let (before, after) = connections.split_at(rand::rng().random_range(0..=last));
        let sample = after.iter().chain(before).take(EVICTION_SAMPLE);
        let waiting = sample.filter(|connection| connection.is_evictable());
        let longest = waiting.min_by_key(|connection| connection.waiting_since.get());
        longest.is_some_and(|connection| {
            self.evict(connection);
            true
        })
    }

    fn evict(&self, connection: &Connection) {
        self.metrics.connection_dropped();
        self.evicted.set(self.evicted.get() + 1);
        connection.evicted.set(true);
        connection.wake_reader();
    }

    /// Sets how many bytes of an incomplete head a connection buffers.
    pub(super) fn set_head_bytes(&self, connection: &Rc<Connection>, bytes: usize) {
        let before = connection.head_bytes.replace(bytes);
        self.head_bytes.set(self.head_bytes.get() - before + bytes);
        if before == 0 && bytes > 0 {
            let mut heads = self.incomplete_heads.borrow_mut();
            if heads.len() > 2 * self.connections.borrow().len() {
                heads.retain(|head| still_incomplete(head).is_some());
            }
            heads.push_back((Rc::downgrade(connection), connection.waiting_since.get()));
        }
        self.evict_oldest_heads();
    }

    /// Reserves memory for a large head that is to be answered, until its connection closes; `false` if there is none. Large heads
    /// get half of the memory at most: a connection with a request in flight is not evicted, and incomplete heads need the rest.
    #[must_use]
    pub(super) fn reserve_large_head(&self, connection: &Connection, bytes: usize) -> bool {
        let large = self.large_head_bytes.get() + bytes;
        if large > self.max_head_bytes / 2 {
            return false;
        }
        self.large_head_bytes.set(large);
        connection.large_head_bytes.set(connection.large_head_bytes.get() + bytes);
        self.evict_oldest_heads();
        true
    }

    /// Evicts connections with incomplete heads, the oldest first, until the others fit.
    fn evict_oldest_heads(&self) {
        let mut heads = self.incomplete_heads.borrow_mut();
        while self.head_bytes.get() + self.large_head_bytes.get() > self.max_head_bytes {
            let Some(oldest) = heads.pop_front() else { break };
            if let Some(oldest) = still_incomplete(&oldest) {
                self.head_bytes.set(self.head_bytes.get() - oldest.head_bytes.take());
                self.evict(&oldest);
            }
        }
    }
}

/// The connection of a head, if that head is still incomplete.
fn still_incomplete((connection, since): &(Weak<Connection>, Instant)) -> Option<Rc<Connection>> {
    let is_same = |connection: &Rc<Connection>| {
        connection.head_bytes.get() > 0
            && connection.waiting_since.get() == *since
            && !connection.evicted.get()
    };
    connection.upgrade().filter(is_same)
}

/// Counts a connection until it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    pub(super) limiter: Rc<ConnectionLimiter>,
    connection: Rc<Connection>,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let Self { limiter, connection } = self;
        limiter.head_bytes.set(limiter.head_bytes.get() - connection.head_bytes.take());
        limiter.large_head_bytes.set(limiter.large_head_bytes.get() - connection.large_head_bytes.take());
        if connection.evicted.get() {
            limiter.evicted.set(limiter.evicted.get() - 1);
        }
        let mut connections = limiter.connections.borrow_mut();
        let index = connection.index.get();
        connections.swap_remove(index);
        if let Some(moved) = connections.get(index) {
            moved.index.set(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limiter(max_connections: usize, max_head_bytes: usize) -> Rc<ConnectionLimiter> {
        ConnectionLimiter::new(max_connections, max_head_bytes, Metrics::new().unwrap())
    }

    /// Connections that have waited since these times, in seconds.
    fn arrive<const N: usize>(
        limiter: &Rc<ConnectionLimiter>,
        after: [u64; N],
    ) -> [(Rc<Connection>, Option<ConnectionPermit>); N] {
        let start = Instant::now();
        after.map(|seconds| {
            let connection = Connection::new(false);
            connection.waiting_since.set(start + Duration::from_secs(seconds));
            let permit = limiter.admit(&connection);
            (connection, permit)
        })
    }

    #[test]
    fn a_new_connection_evicts_the_one_that_has_waited_longest() {
        let limiter = limiter(3, 0);
        let mut first = arrive(&limiter, [2, 0, 1]);
        let _new = arrive(&limiter, [3]);
        assert_eq!(first.each_ref().map(|(connection, _)| connection.evicted.get()), [false, true, false]);
        // The evicted one is not counted, neither before nor after it closes.
        first[1].1 = None;
        let _another = arrive(&limiter, [4]);
        assert_eq!(first.each_ref().map(|(connection, _)| connection.evicted.get()), [false, true, true]);
    }

    #[test]
    fn a_connection_with_a_request_in_flight_stays_and_a_new_one_is_refused() {
        let limiter = limiter(2, 0);
        let served = arrive(&limiter, [0, 1]);
        let in_flight = served.each_ref().map(|(connection, _)| connection.serve());
        assert!(arrive(&limiter, [2])[0].1.is_none());
        assert!(served.iter().all(|(connection, _)| !connection.evicted.get()));
        drop(in_flight);
        assert!(arrive(&limiter, [3])[0].1.is_some());
    }

    #[test]
    fn over_the_limit_for_heads_the_oldest_one_is_evicted() {
        let limiter = limiter(10, 100);
        let heads = arrive(&limiter, [0, 1, 2]);
        for ((connection, _), bytes) in heads.iter().zip([30, 60, 10]) {
            limiter.set_head_bytes(connection, bytes);
        }
        assert!(heads.iter().all(|(connection, _)| !connection.evicted.get()));
        // The first head is complete; another one begins.
        limiter.set_head_bytes(&heads[0].0, 0);
        heads[0].0.waiting_since.set(Instant::now() + Duration::from_secs(9));
        limiter.set_head_bytes(&heads[0].0, 30);
        limiter.set_head_bytes(&heads[2].0, 20);
        assert_eq!(heads.each_ref().map(|(connection, _)| connection.evicted.get()), [false, true, false]);
        assert_eq!(limiter.head_bytes.get(), 50);
        drop(heads);
        assert_eq!(
            (limiter.head_bytes.get(), limiter.evicted.get(), limiter.connections.borrow().len()),
            (0, 0, 0)
        );
    }

    #[test]
    fn large_heads_take_half_of_the_memory_at_most() {
        let limiter = limiter(10, 100);
        let heads = arrive(&limiter, [0, 1, 2, 3]);
        assert!(limiter.reserve_large_head(&heads[0].0, 40));
        assert!(!limiter.reserve_large_head(&heads[1].0, 11));
        limiter.set_head_bytes(&heads[2].0, 30);
        limiter.set_head_bytes(&heads[3].0, 30);
        assert_eq!(
            heads.each_ref().map(|(connection, _)| connection.evicted.get()),
            [false, false, false, false]
        );
        assert!(limiter.reserve_large_head(&heads[1].0, 10));
        assert_eq!(
            heads.each_ref().map(|(connection, _)| connection.evicted.get()),
            [false, false, true, false]
        );
        limiter.set_head_bytes(&heads[3].0, 50);
        assert_eq!(
            heads.each_ref().map(|(connection, _)| connection.evicted.get()),
            [false, false, true, false]
        );
        drop(heads);
        assert_eq!((limiter.head_bytes.get(), limiter.large_head_bytes.get()), (0, 0));
    }

    #[test]
    fn complete_heads_are_forgotten_also_behind_an_incomplete_one() {
        let limiter = limiter(10, 1000);
        let [(oldest, _oldest)] = arrive(&limiter, [0]);
        limiter.set_head_bytes(&oldest, 101);
        for seconds in 1..1000 {
            let [(connection, _permit)] = arrive(&limiter, [seconds]);
            limiter.set_head_bytes(&connection, 10);
            limiter.set_head_bytes(&connection, 0);
        }
        assert!(limiter.incomplete_heads.borrow().len() <= 5, "{}", limiter.incomplete_heads.borrow().len());
        // The oldest one is still the one to be evicted.
        let [(last, _last)] = arrive(&limiter, [1000]);
        limiter.set_head_bytes(&last, 900);
        assert!(oldest.evicted.get() && !last.evicted.get());
    }

    #[test]
    fn a_head_over_the_limit_by_itself_is_evicted() {
        let limiter = limiter(10, 100);
        let heads = arrive(&limiter, [0]);
        limiter.set_head_bytes(&heads[0].0, 101);
        assert!(heads[0].0.evicted.get());
    }
}
