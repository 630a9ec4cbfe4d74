//! The connections of one worker: how many there may be, what the unfinished heads on them may come to, and who has to go
//! for others.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::{Rc, Weak},
    time::Instant,
};

use rand::RngExt as _;

use super::Connection;
use crate::telemetry::Metrics;

/// How many are looked at, from a random one on, for the one that has waited longest: all would be too many where there are
/// thousands.
const LOOKED_AT: usize = 64;

/// The connections of one worker. Where there is no room for a new one, the one goes that has been idle, or has left its
/// head unfinished, for longest; whoever is being served stays.
#[derive(Debug)]
pub(crate) struct Crowd {
    /// The most connections, and the most bytes of unfinished heads.
    most: usize,
    room: usize,
    members: RefCell<Vec<Rc<Connection>>>,
    /// Members that were told to go, and are not gone yet.
    leaving: Cell<usize>,
    /// Bytes of unfinished heads, and whose they are, the oldest head first; some are there no more.
    held: Cell<usize>,
    holders: RefCell<VecDeque<(Weak<Connection>, Instant)>>,
    /// Bytes of large heads that are being answered.
    large: Cell<usize>,
    metrics: Metrics,
}

impl Crowd {
    pub(crate) fn new(most: usize, room: usize, metrics: Metrics) -> Rc<Self> {
        Rc::new(Self {
            most,
            room,
            members: RefCell::default(),
            leaving: Cell::default(),
            held: Cell::default(),
            holders: RefCell::default(),
            large: Cell::default(),
            metrics,
        })
    }

    /// Takes a connection in; `None` where all others are being served.
    pub(super) fn admit(self: &Rc<Self>, connection: &Rc<Connection>) -> Option<Place> {
        let staying = self.members.borrow().len() - self.leaving.get();
        if staying >= self.most && !self.make_room() {
            self.metrics.connection_dropped();
            return None;
        }
        let mut members = self.members.borrow_mut();
        connection.index.set(members.len());
        members.push(Rc::clone(connection));
        Some(Place { crowd: Rc::clone(self), connection: Rc::clone(connection) })
    }

    /// Gives the longest waiting one up, of those that are looked at.
    fn make_room(&self) -> bool {
        let members = self.members.borrow();
        let Some(last) = members.len().checked_sub(1) else { return false };
        let (before, behind) = members.split_at(rand::rng().random_range(0..=last));
        let looked_at = behind.iter().chain(before).take(LOOKED_AT);
        let waiting = looked_at.filter(|member| member.waits());
        let longest = waiting.min_by_key(|member| member.since.get());
        longest.is_some_and(|member| {
            self.give_up(member);
            true
        })
    }

    fn give_up(&self, connection: &Connection) {
        self.metrics.connection_dropped();
        self.leaving.set(self.leaving.get() + 1);
        connection.given_up.set(true);
        connection.wake_reader();
    }

    /// A connection holds so many bytes of an unfinished head now.
    pub(super) fn hold(&self, connection: &Rc<Connection>, bytes: usize) {
        let before = connection.held.replace(bytes);
        self.held.set(self.held.get() - before + bytes);
        if before == 0 && bytes > 0 {
            let mut holders = self.holders.borrow_mut();
            if holders.len() > 2 * self.members.borrow().len() {
                holders.retain(|holder| still_holding(holder).is_some());
            }
            holders.push_back((Rc::downgrade(connection), connection.since.get()));
        }
        self.make_room_for_heads();
    }

    /// A large head is to be answered, and is there until its connection ends; whether there is room for it. Large ones have
    /// half of the room at most, for nobody is given up who is being served: the other half is left to unfinished heads.
    #[must_use]
    pub(super) fn take_large(&self, connection: &Connection, bytes: usize) -> bool {
        let large = self.large.get() + bytes;
        if large > self.room / 2 {
            return false;
        }
        self.large.set(large);
        connection.large.set(connection.large.get() + bytes);
        self.make_room_for_heads();
        true
    }

    /// Gives the oldest unfinished heads up until the others have room.
    fn make_room_for_heads(&self) {
        let mut holders = self.holders.borrow_mut();
        while self.held.get() + self.large.get() > self.room {
            let Some(oldest) = holders.pop_front() else { break };
            if let Some(oldest) = still_holding(&oldest) {
                self.held.set(self.held.get() - oldest.held.take());
                self.give_up(&oldest);
            }
        }
    }
}

/// The holder of a head, if it is still the same head.
fn still_holding((holder, since): &(Weak<Connection>, Instant)) -> Option<Rc<Connection>> {
    let is_same = |holder: &Rc<Connection>| {
        holder.held.get() > 0 && holder.since.get() == *since && !holder.given_up.get()
    };
    holder.upgrade().filter(is_same)
}

