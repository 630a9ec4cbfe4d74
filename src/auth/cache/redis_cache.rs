//! Verdicts in Redis, shared by all instances. Redis is not trusted: others may be able to write there.
//!
//! A value is a version, a MAC over fingerprint and verdict, and the verdict. It is used only if a gateway with the same pepper
//! made it for this very fingerprint. No key, and nothing that a key could be guessed from, is sent to Redis.

use std::{sync::Arc, time::Duration};

use deadpool_redis::redis::{Cmd, RedisError, cmd, pipe};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    auth::{
        Principal,
        fingerprint::{Fingerprint, KeyDigest, Pepper},
        peppers,
        revocation::{CHANNEL, EVERYTHING},
    },
    redis::{Connection, Redis},
    settings::AuthCache,
};

/// The first byte of a value; other versions are not read. Those before 3 have no fences.
const VERSION: u8 = 3;
const MAC_LENGTH: usize = 32;
/// The purposes of values: a verdict, or the owner of a key. They are part of the MAC.
const VERDICT: &str = "value";
const OWNER: &str = "known";
/// The longest value that is read, in bytes. A longer one is cut off, and fails its MAC.
const MAX_VALUE: isize = 16 * 1024;
/// How far the clocks of two instances may be apart.
const SKEW: SignedDuration = SignedDuration::from_secs(2);

/// The verdicts that all instances share.
#[derive(Debug)]
pub(in crate::auth) struct RedisCache {
    redis: Redis,
    pepper: Pepper,
    settings: AuthCache,
}

/// A verdict that some instance got from the service.
#[derive(Debug, Clone)]
pub(in crate::auth) struct RedisVerdict {
    pub(in crate::auth) principal: Arc<Principal>,
    pub(in crate::auth) asked_at: Timestamp,
    pub(in crate::auth) age: Duration,
    /// Whether it may be used without calling the service.
    pub(in crate::auth) is_fresh: bool,
}

#[derive(Serialize, Deserialize)]
struct Value {
    principal: Principal,
    /// When the service was called: the verdict does not include later revocations.
    asked_at: Timestamp,
}

impl RedisCache {
    pub(in crate::auth) fn new(redis: Redis, pepper: Pepper, settings: AuthCache) -> Self {
        Self { redis, pepper, settings }
    }

    /// Another instance's verdict, if Redis answers in time and the verdict is not older than `ttl` and `stale_ttl`.
    pub(in crate::auth) async fn get(
        &self,
        fingerprint: Fingerprint,
        key: KeyDigest,
    ) -> Option<RedisVerdict> {
        let (pepper, revoked_key) = (self.pepper.clone(), self.revoked_key(EVERYTHING));
        let find = move |mut redis: Connection| async move {
            let value = read(&mut redis, verdict_key(&fingerprint)).await?;
            let Some(value) = open(&pepper, VERDICT, fingerprint.as_bytes(), &value) else { return Ok(None) };
            let mut marks = pipe();
            marks.get(revoked_key).get(revoked_key_of(&pepper, &key.revocation_name(&value.principal)));
            let marks: Vec<Option<Vec<u8>>> = marks.query_async(&mut redis).await?;
            let revoked = marks.into_iter().flatten().any(|mark| is_void(value.asked_at, parse_mark(&mark)));
            Ok((!revoked).then_some(value))
        };
        let Value { principal, asked_at } = self.redis.call(find).await??;
        // The key may have been extended since: the service is called again.
        if principal.expires_at.is_some_and(|at| at <= Timestamp::now()) {
            return None;
        }
        let age = Timestamp::now().duration_since(asked_at);
        // From the future: the clocks are too far apart.
        if age < SignedDuration::ZERO.saturating_sub(SKEW) {
            return None;
        }
        let age = Duration::try_from(age).unwrap_or_default();
        let AuthCache { ttl, stale_ttl, .. } = self.settings;
        (age < ttl + stale_ttl).then(|| RedisVerdict {
            principal: Arc::new(principal),
            asked_at,
            age,
            is_fresh: age < ttl,
        })
    }

    /// The owner of a key, whichever instance has seen it; `None` if Redis did not answer.
    pub(in crate::auth) async fn owner(&self, key: KeyDigest) -> Option<Option<Arc<Principal>>> {
        let pepper = self.pepper.clone();
        let find = move |mut redis: Connection| async move {
            let value = read(&mut redis, owner_key(&key)).await?;
            Ok(open(&pepper, OWNER, key.as_bytes(), &value))
        };
        let found = self.redis.call(find).await?;
        Some(found.map(|value| Arc::new(value.principal)))
    }

