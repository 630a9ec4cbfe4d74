//! Room for the bodies that are read before a request is decided: so much for all, and a share of it for each key.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::auth::Principal;

/// Bytes of all bodies at once, and of those of one key.
const ROOM: usize = 64 * 1024 * 1024;
const SHARE: usize = 4 * 1024 * 1024;
/// Keys that are remembered, before those that have no body any more are forgotten.
const REMEMBERED: usize = 1024;

/// What is left of the room; one for a process.
#[derive(Debug)]
pub(crate) struct Room {
    left: Arc<Semaphore>,
    of_keys: Mutex<HashMap<String, Weak<Semaphore>>>,
    /// How long a body may wait for room.
    patience: Duration,
}

/// Why a body is not read now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    #[error("too many requests whose bodies are read first are under way with this API key; try again")]
    ForKey,
    #[error("too many requests whose bodies are read first are under way; try again")]
    ForAll,
}

/// What one body has of the room, until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    _of_key: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Room {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { left: Arc::new(Semaphore::new(ROOM)), of_keys: Mutex::default(), patience }
    }

    /// Waits for room for a body of so many bytes: first for that of the key, so that nobody waits in the way of other keys.
    ///
    /// # Errors
    /// Others did not make room in time.
    pub(super) async fn share(&self, principal: &Principal, size: usize) -> Result<Share, NoRoom> {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let take = async |left: Arc<Semaphore>, full| {
            // There nearly always is, and then no timer is made. Those who wait come first all the same.
            if let Ok(permit) = Arc::clone(&left).try_acquire_many_owned(size) {
                return Ok(permit);
            }
            let waiting = timeout(self.patience, left.acquire_many_owned(size));
            waiting.await.ok().and_then(Result::ok).ok_or(full)
        };
        let _of_key = take(self.left_of(principal), NoRoom::ForKey).await?;
        let _of_all = take(Arc::clone(&self.left), NoRoom::ForAll).await?;
        Ok(Share { _of_key, _of_all })
    }

    fn left_of(&self, principal: &Principal) -> Arc<Semaphore> {
        let key = principal.key_id.as_ref().or(principal.user_id.as_ref());
        let key = key.map(String::as_str).unwrap_or_default();
        let mut of_keys = self.of_keys.lock().unwrap_or_else(PoisonError::into_inner);
        of_keys.get(key).and_then(Weak::upgrade).unwrap_or_else(|| {
            if of_keys.len() >= REMEMBERED {
                of_keys.retain(|_, left| left.strong_count() > 0);
            }
            let left = Arc::new(Semaphore::new(SHARE));
            of_keys.insert(key.to_owned(), Arc::downgrade(&left));
            left
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn room() -> Room {
        Room::new(Duration::from_millis(20))
    }

    async fn share(room: &Room, key: usize, size: usize) -> Result<Share, NoRoom> {
        let principal = Principal { key_id: Some(key.to_string()), ..Principal::default() };
        room.share(&principal, size).await
    }

    #[actix_rt::test]
    async fn a_key_has_its_share_and_no_more() {
        let room = room();
        let first = share(&room, 1, 2 * MIB).await.unwrap();
        let _second = share(&room, 1, 2 * MIB).await.unwrap();
        assert_eq!(share(&room, 1, 1).await.unwrap_err(), NoRoom::ForKey);
        assert!(share(&room, 2, 4 * MIB).await.is_ok());
        drop(first);
        assert!(share(&room, 1, 2 * MIB).await.is_ok());
    }

    #[actix_rt::test]
    async fn all_keys_together_have_the_room_and_no_more() {
        let room = room();
        let mut taken = Vec::new();
        for key in 0..16 {
            taken.push(share(&room, key, 4 * MIB).await.unwrap());
        }
        assert_eq!(share(&room, 16, 1).await.unwrap_err(), NoRoom::ForAll);
        taken.pop();
        assert!(share(&room, 16, 4 * MIB).await.is_ok());
    }

    #[actix_rt::test]
    async fn who_waits_gets_what_is_given_back() {
        let room = Arc::new(Room::new(Duration::from_secs(60)));
        let first = share(&room, 1, 4 * MIB).await.unwrap();
        let waiting = {
            let room = Arc::clone(&room);
            actix_rt::spawn(async move { share(&room, 1, MIB).await.is_ok() })
        };
        actix_rt::task::yield_now().await;
        drop(first);
        assert!(waiting.await.unwrap());
    }

    #[actix_rt::test]
    async fn keys_without_a_body_are_forgotten() {
        let room = room();
        let kept = share(&room, 0, 1).await.unwrap();
        for key in 1..3 * REMEMBERED {
            share(&room, key, 1).await.unwrap();
        }
        assert!(room.of_keys.lock().unwrap().len() <= REMEMBERED);
        drop(kept);
    }
}
