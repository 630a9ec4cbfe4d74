//! Revocations of tokens in Redis, for instances that start later. There is no other place that remembers them: the issuer goes on
//! saying that the token is good.

use std::time::Duration;

use deadpool_redis::redis::{Cmd, RedisError, cmd, pipe};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::remembered::{Names, is_revoked};
use crate::redis::Redis;

/// How long a revocation is kept. Whoever is to be kept out for longer loses the rule.
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// When a token was revoked, if it was; `None`: Redis gave no answer. A mark that cannot be read is one of now.
pub(super) async fn revoked_at(
    redis: &Redis,
    names: &Names,
    issued_at: Option<i64>,
) -> Option<Option<Timestamp>> {
    let names: Vec<_> = names.each().map(|(name, for_all_time)| (mark_of(name), for_all_time)).collect();
    let mut marks = pipe();
    for (mark, _) in &names {
        marks.get(mark);
    }
    let read = move |mut redis| async move { marks.query_async::<Vec<Option<Vec<u8>>>>(&mut redis).await };
    let found = redis.call(read).await?;
    let times = found.into_iter().zip(names).filter_map(|(mark, (_, for_all_time))| {
        let at = parse(&mark?).unwrap_or_else(Timestamp::now);
        is_revoked(at, for_all_time, issued_at).then_some(at)
    });
    Some(times.max())
}

/// Leaves a mark, in the background.
pub(super) fn leave(redis: &Redis, name: &str) {
    let mark = setting(name);
    redis.send_with_retries(move || mark.clone());
}

/// Leaves a mark, for a command.
///
/// # Errors
/// Those of Redis and of the connection.
pub(crate) async fn set(redis: &Redis, name: &str) -> Result<(), RedisError> {
    let mark = setting(name);
    redis.call_directly(async |mut redis| mark.query_async(&mut redis).await).await
}

fn setting(name: &str) -> Cmd {
    let now = Timestamp::now().as_millisecond();
    cmd("SET").arg(mark_of(name)).arg(now).arg("PX").arg(LIFETIME.as_millis() as u64).take()
}

fn parse(mark: &[u8]) -> Option<Timestamp> {
    Timestamp::from_millisecond(str::from_utf8(mark).ok()?.parse().ok()?).ok()
}

/// The braces put all of them into one slot of a cluster, so that one pipeline can read them.
fn mark_of(name: &str) -> String {
    format!("hokusai:{{revoked-token}}:{}", hex::encode(Sha256::digest(name)))
}
