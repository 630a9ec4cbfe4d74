//! Redis, shared by all instances of the gateway; optional.

use std::num::NonZeroUsize;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::reader::Reader;

/// `[redis]`, where `redis.url` is set.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// `redis://[user[:password]@]host[:port][/database]`
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
        let usable = Url::parse(url.expose_secret())
            .is_ok_and(|url| url.scheme() == "redis" && url.host_str().is_some_and(|host| !host.is_empty()));
        if !usable {
            let what = "is not a URL of the form redis://[user[:password]@]host[:port][/database]";
            reader.problem("redis.url", None, what, "such a URL, the scheme redis:// included");
            return None;
        }
        Some(Some(Self { url, pool_size }))
    }
}
