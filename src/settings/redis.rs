//! Redis, shared by all instances of the gateway; optional.

use std::num::NonZeroUsize;

use secrecy::SecretString;

use super::reader::Reader;

/// `[redis]`, where `redis.url` is set.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// `redis://[user[:password]@]host[:port][/database]`, or with Sentinel, a cluster, TLS: see `redis::url`.
    pub url: SecretString,
    /// Connections of this process.
    pub pool_size: NonZeroUsize,
}

impl RedisSettings {
    #[expect(clippy::option_option, reason = "not set and not usable are two things")]
    pub(super) fn read(reader: &mut Reader) -> Option<Option<Self>> {
        let url = reader.secret("redis.url", "redis.url_file");
        let pool_size = reader.value("redis.pool_size");
        let (url, pool_size) = (url?, pool_size?);
        let Some(url) = url else { return Some(None) };
        Some(Some(Self { url, pool_size }))
    }
}
