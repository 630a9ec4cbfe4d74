use std::thread::sleep;

use super::*;
use crate::auth::fingerprint::Pepper;

fn cache(ttl: u64, stale_ttl: u64, capacity: usize) -> MemoryCache {
    MemoryCache::new(&AuthCache {
        ttl: Duration::from_millis(ttl),
        negative_ttl: Duration::from_millis(300),
        stale_ttl: Duration::from_millis(stale_ttl),
        capacity: capacity.try_into().unwrap(),
    })
}

fn principal(user: &str) -> Arc<Principal> {
    Arc::new(Principal { user_id: Some(user.to_owned()), ..Principal::default() })
}

static PEPPER: std::sync::LazyLock<Pepper> = std::sync::LazyLock::new(Pepper::random);

fn fingerprint(key: &str) -> Fingerprint {
    PEPPER.fingerprint(key, "platform", None)
}

fn digest(key: &str) -> KeyDigest {
    PEPPER.key_digest(key, "platform")
}

fn accept(cache: &MemoryCache, key: &str, principal: Arc<Principal>) {
    cache.accept(fingerprint(key), digest(key), principal, Instant::now(), cache.revocations.epoch());
}

#[test]
fn an_accepted_key_is_fresh_then_stale_then_forgotten() {
    let cache = cache(300, 1000, 100);
    let key = fingerprint("key");
    assert_eq!(cache.get(&key), CachedVerdict::Missing);
    accept(&cache, "key", principal("ada"));
    assert_eq!(cache.get(&key), CachedVerdict::Fresh(principal("ada")));
    sleep(Duration::from_millis(400));
    assert_eq!(cache.get(&key), CachedVerdict::Stale(principal("ada")));
    sleep(Duration::from_millis(1000));
    assert_eq!(cache.get(&key), CachedVerdict::Missing);
}

#[test]
fn without_a_stale_window_nothing_is_stale() {
    let cache = cache(20, 0, 100);
    accept(&cache, "key", principal("ada"));
    sleep(Duration::from_millis(30));
    assert_eq!(cache.get(&fingerprint("key")), CachedVerdict::Missing);
}

#[test]
fn a_refusal_forgets_the_acceptance_and_is_soon_forgotten() {
    let cache = cache(10_000, 10_000, 100);
    let key = fingerprint("key");
    accept(&cache, "key", principal("ada"));
    cache.reject(key, Some(principal("ada")));
    assert_eq!(cache.get(&key), CachedVerdict::Rejected(Some(principal("ada"))));
    sleep(Duration::from_millis(350));
    assert_eq!(cache.get(&key), CachedVerdict::Missing);
}

#[test]
fn a_revocation_forgets_the_key_and_leaves_the_others() {
    let cache = cache(10_000, 10_000, 100);
    let with_id = |id: &str| Arc::new(Principal { key_id: Some(id.to_owned()), ..Principal::default() });
    for id in ["a", "b"] {
        accept(&cache, id, with_id(id));
    }
    assert!(!cache.revoke("c"), "nothing is remembered of it");
    assert!(cache.revoke("a"));
    assert_eq!(cache.get(&fingerprint("a")), CachedVerdict::Missing);
    assert_eq!(cache.get(&fingerprint("b")), CachedVerdict::Fresh(with_id("b")));
    cache.revoke(EVERYTHING);
    assert_eq!(cache.get(&fingerprint("b")), CachedVerdict::Missing);
}

#[test]
fn a_key_without_an_id_is_revoked_by_its_digest_and_found_from_anywhere() {
    let cache = cache(10_000, 10_000, 100);
    let elsewhere = PEPPER.fingerprint("a", "platform", "192.0.2.1".parse().ok());
    cache.accept(elsewhere, digest("a"), principal("ada"), Instant::now(), cache.revocations.epoch());
    accept(&cache, "b", principal("ada"));
    assert_eq!(cache.take_owner(&digest("a")), Some(principal("ada")));
    assert_eq!(cache.take_owner(&digest("a")), None, "it ends once");
    cache.revoke(&digest("a").revocation_name(&principal("ada")));
    assert_eq!(cache.get(&elsewhere), CachedVerdict::Missing);
    assert_eq!(cache.get(&fingerprint("b")), CachedVerdict::Fresh(principal("ada")));
}

#[test]
fn a_verdict_asked_for_before_its_revocation_is_not_remembered_and_others_are() {
    let cache = cache(10_000, 10_000, 100);
    let with_id = |id: &str| Arc::new(Principal { key_id: Some(id.to_owned()), ..Principal::default() });
    for revoked in ["a", EVERYTHING, "another"] {
        let epoch = cache.revocations.epoch();
        cache.revoke(revoked);
        cache.accept(fingerprint("a"), digest("a"), with_id("a"), Instant::now(), epoch);
        let remembered = cache.get(&fingerprint("a"));
        assert_eq!(remembered == CachedVerdict::Missing, revoked != "another", "{revoked}: {remembered:?}");
    }
}

#[test]
fn a_verdict_ages_from_when_the_service_was_asked() {
    let cache = cache(10_000, 10_000, 100);
    let Some(asked) = Instant::now().checked_sub(Duration::from_millis(19_500)) else { return };
    cache.accept(fingerprint("key"), digest("key"), principal("ada"), asked, cache.revocations.epoch());
    let remembered = cache.get(&fingerprint("key"));
    assert!(matches!(remembered, CachedVerdict::Stale(_) | CachedVerdict::Missing), "{remembered:?}");
    sleep(Duration::from_millis(600));
    assert_eq!(cache.get(&fingerprint("key")), CachedVerdict::Missing);
}

#[test]
fn an_acceptance_never_outlives_its_key() {
    let cache = cache(10_000, 0, 100);
    let expires_at = Timestamp::now() + jiff::SignedDuration::from_millis(30);
    let principal = Principal { expires_at: Some(expires_at), ..Principal::default() };
    accept(&cache, "key", Arc::new(principal));
    sleep(Duration::from_millis(40));
    assert_eq!(cache.get(&fingerprint("key")), CachedVerdict::Missing);
}

#[test]
fn neither_many_keys_nor_heavy_ones_outgrow_the_capacity() {
    for weight in ["x".to_owned(), "x".repeat(10 * 256)] {
        let cache = cache(10_000, 0, 1000);
        for number in 0..5000 {
            accept(&cache, &number.to_string(), principal(&weight));
        }
        assert!(cache.accepted.weight() <= 1000, "{}", cache.accepted.weight());
        assert!(cache.owners.weight() <= 1000, "{}", cache.owners.weight());
    }
}

#[test]
fn fenced_keys_do_not_outgrow_the_capacity_and_each_is_remembered() {
    let fence = serde_json::json!({"models": vec!["team-*"; 100], "experiments": ["team/*"]}).to_string();
    let fenced = Arc::new(Principal { fence: serde_json::from_str(&fence).unwrap(), ..Principal::default() });
    let cache = cache(10_000, 0, 100_000);
    for number in 0..5000 {
        accept(&cache, &number.to_string(), Arc::clone(&fenced));
        assert_eq!(cache.get(&fingerprint(&number.to_string())), CachedVerdict::Fresh(Arc::clone(&fenced)));
    }
    let bytes = cache.accepted.len() * fenced.fence.size();
    assert!(bytes as u64 <= 100_000 * UNIT, "{bytes}");
}

#[test]
fn refusals_are_bounded() {
    let cache = cache(10_000, 0, 100);
    for number in 0..3 * REJECTIONS {
        cache.reject(fingerprint(&number.to_string()), None);
    }
    assert!(cache.rejected.len() <= REJECTIONS);
}
