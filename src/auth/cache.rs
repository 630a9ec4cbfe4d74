//! What the auth service said a short while ago.
//!
//! Remembered is the identity. What it may do, and whether it has expired, is decided on every request.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use quick_cache::{Weighter, sync::Cache};
use rand::RngExt as _;

use super::{Principal, fingerprint::Fingerprint};
use crate::settings::AuthCache;

/// How many refusals are remembered: enough for the mistakes of an hour, too few to be worth a flood.
const REFUSALS: usize = 10_000;
/// By how much the lifetime of an entry may differ, so that entries made together do not end together.
const JITTER: f64 = 0.1;

/// Verdicts in this process's memory, bounded in number and in weight.
#[derive(Debug)]
pub(super) struct VerdictCache {
    accepted: Cache<Fingerprint, Arc<Accepted>, ByWeight>,
    refused: Cache<Fingerprint, Instant>,
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
pub(super) enum Remembered {
    Accepted(Arc<Principal>),
    /// Too old to be believed, unless nobody can be asked.
    Stale(Arc<Principal>),
    Refused,
    Nothing,
}

impl VerdictCache {
    pub(super) fn new(settings: &AuthCache) -> Self {
        let capacity = settings.capacity.get();
        Self {
            accepted: Cache::with_weighter(capacity, capacity as u64, ByWeight),
            refused: Cache::new(REFUSALS),
            settings: settings.clone(),
        }
    }

    pub(super) fn get(&self, fingerprint: &Fingerprint) -> Remembered {
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

    pub(super) fn accept(&self, fingerprint: Fingerprint, principal: Arc<Principal>) {
        let now = Instant::now();
        let jitter = rand::rng().random_range(1.0 - JITTER..=1.0 + JITTER);
        let left = principal.expires_at.map_or(Duration::MAX, |at| {
            Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default()
        });
        let fresh_until = now + self.settings.ttl.mul_f64(jitter).min(left);
        let stale_until = fresh_until + self.settings.stale_ttl;
        self.refused.remove(&fingerprint);
        self.accepted.insert(fingerprint, Arc::new(Accepted { principal, fresh_until, stale_until }));
    }

    pub(super) fn refuse(&self, fingerprint: Fingerprint) {
        self.accepted.remove(&fingerprint);
        self.refused.insert(fingerprint, Instant::now() + self.settings.negative_ttl);
    }
}

/// An entry weighs 1, and 1 more for each 256 bytes that an auth service put into it.
#[derive(Debug, Clone)]
struct ByWeight;

impl Weighter<Fingerprint, Arc<Accepted>> for ByWeight {
    fn weight(&self, _: &Fingerprint, accepted: &Arc<Accepted>) -> u64 {
        let Principal { user_id, key_id, scopes, expires_at: _ } = &*accepted.principal;
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
            negative_ttl: Duration::from_millis(40),
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
        let cache = cache(40, 80, 100);
        let key = fingerprint("key");
        assert_eq!(cache.get(&key), Remembered::Nothing);
        cache.accept(key, principal("ada"));
        assert_eq!(cache.get(&key), Remembered::Accepted(principal("ada")));
        sleep(Duration::from_millis(60));
        assert_eq!(cache.get(&key), Remembered::Stale(principal("ada")));
        sleep(Duration::from_millis(100));
        assert_eq!(cache.get(&key), Remembered::Nothing);
    }

    #[test]
    fn without_a_stale_window_nothing_is_stale() {
        let cache = cache(20, 0, 100);
        cache.accept(fingerprint("key"), principal("ada"));
        sleep(Duration::from_millis(30));
        assert_eq!(cache.get(&fingerprint("key")), Remembered::Nothing);
    }

    #[test]
    fn a_refusal_forgets_the_acceptance_and_is_soon_forgotten() {
        let cache = cache(10_000, 10_000, 100);
        let key = fingerprint("key");
        cache.accept(key, principal("ada"));
        cache.refuse(key);
        assert_eq!(cache.get(&key), Remembered::Refused);
        sleep(Duration::from_millis(50));
        assert_eq!(cache.get(&key), Remembered::Nothing);
    }

    #[test]
    fn an_acceptance_never_outlives_its_key() {
        let cache = cache(10_000, 0, 100);
        let expires_at = Timestamp::now() + jiff::SignedDuration::from_millis(30);
        let principal = Principal { expires_at: Some(expires_at), ..Principal::default() };
        cache.accept(fingerprint("key"), Arc::new(principal));
        sleep(Duration::from_millis(40));
        assert_eq!(cache.get(&fingerprint("key")), Remembered::Nothing);
    }

    #[test]
    fn neither_many_keys_nor_heavy_ones_outgrow_the_capacity() {
        for weight in ["x".to_owned(), "x".repeat(10 * 256)] {
            let cache = cache(10_000, 0, 1000);
            for number in 0..5000 {
                cache.accept(fingerprint(&number.to_string()), principal(&weight));
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
