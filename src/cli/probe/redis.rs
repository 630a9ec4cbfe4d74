//! Redis: whether it lets the gateway in, and write, and is near enough.

use std::time::Duration;

use deadpool_redis::redis::ErrorKind;
use secrecy::ExposeSecret as _;

use super::super::diagnosis::{Fault, Finding, Journal, Party, Place, speaks_tls};
use crate::{
    auth::revocation,
    code::Code,
    redis::{PATIENCE, Redis},
    settings::{ClientTls, RedisSettings, RedisUrl},
    tls,
};

const WRITTEN_AS: &str = "redis.url";

pub(super) async fn probe(settings: &RedisSettings, redis: &Redis, journal: &mut Journal) {
    let Some(url) = RedisUrl::parse(settings.url.expose_secret()) else { return };
    let machines = tls::client_config(&ClientTls::default()).ok();
    let mut reached = false;
    let mut addresses = Vec::new();
    for (number, node) in url.nodes.iter().enumerate() {
        let name = if number == 0 { "redis".to_owned() } else { format!("redis-{}", number + 1) };
        let (host, port) = node.rsplit_once(':').unwrap_or((node, "6379"));
        let place = Place {
            party: Party::Redis,
            host: host.to_owned(),
            port: port.parse().unwrap_or(6379),
            tls: machines.clone().filter(|_| url.tls),
            written_as: WRITTEN_AS,
            ca_written_as: "SSL_CERT_FILE",
            not_at: None,
        };
        if let Some(found) = place.reach(journal, &name).await {
            reached = true;
            addresses.extend(found);
        }
    }
    if !reached {
        journal.skip("redis.authentication", "it cannot be reached");
        return;
    }
    let wants_tls = async {
        match &machines {
            Some(config) if !url.tls => speaks_tls(&addresses, config).await,
            _ => false,
        }
    };
    journal.check("redis.authentication", lets_in(redis, wants_tls)).await;
}

/// Whether it takes the password, and the gateway may write what it writes.
async fn lets_in(redis: &Redis, wants_tls: impl Future<Output = bool>) -> Finding {
    let error = match redis.try_out(revocation::CHANNEL).await {
        Ok(took) if took > PATIENCE => {
            return Err(Fault::new(
                Code::RedisSlow,
                format!("it answers after {took:?}"),
                format!(
                    "it is far away, or busy: no request waits longer than {PATIENCE:?} for it, so it is of no use"
                ),
                "a Redis in the same network",
            ));
        }
        Ok(took) => {
            return Ok((
                (),
                format!("lets the gateway in, write and listen; a round trip takes {}", short(took)),
            ));
        }
        Err(error) => error,
    };
    let wrong_name = error.kind() == ErrorKind::MasterNameNotFoundBySentinel;
    let (code, what, cause, fix) = match error.code() {
        Some("NOAUTH") => (
            Code::RedisPassword,
            "wants a password",
            "redis.url has no password",
            "redis://:PASSWORD@host:port, in a file that HOKUSAI__REDIS__URL_FILE names",
        ),
        Some("NOPERM") => (
            Code::RedisAcl,
            "does not let this user do what the gateway does",
            "the user's ACL is too narrow",
            "ACL SETUSER … ~hokusai:* &hokusai:* +@all -@dangerous -@admin",
        ),
        Some("READONLY") => (
            Code::RedisReplica,
            "is a replica, and takes no writes",
            "redis.url names a replica",
            "the master's address, or redis+sentinel://…",
        ),
        Some("OOM") => (
            Code::RedisFull,
            "is full",
            "its maxmemory is used up, and its policy evicts nothing",
            "maxmemory-policy allkeys-lru",
        ),
        Some("WRONGPASS") => WRONG_PASSWORD,
        _ if error.kind() == ErrorKind::AuthenticationFailed => WRONG_PASSWORD,
        _ if wrong_name => (
            Code::SentinelMaster,
            "Sentinel knows no such master",
            "the name behind the slash of redis.url is not the one that it watches",
            "the name as SENTINEL MASTERS tells it",
        ),
        Some(_) => (
            Code::RedisKind,
            "refuses",
            "redis.url does not fit this Redis: its database, or its kind (single, Sentinel, cluster)",
            "redis-cli -u with the same URL shows the same",
        ),
        None if wants_tls.await => {
            (Code::TlsExpected, "speaks TLS", "redis.url begins with redis://", "rediss:// in redis.url")
        }
        None => (
            Code::RedisKind,
            "gives no answer that makes sense",
            "it hangs, it is no Redis, or one of another kind (single, Sentinel, cluster) than redis.url says; or it has no \
             password, and its protected mode lets in nobody from other machines",
            "redis-cli -u with the same URL shows what it says",
        ),
    };
    Err(Fault::new(code, format!("Redis {what}: {error}"), cause, fix))
}

const WRONG_PASSWORD: (Code, &str, &str, &str) = (
    Code::RedisPassword,
    "refuses the password",
    "the password or the user in redis.url is not that of this Redis",
    "the user and the password as ACL LIST has them",
);

fn short(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1e3)
}
