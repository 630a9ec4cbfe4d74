//! Redis: whether it lets the gateway in, and write, and is near enough.

use std::time::Duration;

use deadpool_redis::redis::{RedisError, cmd};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;

use crate::{
    auth::{CachingVerifier, peppers, revocation},
    code::Code,
    doctor::{Fault, Finding, Journal, Party, Place, clock, speaks_tls},
    redis::{self, Needs, Redis},
    settings::{ClientTls, RedisSettings, RedisUrl},
    tls,
};

const WRITTEN_AS: &str = "redis.url";

pub(super) async fn probe(
    settings: &RedisSettings,
    redis: &Redis,
    verifier: Option<&CachingVerifier>,
    journal: &mut Journal,
) {
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
    if journal.check("redis.authentication", lets_in(redis, verifier.is_some(), wants_tls)).await.is_none() {
        return;
    }
    journal.check("redis.clock", time(redis)).await;
    let others = match verifier {
        Some(verifier) => peppers::others(verifier).await,
        None => None,
    };
    if let Some(others) = others {
        journal.check("redis.pepper", async { one_pepper(others) }).await;
    }
}

async fn time(redis: &Redis) -> Finding {
    let began = Timestamp::now();
    let asked = redis
        .call_directly(|mut redis| async move { cmd("TIME").query_async::<(i64, i64)>(&mut redis).await });
    let theirs = asked.await.ok().and_then(|(seconds, _)| Timestamp::from_second(seconds).ok());
    let exchange = clock::Exchange { began, ended: Timestamp::now() };
    clock::compare("Redis", theirs, exchange, clock::TOGETHER)
}

/// Whether all instances that were here in the last minutes have the pepper of these settings.
fn one_pepper(others: Result<usize, RedisError>) -> Finding {
    match others {
        Ok(0) => Ok(((), "no instance with another pepper was here in the last three minutes".to_owned())),
        Ok(others) => Err(Fault::new(
            Code::PepperNotShared,
            format!("{others} other than auth.pepper of these settings: instances with it share this Redis"),
            "another instance was given another auth.pepper, or the pepper is being changed; or another deployment uses this \
             Redis: neither reads the verdicts of the other, nor hears which keys were revoked before it looked",
            "one auth.pepper (auth.pepper_file) for all instances, and a Redis of its own for each deployment: to another database of \
             it the ids of revoked keys go as well",
        )),
        Err(error) => Err(Fault::new(
            Code::RedisAcl,
            format!("it cannot be seen which peppers the instances have: {error}"),
            "Redis does not let the gateway run a script with TIME and sorted sets, or failed",
            "ACL SETUSER … ~hokusai:* &hokusai:* +@all -@dangerous -@admin",
        )),
    }
}

/// Whether it takes the password, and the gateway may do what it does with these settings.
async fn lets_in(redis: &Redis, shares_verdicts: bool, wants_tls: impl Future<Output = bool>) -> Finding {
    let error = match redis.self_test(Needs { channel: revocation::CHANNEL, shares_verdicts }).await {
        Ok(took) => {
            if let Some(slow) = redis::too_slow(took) {
                return Err(slow);
            }
            let unheard = if shares_verdicts { None } else { unheard(redis).await };
            let may = unheard.as_deref().unwrap_or("in, write and listen");
            return Ok(((), format!("lets the gateway {may}; a round trip takes {}", short(took))));
        }
        Err(error) => error,
    };
    let fault = match redis::refusal(&error) {
        None if wants_tls.await => {
            let what = format!("Redis speaks TLS: {error}");
            Fault::new(Code::TlsExpected, what, "redis.url begins with redis://", "rediss:// in redis.url")
        }
        told => told.unwrap_or_else(|| redis::fault(&error)),
    };
    Err(fault)
}

/// What it may where it may not hear and tell of revocations; a gateway with a key file goes on without.
async fn unheard(redis: &Redis) -> Option<String> {
    let error = redis.test_revocations(revocation::CHANNEL).await.err()?;
    let Fault { what, fix, .. } = redis::fault(&error);
    let code = Code::RevocationsUnheard;
    Some(format!("in and write, but not hear or tell which keys are revoked ({code} {what}; {fix})"))
}

fn short(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1e3)
}
