//! Redis, shared by all instances of the gateway; optional.

use std::num::NonZeroUsize;

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    reader::{Noted, Reader},
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
    pub(crate) fn read(reader: &mut Reader) -> Result<Option<Self>, Noted> {
        let url = reader.secret("redis.url", "redis.url_file");
        let pool_size = reader.value("redis.pool_size");
        let (url, pool_size) = (url?, pool_size?);
        let Some(url) = url else { return Ok(None) };
        if !url.expose_secret().contains("://") {
            let fix = "redis:// before it, or rediss:// for TLS";
            return Err(reader.problem(Code::InvalidValue, "redis.url", "has no scheme", fix));
        }
        if RedisUrl::parse(url.expose_secret()).is_none() {
            let what = "has none of the forms of a Redis URL";
            return Err(reader.problem(Code::InvalidValue, "redis.url", what, redis_url::FORMS));
        }
        Ok(Some(Self { url, pool_size }))
    }
}
