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

/// How many refusals are remembered: enough for the mistakes of an hour, too few to be worth a flood.
const REFUSALS: usize = 10_000;
/// By how much the lifetime of an entry may be shorter, so that entries made together do not end together.
const JITTER: f64 = 0.1;

/// Verdicts in this process's memory, bounded in number and in weight.
#[derive(Debug)]
pub(in crate::auth) struct VerdictCache {
    accepted: Cache<Fingerprint, Arc<Accepted>, ByWeight>,
    /// Whose each accepted key is, wherever it was used from.
    known: Cache<KeyDigest, Arc<Principal>, ByWeight>,
    refused: Cache<Fingerprint, Refusal>,
    revocations: Revocations,
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
struct Refusal {
    until: Instant,
    /// Whose key it was.
    known: Option<Arc<Principal>>,
}

/// What is remembered of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::auth) enum Remembered {
    Accepted(Arc<Principal>),
    /// Too old to be believed, unless nobody can be asked.
    Stale(Arc<Principal>),
    /// With whose it was, if it was good before.
    Refused(Option<Arc<Principal>>),
    Nothing,
}

impl VerdictCache {
    pub(in crate::auth) fn new(settings: &AuthCache) -> Self {
        let capacity = settings.capacity.get();
        Self {
            accepted: Cache::with_weighter(capacity, capacity as u64, ByWeight),
            known: Cache::with_weighter(capacity, capacity as u64, ByWeight),
            refused: Cache::new(REFUSALS),
            revocations: Revocations::new(),
            settings: settings.clone(),
        }
    }

    pub(in crate::auth) fn get(&self, fingerprint: &Fingerprint) -> Remembered {
        let now = Instant::now();
        if let Some(accepted) = self.accepted.get(fingerprint) {
            if now < accepted.fresh_until {
                return Remembered::Accepted(Arc::clone(&accepted.principal));
            }
            if now < accepted.stale_until {
                return Remembered::Stale(Arc::clone(&accepted.principal));
            }
        }
        match self.refused.get(fingerprint) {
            Some(refusal) if now < refusal.until => Remembered::Refused(refusal.known),
            _ => Remembered::Nothing,
        }
    }

    /// To be noted before a verdict is asked for.
    pub(in crate::auth) fn epoch(&self) -> u64 {
        self.revocations.epoch()
    }

    /// Whether a name was revoked after `epoch`.
    pub(in crate::auth) fn is_revoked_since(&self, name: &str, epoch: u64) -> bool {
        self.revocations.since(name, epoch)
    }

    /// When a name was last revoked.
    pub(in crate::auth) fn revoked_at(&self, name: &str) -> Option<Timestamp> {
        self.revocations.at(name)
    }

    /// Whether a verdict from elsewhere was asked for before its key, or every key, was revoked.
    pub(in crate::auth) fn is_void(&self, name: &str, asked_at: Timestamp) -> bool {
        self.revocations.void(name, asked_at)
    }

    /// Forgets everything that was accepted, which elsewhere may still be good.
    pub(in crate::auth) fn clear(&self) {
        self.revocations.note_clearing(|| self.accepted.clear());
    }

    /// Forgets what was accepted under a name, or everything, and believes nothing from before of it again. Whether
    /// there was any of it.
    pub(in crate::auth) fn revoke(&self, name: &str) -> bool {
        let (digest, was_there) = (KeyDigest::in_name(name), Cell::new(false));
        self.revocations.note(name, || {
            self.accepted.retain(|_, accepted| {
                let is_of_it = name == EVERYTHING
                    || accepted.principal.key_id.as_deref() == Some(name)
                    || Some(accepted.key) == digest;
                was_there.set(was_there.get() || is_of_it);
                !is_of_it
            });
        });
        was_there.get()
    }

    /// Whose `key` was, wherever it was used from; asked once, for its end.
    pub(in crate::auth) fn take_known(&self, key: &KeyDigest) -> Option<Arc<Principal>> {
        self.known.remove(key).map(|(_, principal)| principal)
    }

    /// Remembers a verdict that the service was asked for at `asked`, in `epoch`. It is served until `ttl` and `stale_ttl`
    /// after that, and never longer.
    pub(in crate::auth) fn accept(
        &self,
        fingerprint: Fingerprint,
        key: KeyDigest,
        principal: Arc<Principal>,
        asked: Instant,
        epoch: u64,
    ) {
        let name = key.revoked_as(&principal);
        self.refused.remove(&fingerprint);
        // What is void puts nothing back that a refusal took.
        if self.is_revoked_since(&name, epoch) {
            return;
        }
        let mut fresh_until = asked + self.settings.ttl.mul_f64(rand::rng().random_range(1.0 - JITTER..=1.0));
        if let Some(at) = principal.expires_at {
            let left = Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default();
            fresh_until = fresh_until.min(Instant::now() + left);
        }
        let stale_until = fresh_until + self.settings.stale_ttl;
        self.known.insert(key, Arc::clone(&principal));
        self.accepted.insert(fingerprint, Arc::new(Accepted { principal, key, fresh_until, stale_until }));
        // Looked at after the fact: a revocation that came before is seen here, one that comes later finds the entry.
        if self.is_revoked_since(&name, epoch) {
            self.accepted.remove(&fingerprint);
        }
    }

    pub(in crate::auth) fn refuse(&self, fingerprint: Fingerprint, known: Option<Arc<Principal>>) {
        self.accepted.remove(&fingerprint);
        let until = Instant::now() + self.settings.negative_ttl;
        self.refused.insert(fingerprint, Refusal { until, known });
    }
}

/// An entry weighs 1, and 1 more for each 256 bytes that an auth service put into it.
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

fn weight(Principal { user_id, key_id, scopes, .. }: &Principal) -> u64 {
    let texts = [user_id, key_id].into_iter().flatten().chain(scopes.iter().flatten());
    1 + texts.map(String::len).sum::<usize>() as u64 / 256
}

#[cfg(test)]
mod tests;
