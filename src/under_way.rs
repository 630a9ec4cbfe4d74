//! The requests of one key that are under way. Each holds a place until it is over, however it ends.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

/// What is counted apart from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// All that move no artifact.
    Requests,
    Artifacts,
}

/// Counts them.
#[derive(Debug, Default)]
pub(crate) struct UnderWay([AtomicU32; 2]);

/// The place of a request; free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    of: Arc<UnderWay>,
    lane: Lane,
}

impl UnderWay {
    /// A place, if fewer than `most` are taken.
    pub(crate) fn enter(self: &Arc<Self>, lane: Lane, most: u32) -> Option<Place> {
        // One step: two requests never get the same last place.
        let one_more = |taken: u32| (taken < most).then(|| taken + 1);
        self.0[lane as usize].fetch_update(Relaxed, Relaxed, one_more).ok()?;
        Some(Place { of: Arc::clone(self), lane })
    }

    pub(crate) fn count(&self, lane: Lane) -> u32 {
        self.0[lane as usize].load(Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.of.0[self.lane as usize].fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_dropped_and_artifacts_are_apart() {
        let under_way = Arc::new(UnderWay::default());
        let first = under_way.enter(Lane::Requests, 2).unwrap();
        let second = under_way.enter(Lane::Requests, 2).unwrap();
        assert!(under_way.enter(Lane::Requests, 2).is_none());
        assert!(under_way.enter(Lane::Artifacts, 1).is_some(), "and free again at once");
        assert_eq!((under_way.count(Lane::Requests), under_way.count(Lane::Artifacts)), (2, 0));
        drop(first);
        assert!(under_way.enter(Lane::Requests, 2).is_some());
        drop(second);
        assert_eq!(under_way.count(Lane::Requests), 0);
    }

    #[test]
    fn threads_together_get_no_more_places_than_there_are() {
        let under_way = Arc::new(UnderWay::default());
        let places: Vec<Option<Place>> = std::thread::scope(|scope| {
            let entering = |_| {
                let own = || (0..50).map(|_| under_way.enter(Lane::Artifacts, 64)).collect::<Vec<_>>();
                scope.spawn(own)
            };
            let threads: Vec<_> = (0..8).map(entering).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(places.iter().flatten().count(), 64);
        drop(places);
        assert_eq!(under_way.count(Lane::Artifacts), 0);
    }
}
