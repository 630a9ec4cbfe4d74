//! Verdicts in this process's memory: the first place to look, and the only one where there is no Redis.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use quick_cache::{Weighter, sync::Cache};
use rand::RngExt as _;

use super::shared::is_void;
use crate::{
    auth::{Principal, fingerprint::Fingerprint, revocation::EVERYTHING},
    settings::AuthCache,
};

/// How many refusals are remembered: enough for the mistakes of an hour, too few to be worth a flood.
const REFUSALS: usize = 10_000;
/// How many revocations are remembered: those of an hour, at one in 36 ms.
const REVOCATIONS: usize = 100_000;
/// By how much the lifetime of an entry may differ, so that entries made together do not end together.
const JITTER: f64 = 0.1;

/// Verdicts in this process's memory, bounded in number and in weight.
#[derive(Debug)]
pub(in crate::auth) struct VerdictCache {
    accepted: Cache<Fingerprint, Arc<Accepted>, ByWeight>,
    refused: Cache<Fingerprint, Instant>,
    /// Counts revocations, so that a verdict asked for before one is not remembered after it.
    epoch: AtomicU64,
    /// When each key id was revoked, for verdicts that come from elsewhere.
    revoked: Cache<String, Timestamp>,
    settings: AuthCache,
}

#[derive(Debug)]
struct Accepted {
    principal: Arc<Principal>,
    fresh_until: Instant,
    stale_until: Instant,
}

/// What is remembered of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::auth) enum Remembered {
    Accepted(Arc<Principal>),
    /// Too old to be believed, unless nobody can be asked.
    Stale(Arc<Principal>),
    Refused,
    Nothing,
}

impl VerdictCache {
    pub(in crate::auth) fn new(settings: &AuthCache) -> Self {
        let capacity = settings.capacity.get();
        Self {
            accepted: Cache::with_weighter(capacity, capacity as u64, ByWeight),
            refused: Cache::new(REFUSALS),
            epoch: AtomicU64::new(0),
            revoked: Cache::new(REVOCATIONS),
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
            Some(until) if now < until => Remembered::Refused,
            _ => Remembered::Nothing,
        }
    }

    /// To be noted before a verdict is asked for.
    pub(in crate::auth) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Whether a verdict from elsewhere was asked for before its key, or every key, was revoked.
    pub(in crate::auth) fn is_void(&self, principal: &Principal, asked_at: Timestamp) -> bool {
        [Some(EVERYTHING), principal.key_id.as_deref()]
            .into_iter()
            .flatten()
            .filter_map(|key_id| self.revoked.get(key_id))
            .any(|revoked_at| is_void(asked_at, Some(revoked_at)))
    }

    /// Forgets everything that was accepted, which elsewhere may still be good.
    pub(in crate::auth) fn clear(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.accepted.clear();
    }

    /// Forgets what was accepted for a key id, or for every one, and believes nothing from before of it again.
    pub(in crate::auth) fn revoke(&self, key_id: &str) {
        self.revoked.insert(key_id.to_owned(), Timestamp::now());
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.accepted.retain(|_, accepted| {
            key_id != EVERYTHING && accepted.principal.key_id.as_deref() != Some(key_id)
        });
    }

    /// Remembers a verdict that was asked for in `epoch`, to be believed for `ttl` or less.
    pub(in crate::auth) fn accept(
        &self,
        fingerprint: Fingerprint,
        principal: Arc<Principal>,
        ttl: Duration,
        epoch: u64,
    ) {
        let now = Instant::now();
        let jitter = rand::rng().random_range(1.0 - JITTER..=1.0 + JITTER);
        let left = principal.expires_at.map_or(Duration::MAX, |at| {
            Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default()
        });
        let fresh_until = now + ttl.mul_f64(jitter).min(left);
        let stale_until = fresh_until + self.settings.stale_ttl;
        self.refused.remove(&fingerprint);
        self.accepted.insert(fingerprint, Arc::new(Accepted { principal, fresh_until, stale_until }));
        // Looked at after the fact: a revocation that came before is seen here, one that comes later finds the entry.
        if self.epoch() != epoch {
            self.accepted.remove(&fingerprint);
        }
    }

    pub(in crate::auth) fn refuse(&self, fingerprint: Fingerprint) {
        self.accepted.remove(&fingerprint);
        self.refused.insert(fingerprint, Instant::now() + self.settings.negative_ttl);
    }
}

/// An entry weighs 1, and 1 more for each 256 bytes that an auth service put into it.
#[derive(Debug, Clone)]
struct ByWeight;

impl Weighter<Fingerprint, Arc<Accepted>> for ByWeight {
    fn weight(&self, _: &Fingerprint, accepted: &Arc<Accepted>) -> u64 {
        let Principal { user_id, key_id, scopes, .. } = &*accepted.principal;
        let texts = [user_id, key_id].into_iter().flatten().chain(scopes.iter().flatten());
        1 + texts.map(String::len).sum::<usize>() as u64 / 256
    }
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;

    use super::*;
    use crate::auth::fingerprint::Pepper;