/// A connection's place in the crowd, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) crowd: Rc<Crowd>,
    connection: Rc<Connection>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Self { crowd, connection } = self;
        crowd.held.set(crowd.held.get() - connection.held.take());
        crowd.large.set(crowd.large.get() - connection.large.take());
        if connection.given_up.get() {
            crowd.leaving.set(crowd.leaving.get() - 1);
        }
        let mut members = crowd.members.borrow_mut();
        let index = connection.index.get();
        members.swap_remove(index);
        if let Some(moved) = members.get(index) {
            moved.index.set(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn crowd(most: usize, room: usize) -> Rc<Crowd> {
        Crowd::new(most, room, Metrics::new().unwrap())
    }

    /// Connections that have waited since so many seconds after the first.
    fn arrive<const N: usize>(crowd: &Rc<Crowd>, after: [u64; N]) -> [(Rc<Connection>, Option<Place>); N] {
        let start = Instant::now();
        after.map(|seconds| {
            let connection = Rc::new(Connection::default());
            connection.since.set(start + Duration::from_secs(seconds));
            let place = crowd.admit(&connection);
            (connection, place)
        })
    }

    #[test]
    fn for_a_new_connection_the_one_goes_that_has_waited_longest() {
        let crowd = crowd(3, 0);
        let mut first = arrive(&crowd, [2, 0, 1]);
        let _new = arrive(&crowd, [3]);
        assert_eq!(first.each_ref().map(|(member, _)| member.given_up.get()), [false, true, false]);
        // It is not counted while it goes, nor when it is gone.
        first[1].1 = None;
        let _another = arrive(&crowd, [4]);
        assert_eq!(first.each_ref().map(|(member, _)| member.given_up.get()), [false, true, true]);
    }

    #[test]
    fn whoever_is_served_stays_and_nobody_is_taken_in_over_that() {
        let crowd = crowd(2, 0);
        let served = arrive(&crowd, [0, 1]);
        let under_way = served.each_ref().map(|(member, _)| member.serve());
        assert!(arrive(&crowd, [2])[0].1.is_none());
        assert!(served.iter().all(|(member, _)| !member.given_up.get()));
        drop(under_way);
        assert!(arrive(&crowd, [3])[0].1.is_some());
    }

    #[test]
    fn over_the_room_for_heads_the_oldest_one_goes() {
        let crowd = crowd(10, 100);
        let heads = arrive(&crowd, [0, 1, 2]);
        for ((member, _), bytes) in heads.iter().zip([30, 60, 10]) {
            crowd.hold(member, bytes);
        }
        assert!(heads.iter().all(|(member, _)| !member.given_up.get()));
        // The first is complete, and is another head when it comes back.
        crowd.hold(&heads[0].0, 0);
        heads[0].0.since.set(Instant::now() + Duration::from_secs(9));
        crowd.hold(&heads[0].0, 30);
        crowd.hold(&heads[2].0, 20);
        assert_eq!(heads.each_ref().map(|(member, _)| member.given_up.get()), [false, true, false]);
        assert_eq!(crowd.held.get(), 50);
        drop(heads);
        assert_eq!((crowd.held.get(), crowd.leaving.get(), crowd.members.borrow().len()), (0, 0, 0));
    }

    #[test]
    fn large_heads_that_are_being_answered_take_half_of_the_room_and_leave_the_other() {
        let crowd = crowd(10, 100);
        let heads = arrive(&crowd, [0, 1, 2, 3]);
        assert!(crowd.take_large(&heads[0].0, 40));
        assert!(!crowd.take_large(&heads[1].0, 11));
        crowd.hold(&heads[2].0, 30);
        crowd.hold(&heads[3].0, 30);
        assert_eq!(heads.each_ref().map(|(member, _)| member.given_up.get()), [false, false, false, false]);
        assert!(crowd.take_large(&heads[1].0, 10));
        assert_eq!(heads.each_ref().map(|(member, _)| member.given_up.get()), [false, false, true, false]);
        crowd.hold(&heads[3].0, 50);
        assert_eq!(heads.each_ref().map(|(member, _)| member.given_up.get()), [false, false, true, false]);
        drop(heads);
        assert_eq!((crowd.held.get(), crowd.large.get()), (0, 0));
    }

    #[test]
    fn heads_that_were_whole_long_ago_are_forgotten_behind_one_that_is_not() {
        let crowd = crowd(10, 1000);
        let [(oldest, _oldest)] = arrive(&crowd, [0]);
        crowd.hold(&oldest, 101);
        for seconds in 1..1000 {
            let [(member, _place)] = arrive(&crowd, [seconds]);
            crowd.hold(&member, 10);
            crowd.hold(&member, 0);
        }
        assert!(crowd.holders.borrow().len() <= 5, "{}", crowd.holders.borrow().len());
        // The oldest is still the one that goes.
        let [(last, _last)] = arrive(&crowd, [1000]);
        crowd.hold(&last, 900);
        assert!(oldest.given_up.get() && !last.given_up.get());
    }

    #[test]
    fn a_head_that_has_no_room_by_itself_goes() {
        let crowd = crowd(10, 100);
        let heads = arrive(&crowd, [0]);
        crowd.hold(&heads[0].0, 101);
        assert!(heads[0].0.given_up.get());
    }
}
