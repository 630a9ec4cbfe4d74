//! Revocations here and on other instances: by a rejection of the auth service, by a message, or because messages may have been
//! missed.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::sleep;
use tracing::Instrument as _;

use super::{CachingVerifier, KeyQuery};
use crate::auth::{Principal, revocation::EVERYTHING};

impl CachingVerifier {
    /// Empties the cache of this process.
    pub(in crate::auth) fn clear(&self) {
        self.cache.clear();
    }

    /// A message revokes a key by its name, or all. Only a name that was in the cache is logged: any other text may be a key that
    /// somebody mistook for its id.
    pub(in crate::auth) fn revoke_by_message(&self, name: &str) {
        if self.revoke(name) || name == EVERYTHING {
            tracing::info!(key_id = name, "revoked");
        }
    }

    /// Revokes in this process, and leaves a mark in Redis. Whether the cache had the name.
    fn revoke(&self, name: &str) -> bool {
        let was_cached = self.cache.revoke(name);
        if let Some(redis) = &self.redis {
            redis.revoke(name);
        }
        was_cached
    }

    /// Voids every verdict from before now: revocations may have been missed.
    pub(in crate::auth) fn invalidate_all(&self) {
        self.cache.revoke(EVERYTHING);
    }

    /// Caches a rejection, and returns the owner of the key. The rejection of a key that was valid before revokes it for every
    /// address and on every instance.
    pub(super) async fn record_rejection(self: &Arc<Self>, query: &KeyQuery) -> Option<Arc<Principal>> {
        let KeyQuery { fingerprint, digest, known, .. } = query;
        let in_memory = self.cache.take_owner(digest).or_else(|| known.clone());
        // If Redis does not answer, the owner stays there, and the next rejection of this key revokes it everywhere.
        let owner = match (&self.redis, in_memory) {
            (Some(redis), None) => redis.owner(*digest).await,
            (_, in_memory) => Some(in_memory),
        };
        let (has_answer, owner) = (owner.is_some(), owner.flatten());
        self.cache.reject(*fingerprint, owner.clone());
        if let Some(principal) = &owner {
            self.schedule_revocation(digest.revocation_name(principal));
        }
        if let Some(redis) = &self.redis {
            redis.reject(*fingerprint, has_answer.then_some(*digest));
        }
        owner
    }

    /// Revokes a rejected key everywhere, at most once in `min_revocation_interval`: a key may be rejected at some addresses only,
    /// and valid at others, which must have the time to be verified again. A second revocation is delayed, and not lost.
    fn schedule_revocation(self: &Arc<Self>, name: String) {
        let (rejected_at, verifier) = (Timestamp::now(), Arc::clone(self));
        let wait = self.cache.revocations.revoked_at(&name).map_or(Duration::ZERO, |at| {
            let since = Duration::try_from(rejected_at.duration_since(at)).unwrap_or_default();
            self.min_revocation_interval.saturating_sub(since)
        });
        if wait.is_zero() {
            return self.revoke_everywhere(name);
        }
        let revoking = async move {
            sleep(wait).await;
            if verifier.cache.revocations.revoked_at(&name).is_none_or(|at| at <= rejected_at) {
                verifier.revoke_everywhere(name);
            }
        };
        actix_rt::spawn(revoking.in_current_span());
    }

    fn revoke_everywhere(&self, name: String) {
        self.revoke(&name);
        tracing::info!(key_id = name, "revoked");
        if let Some(redis) = &self.redis {
            redis.publish(name);
        }
    }
}
