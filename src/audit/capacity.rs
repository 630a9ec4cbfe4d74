//! How many bytes may wait to be written. Each lane has its own capacity, so that strangers take none from changes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The bytes that are left of a lane's capacity.
#[derive(Debug, Clone)]
pub(super) struct Capacity(Arc<AtomicUsize>);

/// Gives its bytes back when it is dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    capacity: Capacity,
    bytes: usize,
}

impl Capacity {
    pub(super) fn of(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    pub(super) fn reserve(&self, bytes: usize) -> Option<Reservation> {
        let less = |left: usize| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).ok()?;
        Some(Reservation { capacity: self.clone(), bytes })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.capacity.0.fetch_add(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_that_is_dropped_gives_its_bytes_back() {
        let capacity = Capacity::of(10);
        let first = capacity.reserve(6).unwrap();
        assert!(capacity.reserve(5).is_none());
        let second = capacity.reserve(4).unwrap();
        drop(first);
        assert!(capacity.reserve(7).is_none());
        drop(second);
        assert!(capacity.reserve(10).is_some());
    }
}
