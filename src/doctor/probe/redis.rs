//! Redis: whether it accepts the gateway, permits what the gateway does there, and is near enough.

use deadpool_redis::redis::{RedisError, Script, cmd};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    auth::{peppers, revocation},
    code::Code,
    doctor::{Endpoint, Fault, Finding, Journal, Party, clock, milliseconds, passed, speaks_tls},
    redis::{self, Needs, Redis},
    settings::{ClientTls, RedisSettings, RedisUrl},
    tls,
};

/// The marks of the peppers that instances had in the last minutes. Changes nothing.
const MARKS: &str = "
local now = tonumber(redis.call('TIME')[1])
return redis.call('ZRANGEBYSCORE', KEYS[1], now - tonumber(ARGV[1]), '+inf', 'LIMIT', 0, ARGV[2])";

/// `pepper`: where verdicts are shared, the one that all instances must have.
pub(super) async fn probe(
    settings: &RedisSettings,
    redis: &Redis,
    shares_verdicts: bool,
    pepper: Option<&SecretString>,
    journal: &mut Journal,
) {
    let Some(url) = RedisUrl::parse(settings.url.expose_secret()) else { return };
    let tls = tls::client_config(&ClientTls::default()).ok();
    let mut addresses = Vec::new();
    for (number, node) in url.nodes.iter().enumerate() {
        let name = if number == 0 { "redis".to_owned() } else { format!("redis-{}", number + 1) };
        let (host, port) = node.rsplit_once(':').unwrap_or((node, "6379"));
        let endpoint = Endpoint {
            party: Party::Redis,
            host: host.to_owned(),
            port: port.parse().unwrap_or(6379),
            tls: tls.clone().filter(|_| url.tls),
            setting: "redis.url",
            ca_setting: "SSL_CERT_FILE",
            own_address: None,
        };
        addresses.extend(endpoint.reach(journal, &name).await.into_iter().flatten());
    }
    if addresses.is_empty() {
        journal.skip("redis.authentication", "Redis cannot be reached");
        return;
    }
    let expects_tls = async {
        match &tls {
            Some(config) if !url.tls => speaks_tls(&addresses, config).await,
            _ => false,
        }
    };
    if journal.check("redis.authentication", permits(redis, shares_verdicts, expects_tls)).await.is_none() {
        return;
    }
    journal.check("redis.clock", time(redis)).await;
    if let Some(pepper) = pepper {
        journal.check("redis.pepper", no_other_pepper(redis, pepper)).await;
    }
}

async fn time(redis: &Redis) -> Finding {
    let start = Timestamp::now();
    let call = redis.call_directly(async |mut redis| cmd("TIME").query_async::<(i64, i64)>(&mut redis).await);
    let time = call.await.ok().and_then(|(seconds, _)| Timestamp::from_second(seconds).ok());
    clock::compare("Redis", time, start, clock::SERVER_TOLERANCE)
}

/// Whether all instances of the last minutes have the pepper of these settings.
async fn no_other_pepper(redis: &Redis, pepper: &SecretString) -> Finding {
    match other_peppers(redis, &peppers::mark_of(pepper)).await {
        Ok(0) => passed("no instance had another pepper in the last three minutes"),
        Ok(others) => Err(Fault::new(
            Code::PepperNotShared,
            format!("instances with {others} other than auth.pepper of these settings use this Redis"),
            "another instance was given another auth.pepper, or the pepper is being changed; or another deployment uses this \
             Redis: such instances do not read each other's verdicts, and miss each other's revocations",
            "one auth.pepper (auth.pepper_file) for all instances, and a Redis of its own for each deployment: another database of \
             the same Redis still receives the ids of revoked keys",
        )),
        Err(error) => Err(Fault::new(
            Code::RedisAcl,
            format!("the peppers of the instances cannot be read: {error}"),
            "Redis does not permit the gateway to run a script with TIME and sorted sets, or failed",
            "ACL SETUSER … ~hokusai:* &hokusai:* +@all -@dangerous -@admin",
        )),
    }
}

async fn other_peppers(redis: &Redis, mark: &str) -> Result<usize, RedisError> {
    let script = Script::new(MARKS);
    let mut call = script.key(peppers::KEY);
    call.arg(peppers::LIFETIME).arg(peppers::MOST);
    let marks: Vec<Vec<u8>> =
        redis.call_directly(async |mut redis| call.invoke_async(&mut redis).await).await?;
    Ok(marks.iter().filter(|other| **other != mark.as_bytes()).count())
}

/// Whether it accepts the password, and permits everything that the gateway does there with these settings.
async fn permits(redis: &Redis, shares_verdicts: bool, expects_tls: impl Future<Output = bool>) -> Finding {
    match redis.self_test(Needs { channel: revocation::CHANNEL, shares_verdicts }).await {
        Ok(round_trip) => {
            if let Some(fault) = redis::too_slow(round_trip) {
                return Err(fault);
            }
            let missing = if shares_verdicts { None } else { without_revocations(redis).await };
            let permitted = missing.as_deref().unwrap_or("in, write and listen");
            passed(format!("lets the gateway {permitted}; a round trip takes {}", milliseconds(round_trip)))
        }
        Err(error) => Err(match redis::refusal(&error) {
            Some(refusal) => refusal,
            None if expects_tls.await => {
                let what = format!("Redis speaks TLS: {error}");
                Fault::new(
                    Code::TlsExpected,
                    what,
                    "redis.url begins with redis://",
                    "rediss:// in redis.url",
                )
            }
            None => redis::fault(&error),
        }),
    }
}

/// What is permitted without the channel of revocations, if that is not. A gateway with a key file works without it.
async fn without_revocations(redis: &Redis) -> Option<String> {
    let error = redis.test_revocations(revocation::CHANNEL).await.err()?;
    let Fault { what, fix, .. } = redis::fault(&error);
    let code = Code::RevocationsNotReceived;
    Some(format!("in and write, but not send or receive revocations of keys ({code} {what}; {fix})"))
}
