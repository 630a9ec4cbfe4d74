//! Limits on calls: so many in flight, and so many in a second. A call that finds no permit waits for its turn.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::sleep,
};

use crate::token_bucket::TokenBucket;

/// Permits are given in the order of the requests for them: tokio's semaphores and mutexes are fair.
#[derive(Debug)]
pub(super) struct CallPermits {
    concurrency: Arc<Semaphore>,
    rate: Mutex<TokenBucket>,
}

impl CallPermits {
    pub(super) fn new(concurrency: usize, rate: usize) -> Self {
        let rate = rate as f64;
        Self {
            concurrency: Arc::new(Semaphore::new(concurrency)),
            rate: Mutex::new(TokenBucket::new(rate, rate, Instant::now())),
        }
    }

    /// A permit for one call in flight. The semaphore is never closed, so it is never `None`.
    pub(super) async fn acquire(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.concurrency).acquire_owned().await.ok()
    }

    /// Waits until the rate allows one more call.
    pub(super) async fn wait_for_rate(&self) {
        let mut bucket = self.rate.lock().await;
        while let Err(wait) = bucket.take(Instant::now()) {
            sleep(wait.max(Duration::from_millis(1))).await;
        }
    }
}