    /// Stores a verdict, and the owner of the key, for the other instances. Runs in the background, as the methods below do.
    pub(in crate::auth) fn accept(
        &self,
        fingerprint: Fingerprint,
        key: KeyDigest,
        principal: &Principal,
        asked_at: Timestamp,
    ) {
        let value = Value { principal: principal.clone(), asked_at };
        let lifetime = self.settings.ttl + self.settings.stale_ttl;
        if let Some(value) = seal(&self.pepper, OWNER, key.as_bytes(), &value) {
            self.set(owner_key(&key), value, lifetime);
        }
        if let Some(value) = seal(&self.pepper, VERDICT, fingerprint.as_bytes(), &value) {
            self.set(verdict_key(&fingerprint), value, lifetime);
        }
    }

    /// Removes a verdict, and the owner of `key` if there is one.
    pub(in crate::auth) fn reject(&self, fingerprint: Fingerprint, key: Option<KeyDigest>) {
        self.redis.call_in_background(move |mut redis| async move {
            // One by one: in a cluster they may be on two nodes.
            cmd("UNLINK").arg(verdict_key(&fingerprint)).query_async::<()>(&mut redis).await?;
            let Some(key) = key else { return Ok(()) };
            cmd("UNLINK").arg(owner_key(&key)).query_async(&mut redis).await
        });
    }

    /// Leaves a mark of this instance's pepper, and counts the other peppers at this Redis. `None` if Redis did not answer. No
    /// request waits, so a first connection may take its time.
    pub(in crate::auth) async fn announce_pepper(&self) -> Option<usize> {
        let pepper = self.pepper.clone();
        self.redis.call_directly(move |redis| peppers::announce(redis, pepper)).await.ok()
    }

    /// Publishes a revocation to every instance that listens.
    pub(in crate::auth) fn publish(&self, name: String) {
        self.redis.send_with_retries(move || cmd("PUBLISH").arg(CHANNEL).arg(&name).take());
    }

    /// Leaves a mark for instances that read later: verdicts under this name (`*`: all) from before now are void.
    pub(in crate::auth) fn revoke(&self, name: &str) {
        let lifetime = self.settings.ttl + self.settings.stale_ttl + Duration::from_secs(60);
        let key = self.revoked_key(name);
        // The time of each try, so that a late one does not replace a newer mark by an older one.
        self.redis.send_with_retries(move || {
            set(&key, Timestamp::now().as_millisecond().to_string().into_bytes(), lifetime)
        });
    }

    fn set(&self, key: String, value: Vec<u8>, lifetime: Duration) {
        self.redis.call_in_background(move |mut redis| async move {
            set(&key, value, lifetime).query_async(&mut redis).await
        });
    }

    fn revoked_key(&self, name: &str) -> String {
        revoked_key_of(&self.pepper, name)
    }
}

fn set(key: &str, value: Vec<u8>, lifetime: Duration) -> Cmd {
    cmd("SET").arg(key).arg(value).arg("PX").arg(lifetime.as_millis() as u64).take()
}

/// A value, up to its longest size.
async fn read(redis: &mut Connection, key: String) -> Result<Vec<u8>, RedisError> {
    cmd("GETRANGE").arg(key).arg(0).arg(MAX_VALUE - 1).query_async(redis).await
}

fn revoked_key_of(pepper: &Pepper, name: &str) -> String {
    // The braces put all of them into one slot of a cluster, so that one pipeline can read them.
    format!("hokusai:{{revoked}}:{}", hex::encode(pepper.mac("revoked", &[name.as_bytes()])))
}

/// Whether a verdict requested at `asked_at` is older than a revocation. An unreadable mark (`None`) voids it.
pub(super) fn is_void(asked_at: Timestamp, revoked_at: Option<Timestamp>) -> bool {
    revoked_at.and_then(|at| at.saturating_add(SKEW).ok()).is_none_or(|until| asked_at <= until)
}

fn parse_mark(mark: &[u8]) -> Option<Timestamp> {
    Timestamp::from_millisecond(str::from_utf8(mark).ok()?.parse().ok()?).ok()
}

fn verdict_key(fingerprint: &Fingerprint) -> String {
    format!("hokusai:verdict:{}", hex::encode(fingerprint.as_bytes()))
}

fn owner_key(key: &KeyDigest) -> String {
    format!("hokusai:known:{}", hex::encode(key.as_bytes()))
}

