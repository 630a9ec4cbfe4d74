//! Errors of Redis and of the connection, as faults for operators.

use std::time::Duration;

use deadpool_redis::redis::{ErrorKind, RedisError};

use super::{PATIENCE, error_text};
use crate::{code::Code, fault::Fault};

/// The fault of an answer of Redis; `None` if it gave no valid answer.
pub(crate) fn refusal(error: &RedisError) -> Option<Fault> {
    // In a script it has the code of an error in a script.
    let in_script = "executing the script can't run this command";
    let code = if error_text(error).contains(in_script) { Some("NOPERM") } else { error.code() };
    let (code, what, cause, fix) = match (code, error.kind()) {
        (Some("NOAUTH"), _) => (
            Code::RedisPassword,
            "requires a password",
            "redis.url has no password",
            "redis://:PASSWORD@host:port, in a file that HOKUSAI__REDIS__URL_FILE names",
        ),
        (Some("WRONGPASS"), _) | (_, ErrorKind::AuthenticationFailed) => (
            Code::RedisPassword,
            "refuses the password",
            "the password or the user in redis.url is not that of this Redis",
            "the user and the password as ACL LIST has them",
        ),
        (Some("NOPERM"), _) => (
            Code::RedisAcl,
            "does not let this user do what the gateway does",
            "the user's ACL is too narrow",
            "ACL SETUSER … ~hokusai:* &hokusai:* +@all -@dangerous -@admin",
        ),
        (Some("READONLY" | "MASTERDOWN"), _) => (
            Code::RedisReplica,
            "is a replica, and takes no writes",
            "redis.url names a replica",
            "the master's address, or redis+sentinel://…",
        ),
        (Some("OOM"), _) => (
            Code::RedisFull,
            "is full",
            "its maxmemory is used up, and its policy evicts nothing",
            "maxmemory-policy allkeys-lru",
        ),
        (Some("LOADING"), _) => (
            Code::RedisRejectsWrites,
            "is starting",
            "it is reading its data from disk",
            "nothing: it is used again when it is done",
        ),
        (Some("MISCONF"), _) => (
            Code::RedisRejectsWrites,
            "takes no writes",
            "it cannot save to its disk, and was told to stop then (stop-writes-on-bgsave-error)",
            "room on its disk; or no snapshots, which the gateway does not need (save \"\")",
        ),
        (Some("NOREPLICAS"), _) => (
            Code::RedisRejectsWrites,
            "takes no writes",
            "it has fewer replicas than min-replicas-to-write wants",
            "its replicas back, or a lower min-replicas-to-write",
        ),
        (Some("MOVED" | "ASK" | "CROSSSLOT"), _) => (
            Code::RedisKind,
            "is a node of a cluster",
            "redis.url names one of its nodes as a single server",
            "redis+cluster://…",
        ),
        (Some("CLUSTERDOWN"), _) => (
            Code::RedisRejectsWrites,
            "is a cluster that is down",
            "nobody serves a part of its slots",
            "redis-cli --cluster check, with one of its nodes",
        ),
        (_, ErrorKind::MasterNameNotFoundBySentinel) => (
            Code::SentinelMaster,
            "Sentinel knows no such master",
            "the name behind the slash of redis.url is not the one that it watches",
            "the name as SENTINEL MASTERS tells it",
        ),
        (Some(_), _) => (
            Code::RedisKind,
            "refuses",
            "redis.url does not fit this Redis: its database, or its kind (single, Sentinel, cluster)",
            "redis-cli -u with the same URL shows the same",
        ),
        (None, _) => return None,
    };
    Some(Fault::new(code, format!("Redis {what}: {}", error_text(error)), cause, fix))
}

/// The fault of any error.
pub(crate) fn fault(error: &RedisError) -> Fault {
    let silence = || {
        let (code, cause, fix) = if error.is_connection_refusal() {
            (
                Code::RedisUnreachable,
                "it is not running, or listens elsewhere",
                "start it, or set redis.url to its address",
            )
        } else {
            (
                Code::RedisKind,
                "it hangs, is not Redis, or is of another kind (single, Sentinel, cluster) than redis.url says; or it has no \
                 password, and its protected mode refuses other machines",
                "redis-cli -u with the same URL shows what it says",
            )
        };
        Fault::new(code, format!("Redis gives no valid answer: {}", error_text(error)), cause, fix)
    };
    refusal(error).unwrap_or_else(silence)
}

/// The fault of a round trip that takes longer than a request waits.
pub(crate) fn too_slow(took: Duration) -> Option<Fault> {
    let cause =
        format!("it is far away or overloaded: requests wait {PATIENCE:?} for it, so it cannot be used");
    let what = format!("it answers after {:.1} ms", took.as_secs_f64() * 1e3);
    (took > PATIENCE).then(|| Fault::new(Code::RedisSlow, what, cause, "a Redis in the same network"))
}
