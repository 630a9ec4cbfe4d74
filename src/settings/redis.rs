//! Redis, shared by all instances of the gateway; optional.

use std::num::NonZeroUsize;

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    reader::Reader,
    redis_url::{self, RedisUrl},
};
use crate::code::Code;

/// `[redis]`, where `redis.url` is set.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// `redis://[user[:password]@]host[:port][/database]`, or with Sentinel, a cluster, TLS: see `redis_url`.
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
        if !url.expose_secret().contains("://") {
            reader.problem(
                Code::BadValue,
                "redis.url",
                "has no scheme",
                "redis:// before it, or rediss:// for TLS",
            );
            return None;
        }
        if RedisUrl::parse(url.expose_secret()).is_none() {
            reader.problem(
                Code::BadValue,
                "redis.url",
                "has none of the forms of a Redis URL",
                redis_url::FORMS,
            );
            return None;
        }
        Some(Some(Self { url, pool_size }))
    }
}
