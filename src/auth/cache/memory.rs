//! Verdicts in this process's memory: the first place to look, and the only one where there is no Redis.

use std::{
    cell::Cell,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use quick_cache::{Weighter, sync::Cache};
use rand::RngExt as _;

use super::revocations::Revocations;
use crate::{
    auth::{
        Principal,
        fingerprint::{Fingerprint, KeyDigest},
        revocation::EVERYTHING,
    },
    settings::AuthCache,
};

/// How many rejections are cached: enough for an hour's mistakes, and bounded in a flood.
const REJECTIONS: usize = 10_000;
/// The part of its lifetime by which an entry may end earlier, so that entries made together do not end together.
const JITTER: f64 = 0.1;

/// Verdicts in this process's memory, bounded in number and in weight.
#[derive(Debug)]
pub(in crate::auth) struct MemoryCache {
    accepted: Cache<Fingerprint, Arc<Accepted>, ByWeight>,
    /// The owner of each accepted key, for all client addresses.
    owners: Cache<KeyDigest, Arc<Principal>, ByWeight>,
    rejected: Cache<Fingerprint, Rejected>,
    pub(in crate::auth) revocations: Revocations,
    settings: AuthCache,
}

#[derive(Debug)]
struct Accepted {
    principal: Arc<Principal>,
    key: KeyDigest,
    fresh_until: Instant,
    stale_until: Instant,
}

#[derive(Debug, Clone)]
struct Rejected {
    until: Instant,
    /// The owner, if the key was valid before.
    owner: Option<Arc<Principal>>,
}

/// What the cache has for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::auth) enum CachedVerdict {
    Fresh(Arc<Principal>),
    /// Too old to be used, unless the service fails (stale-if-error).
    Stale(Arc<Principal>),
    /// With the owner, if the key was valid before.
    Rejected(Option<Arc<Principal>>),
    Missing,
}

impl MemoryCache {
    pub(in crate::auth) fn new(settings: &AuthCache) -> Self {
        let capacity = settings.capacity.get();
        Self {
            accepted: Cache::with_weighter(capacity, capacity as u64, ByWeight),
            owners: Cache::with_weighter(capacity, capacity as u64, ByWeight),
            rejected: Cache::new(REJECTIONS),
            revocations: Revocations::new(),
            settings: settings.clone(),
        }
    }

    pub(in crate::auth) fn get(&self, fingerprint: &Fingerprint) -> CachedVerdict {
        let now = Instant::now();
        if let Some(accepted) = self.accepted.get(fingerprint) {
            if now < accepted.fresh_until {
                return CachedVerdict::Fresh(Arc::clone(&accepted.principal));
            }
            if now < accepted.stale_until {
                return CachedVerdict::Stale(Arc::clone(&accepted.principal));
            }
        }
        match self.rejected.get(fingerprint) {
            Some(rejected) if now < rejected.until => CachedVerdict::Rejected(rejected.owner),
            _ => CachedVerdict::Missing,
        }
    }

    /// Forgets all accepted keys; other instances' verdicts on them stay valid.
    pub(in crate::auth) fn clear(&self) {
        self.revocations.clear(|| self.accepted.clear());
    }

    /// Forgets the accepted keys with a name, or all, and takes no earlier verdict on them again. Whether there were any.
    pub(in crate::auth) fn revoke(&self, name: &str) -> bool {
        let (digest, was_there) = (KeyDigest::from_revocation_name(name), Cell::new(false));
        self.revocations.revoke(name, || {
            self.accepted.retain(|_, accepted| {
                let matches = name == EVERYTHING
                    || accepted.principal.key_id.as_deref() == Some(name)
                    || Some(accepted.key) == digest;
                was_there.set(was_there.get() || matches);
                !matches
            });
        });
        was_there.get()
    }

    /// Removes and returns the owner of a key that is being rejected.
    pub(in crate::auth) fn take_owner(&self, key: &KeyDigest) -> Option<Arc<Principal>> {
        self.owners.remove(key).map(|(_, principal)| principal)
    }

    /// Caches a verdict that was requested at `asked`, in `epoch`. It is served until `ttl` and `stale_ttl` after that at most.
    pub(in crate::auth) fn accept(
        &self,
        fingerprint: Fingerprint,
        key: KeyDigest,
        principal: Arc<Principal>,
        asked: Instant,
        epoch: u64,
    ) {
        let name = key.revocation_name(&principal);
        self.rejected.remove(&fingerprint);
        if self.revocations.is_revoked_since(&name, epoch) {
            return;
        }
        let mut fresh_until = asked + self.settings.ttl.mul_f64(rand::rng().random_range(1.0 - JITTER..=1.0));
        if let Some(at) = principal.expires_at {
            let left = Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default();
            fresh_until = fresh_until.min(Instant::now() + left);
        }
        let stale_until = fresh_until + self.settings.stale_ttl;
        self.owners.insert(key, Arc::clone(&principal));
        self.accepted.insert(fingerprint, Arc::new(Accepted { principal, key, fresh_until, stale_until }));
        // Checked again after the insert: an earlier revocation is seen here, a later one finds the entry.
        if self.revocations.is_revoked_since(&name, epoch) {
            self.accepted.remove(&fingerprint);
        }
    }

    pub(in crate::auth) fn reject(&self, fingerprint: Fingerprint, owner: Option<Arc<Principal>>) {
        self.accepted.remove(&fingerprint);
        let until = Instant::now() + self.settings.negative_ttl;
        self.rejected.insert(fingerprint, Rejected { until, owner });
    }
}

/// Bytes of texts, or of a compiled fence, that weigh 1.
const UNIT: u64 = 256;

/// An entry weighs 1, and 1 more for each [`UNIT`] of its texts and its fence.
#[derive(Debug, Clone)]
struct ByWeight;

impl Weighter<Fingerprint, Arc<Accepted>> for ByWeight {
    fn weight(&self, _: &Fingerprint, accepted: &Arc<Accepted>) -> u64 {
        weight(&accepted.principal)
    }
}

impl Weighter<KeyDigest, Arc<Principal>> for ByWeight {
    fn weight(&self, _: &KeyDigest, principal: &Arc<Principal>) -> u64 {
        weight(principal)
    }
}

fn weight(Principal { user_id, key_id, scopes, fence, .. }: &Principal) -> u64 {
    let texts = [user_id, key_id].into_iter().flatten().chain(scopes.iter().flatten());
    1 + (texts.map(String::len).sum::<usize>() + fence.size()) as u64 / UNIT
}

#[cfg(test)]
mod tests;