    fn cache(ttl: u64, stale_ttl: u64, capacity: usize) -> VerdictCache {
        VerdictCache::new(&AuthCache {
            ttl: Duration::from_millis(ttl),
            negative_ttl: Duration::from_millis(300),
            stale_ttl: Duration::from_millis(stale_ttl),
            capacity: capacity.try_into().unwrap(),
        })
    }

    fn principal(user: &str) -> Arc<Principal> {
        Arc::new(Principal { user_id: Some(user.to_owned()), ..Principal::default() })
    }

    fn fingerprint(key: &str) -> Fingerprint {
        static PEPPER: std::sync::LazyLock<Pepper> = std::sync::LazyLock::new(Pepper::random);
        PEPPER.fingerprint(key, "platform", None)
    }

    #[test]
    fn an_accepted_key_is_fresh_then_stale_then_forgotten() {
        let cache = cache(300, 1000, 100);
        let key = fingerprint("key");
        assert_eq!(cache.get(&key), Remembered::Nothing);
        cache.accept(key, principal("ada"), cache.settings.ttl, 0);
        assert_eq!(cache.get(&key), Remembered::Accepted(principal("ada")));
        sleep(Duration::from_millis(400));
        assert_eq!(cache.get(&key), Remembered::Stale(principal("ada")));
        sleep(Duration::from_millis(1000));
        assert_eq!(cache.get(&key), Remembered::Nothing);
    }

    #[test]
    fn without_a_stale_window_nothing_is_stale() {
        let cache = cache(20, 0, 100);
        cache.accept(fingerprint("key"), principal("ada"), cache.settings.ttl, 0);
        sleep(Duration::from_millis(30));
        assert_eq!(cache.get(&fingerprint("key")), Remembered::Nothing);
    }

    #[test]
    fn a_refusal_forgets_the_acceptance_and_is_soon_forgotten() {
        let cache = cache(10_000, 10_000, 100);
        let key = fingerprint("key");
        cache.accept(key, principal("ada"), cache.settings.ttl, 0);
        cache.refuse(key);
        assert_eq!(cache.get(&key), Remembered::Refused);
        sleep(Duration::from_millis(350));
        assert_eq!(cache.get(&key), Remembered::Nothing);
    }

    #[test]
    fn a_revocation_forgets_the_key_and_leaves_the_others() {
        let cache = cache(10_000, 10_000, 100);
        let with_id = |id: &str| Arc::new(Principal { key_id: Some(id.to_owned()), ..Principal::default() });
        for id in ["a", "b"] {
            cache.accept(fingerprint(id), with_id(id), Duration::from_secs(10), cache.epoch());
        }
        cache.revoke("a");
        assert_eq!(cache.get(&fingerprint("a")), Remembered::Nothing);
        assert_eq!(cache.get(&fingerprint("b")), Remembered::Accepted(with_id("b")));
        cache.revoke(EVERYTHING);
        assert_eq!(cache.get(&fingerprint("b")), Remembered::Nothing);
    }

    #[test]
    fn what_was_asked_for_before_a_revocation_is_void_wherever_it_comes_from() {
        let cache = cache(10_000, 10_000, 100);
        let with_id = |id: &str| Principal { key_id: Some(id.to_owned()), ..Principal::default() };
        let before = Timestamp::now();
        cache.revoke("a");
        assert!(cache.is_void(&with_id("a"), before));
        assert!(!cache.is_void(&with_id("b"), before));
        assert!(!cache.is_void(&with_id("a"), before + jiff::SignedDuration::from_secs(60)));
        cache.revoke(EVERYTHING);
        assert!(cache.is_void(&with_id("b"), before) && cache.is_void(&Principal::default(), before));
    }

    #[test]
    fn a_verdict_asked_for_before_a_revocation_is_not_remembered_after_it() {
        let cache = cache(10_000, 10_000, 100);
        let epoch = cache.epoch();
        cache.revoke("another");
        cache.accept(fingerprint("key"), principal("ada"), Duration::from_secs(10), epoch);
        assert_eq!(cache.get(&fingerprint("key")), Remembered::Nothing);
    }

    #[test]
    fn an_acceptance_never_outlives_its_key() {
        let cache = cache(10_000, 0, 100);
        let expires_at = Timestamp::now() + jiff::SignedDuration::from_millis(30);
        let principal = Principal { expires_at: Some(expires_at), ..Principal::default() };
        cache.accept(fingerprint("key"), Arc::new(principal), cache.settings.ttl, 0);
        sleep(Duration::from_millis(40));
        assert_eq!(cache.get(&fingerprint("key")), Remembered::Nothing);
    }

    #[test]
    fn neither_many_keys_nor_heavy_ones_outgrow_the_capacity() {
        for weight in ["x".to_owned(), "x".repeat(10 * 256)] {
            let cache = cache(10_000, 0, 1000);
            for number in 0..5000 {
                cache.accept(fingerprint(&number.to_string()), principal(&weight), cache.settings.ttl, 0);
            }
            assert!(cache.accepted.weight() <= 1000, "{}", cache.accepted.weight());
        }
    }

    #[test]
    fn refusals_are_bounded() {
        let cache = cache(10_000, 0, 100);
        for number in 0..3 * REFUSALS {
            cache.refuse(fingerprint(&number.to_string()));
        }
        assert!(cache.refused.len() <= REFUSALS);
    }
}
