//! The places for calls that may be made at once and in a second. Whoever finds none waits for his turn.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::sleep,
};

use crate::token_bucket::TokenBucket;

/// So many calls at once, and so many in a second. Both are given in the order in which they were asked for: tokio's
/// semaphores and mutexes are fair.
#[derive(Debug)]
pub(super) struct Places {
    at_once: Arc<Semaphore>,
    in_a_second: Mutex<TokenBucket>,
}

impl Places {
    pub(super) fn new(at_once: usize, in_a_second: usize) -> Self {
        let rate = in_a_second as f64;
        Self {
            at_once: Arc::new(Semaphore::new(at_once)),
            in_a_second: Mutex::new(TokenBucket::new(rate, rate, Instant::now())),
        }
    }

    /// One of the places at once; `None` where there are none any more.
    pub(super) async fn one(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.at_once).acquire_owned().await.ok()
    }

    /// Waits until one call more may be made in this second.
    pub(super) async fn turn(&self) {
        let mut bucket = self.in_a_second.lock().await;
        while let Err(wait) = bucket.take(Instant::now()) {
            sleep(wait.max(Duration::from_millis(1))).await;
        }
    }
}
