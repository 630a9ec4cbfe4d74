//! The memory for bodies that are read before a decision: limited in all, and for each key.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix_web::web::Bytes;
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::auth::Principal;

/// The bytes of all bodies at once, and of one key's.
const TOTAL: usize = 64 * 1024 * 1024;
const PER_KEY: usize = 4 * 1024 * 1024;
/// The number of keys at which those without a body are forgotten.
const MAX_IDLE_KEYS: usize = 1024;

/// The free memory; one for a process.
#[derive(Debug)]
pub(crate) struct BodyMemory {
    free: Arc<Semaphore>,
    by_key: Mutex<HashMap<String, Arc<Semaphore>>>,
    /// The longest wait for memory.
    max_wait: Duration,
}

/// Why a body cannot be read now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyMemoryFull {
    #[error("too many requests whose bodies are read first are under way with this API key; try again")]
    ForKey,
    #[error("too many requests whose bodies are read first are under way; try again")]
    ForAll,
}

/// The memory of one body, until the last of its clones is dropped: those of the key, and of all.
#[derive(Debug, Clone)]
pub(super) struct Reservation {
    _permits: Arc<[OwnedSemaphorePermit; 2]>,
}

/// A body with its reservation.
struct Held<B> {
    body: B,
    _reservation: Reservation,
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Held<B> {
    fn as_ref(&self) -> &[u8] {
        self.body.as_ref()
    }
}

impl Reservation {
    /// The body that it was made for, or what became of that: the memory is free when the last of its bytes is dropped.
    pub(super) fn hold(&self, body: impl AsRef<[u8]> + Send + 'static) -> Bytes {
        Bytes::from_owner(Held { body, _reservation: self.clone() })
    }
}

impl BodyMemory {
    pub(crate) fn new(max_wait: Duration) -> Self {
        Self { free: Arc::new(Semaphore::new(TOTAL)), by_key: Mutex::default(), max_wait }
    }

    /// Waits for memory for a body of `size` bytes: first within the key's limit, so that a key never blocks others.
    ///
    /// # Errors
    /// Not enough became free in time.
    pub(super) async fn reserve(
        &self,
        principal: &Principal,
        size: usize,
    ) -> Result<Reservation, BodyMemoryFull> {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let take = async |free: Arc<Semaphore>, full| {
            // Without a timer in the usual case. Waiting requests still come first: the semaphore is fair.
            if let Ok(permit) = Arc::clone(&free).try_acquire_many_owned(size) {
                return Ok(permit);
            }
            let waiting = timeout(self.max_wait, free.acquire_many_owned(size));
            waiting.await.ok().and_then(Result::ok).ok_or(full)
        };
        let of_key = take(self.of_key(principal), BodyMemoryFull::ForKey).await?;
        let of_all = take(Arc::clone(&self.free), BodyMemoryFull::ForAll).await?;
        Ok(Reservation { _permits: Arc::new([of_key, of_all]) })
    }

    fn of_key(&self, principal: &Principal) -> Arc<Semaphore> {
        let key = principal.key_id.as_ref().or(principal.user_id.as_ref());
        let key = key.map(String::as_str).unwrap_or_default();
        let mut by_key = self.by_key.lock();
        if let Some(free) = by_key.get(key) {
            return Arc::clone(free);
        }
        if by_key.len() >= MAX_IDLE_KEYS {
            by_key.retain(|_, free| Arc::strong_count(free) > 1);
        }
        let free = Arc::new(Semaphore::new(PER_KEY));
        by_key.insert(key.to_owned(), Arc::clone(&free));
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn memory() -> BodyMemory {
        BodyMemory::new(Duration::from_millis(20))
    }

    async fn reserve(memory: &BodyMemory, key: usize, size: usize) -> Result<Reservation, BodyMemoryFull> {
        let principal = Principal { key_id: Some(key.to_string()), ..Principal::default() };
        memory.reserve(&principal, size).await
    }

    #[actix_rt::test]
    async fn a_key_has_its_limit_and_no_more() {
        let memory = memory();
        let first = reserve(&memory, 1, 2 * MIB).await.unwrap();
        let _second = reserve(&memory, 1, 2 * MIB).await.unwrap();
        assert_eq!(reserve(&memory, 1, 1).await.unwrap_err(), BodyMemoryFull::ForKey);
        assert!(reserve(&memory, 2, 4 * MIB).await.is_ok());
        drop(first);
        assert!(reserve(&memory, 1, 2 * MIB).await.is_ok());
    }

    #[actix_rt::test]
    async fn all_keys_together_have_the_room_and_no_more() {
        let memory = memory();
        let mut taken = Vec::new();
        for key in 0..16 {
            taken.push(reserve(&memory, key, 4 * MIB).await.unwrap());
        }
        assert_eq!(reserve(&memory, 16, 1).await.unwrap_err(), BodyMemoryFull::ForAll);
        taken.pop();
        assert!(reserve(&memory, 16, 4 * MIB).await.is_ok());
    }

    #[actix_rt::test]
    async fn a_waiting_body_gets_memory_that_is_freed() {
        let memory = Arc::new(BodyMemory::new(Duration::from_secs(60)));
        let first = reserve(&memory, 1, 4 * MIB).await.unwrap();
        let waiting = {
            let memory = Arc::clone(&memory);
            actix_rt::spawn(async move { reserve(&memory, 1, MIB).await.is_ok() })
        };
        actix_rt::task::yield_now().await;
        drop(first);
        assert!(waiting.await.unwrap());
    }

    #[actix_rt::test]
    async fn keys_without_a_body_are_forgotten() {
        let memory = memory();
        let kept = reserve(&memory, 0, 1).await.unwrap();
        for key in 1..3 * MAX_IDLE_KEYS {
            reserve(&memory, key, 1).await.unwrap();
        }
        assert!(memory.by_key.lock().len() <= MAX_IDLE_KEYS);
        drop(kept);
    }
}
