//! How much may wait to be written, in bytes: each lane has room of its own, so that what strangers send takes none from changes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// What is left of a lane's room.
#[derive(Debug, Clone)]
pub(super) struct Room(Arc<AtomicUsize>);

/// A part of it, until this is dropped.
#[derive(Debug)]
pub(super) struct Space {
    room: Room,
    bytes: usize,
}

impl Room {
    pub(super) fn of(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    pub(super) fn take(&self, bytes: usize) -> Option<Space> {
        let less = |left: usize| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).ok()?;
        Some(Space { room: self.clone(), bytes })
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        self.room.0.fetch_add(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_is_there_again_when_it_is_dropped() {
        let room = Room::of(10);
        let first = room.take(6).unwrap();
        assert!(room.take(5).is_none());
        let second = room.take(4).unwrap();
        drop(first);
        assert!(room.take(7).is_none());
        drop(second);
        assert!(room.take(10).is_some());
    }
}