/// The MAC covers the purpose and the name of the key, so that a value is good for one key only.
fn seal(pepper: &Pepper, purpose: &str, name: &[u8], value: &Value) -> Option<Vec<u8>> {
    let body = serde_json::to_vec(value).ok()?;
    let mac = pepper.mac(purpose, &[name, &body]);
    Some([&[VERSION], mac.as_slice(), &body].concat())
}

fn open(pepper: &Pepper, purpose: &str, name: &[u8], value: &[u8]) -> Option<Value> {
    let (&VERSION, rest) = value.split_first()? else { return None };
    let (mac, body) = rest.split_at_checked(MAC_LENGTH)?;
    if !pepper.verifies(purpose, &[name, body], mac) {
        return None;
    }
    serde_json::from_slice(body).ok()
}

/// Only sealed bytes are a value, and no bytes cause a panic.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    let pepper = Pepper::new(&"a pepper of the fuzzer's".to_owned().into());
    let fingerprint = pepper.fingerprint("key", "platform", None);
    assert!(open(&pepper, VERDICT, fingerprint.as_bytes(), bytes).is_none());
    if let Ok(value) = serde_json::from_slice::<Value>(bytes)
        && let Some(sealed) = seal(&pepper, VERDICT, fingerprint.as_bytes(), &value)
    {
        let opened = open(&pepper, VERDICT, fingerprint.as_bytes(), &sealed)
            .map(|opened| (opened.principal, opened.asked_at));
        assert_eq!(opened, Some((value.principal, value.asked_at)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value() -> Value {
        let principal = Principal {
            user_id: Some("ada".to_owned()),
            key_id: Some("k-1".to_owned()),
            scopes: Some(vec!["mlflow:read".to_owned()]),
            is_admin: true,
            workspace: Some("team-a".to_owned().try_into().unwrap()),
            fence: serde_json::from_str(r#"{"models": ["acme-*", "x"], "experiments": []}"#).unwrap(),
            expires_at: "2030-01-01T00:00:00Z".parse().ok(),
            rate_limit_per_hour: std::num::NonZeroU32::new(100),
            concurrent: std::num::NonZeroU32::new(8),
            creates_per_hour: std::num::NonZeroU32::new(10),
        };
        Value { principal, asked_at: "2026-01-01T00:00:00Z".parse().unwrap() }
    }

    #[test]
    fn a_value_is_read_as_it_was_written() {
        let pepper = Pepper::random();
        let fingerprint = pepper.fingerprint("key", "platform", None);
        let sealed = seal(&pepper, VERDICT, fingerprint.as_bytes(), &value()).unwrap();
        let opened = open(&pepper, VERDICT, fingerprint.as_bytes(), &sealed).unwrap();
        assert_eq!((opened.principal, opened.asked_at), (value().principal, value().asked_at));
    }

    #[test]
    fn a_value_without_a_fence_is_from_an_older_gateway_and_is_not_read() {
        let pepper = Pepper::random();
        let fingerprint = pepper.fingerprint("key", "platform", None);
        let name = fingerprint.as_bytes();
        let mut value = seal(&pepper, VERDICT, name, &value()).unwrap();
        value[0] = 2;
        assert!(open(&pepper, VERDICT, name, &value).is_none(), "the version before fences");
        let body =
            br#"{"principal": {"user_id": "ada", "is_admin": false}, "asked_at": "2026-01-01T00:00:00Z"}"#;
        let mac = pepper.mac(VERDICT, &[name, body]);
        let value = [&[VERSION], &mac[..], body].concat();
        assert!(open(&pepper, VERDICT, name, &value).is_none(), "no fence at all");
    }

    #[test]
    fn what_was_not_made_here_for_this_key_is_no_value() {
        let pepper = Pepper::random();
        let fingerprint = pepper.fingerprint("key", "platform", None);
        let sealed = seal(&pepper, VERDICT, fingerprint.as_bytes(), &value()).unwrap();

        let others = pepper.fingerprint("other", "platform", None);
        assert!(open(&pepper, VERDICT, others.as_bytes(), &sealed).is_none(), "another key's value");
        assert!(
            open(&Pepper::random(), VERDICT, fingerprint.as_bytes(), &sealed).is_none(),
            "another pepper's value"
        );
        assert!(open(&pepper, OWNER, fingerprint.as_bytes(), &sealed).is_none(), "for something else");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&pepper, VERDICT, fingerprint.as_bytes(), &changed).is_none(), "byte {at} changed");
            assert!(
                open(&pepper, VERDICT, fingerprint.as_bytes(), &sealed[..at]).is_none(),
                "cut off at {at}"
            );
        }
    }
}
