//! What the settings name outside themselves, opened: all that can be wrong before a socket is bound.

use crate::{
    auth::{KeyFileError, KeySource},
    http_client::{self, Tls},
    redis::{Redis, RedisUrlError},
    settings::{Problem, Problems, Settings},
    telemetry::Metrics,
};

/// What is made once and used by all.
#[derive(Debug, Clone)]
pub struct Resources {
    pub(crate) keys: KeySource,
    /// One pool for verdicts, limits and revocations.
    pub(crate) redis: Option<Redis>,
    /// Only where something is spoken to over TLS.
    pub(crate) tls: Option<Tls>,
    pub(crate) metrics: Metrics,
}

impl Resources {
    /// # Errors
    /// Everything that is missing or unreadable, each as a problem of the setting that names it.
    pub fn open(settings: &Settings) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let metrics =
            Metrics::new().map_err(|error| problem("metrics", error, "nothing: this is a defect"))?;
        let redis = settings.redis.as_ref().map(Redis::new).transpose();
        let redis = problems.note(redis.map_err(unusable_url));
        let uses_tls = settings.urls().any(|url| url.scheme() == "https");
        let tls = uses_tls.then(http_client::client_config).transpose();
        let tls = problems.note(tls.map_err(|error| {
            problem("mlflow.url", error, "http, or a machine that has the package ca-certificates")
        }));
        let keys = KeySource::open(&settings.auth, redis.clone().flatten(), &metrics);
        let keys = problems.note(keys.map_err(no_keys));
        match (keys, redis, tls) {
            (Some(keys), Some(redis), Some(tls)) => problems.into_result(Self { keys, redis, tls, metrics }),
            _ => Err(problems),
        }
    }
}

/// The problem of a key file that cannot be used.
pub(crate) fn no_keys(error: KeyFileError) -> Problem {
    Problem {
        key: "auth.key_file.path".to_owned(),
        found: Some(error.path.display().to_string()),
        what: error.problems.join("\n    "),
        fix: "a file with keys: `hokusai-gateway keys create --user NAME` makes it".to_owned(),
    }
}

fn unusable_url(error: RedisUrlError) -> Problem {
    problem("redis.url", error, "a URL that the Redis client understands")
}

fn problem(key: &str, error: impl std::fmt::Display, fix: &str) -> Problem {
    Problem { key: key.to_owned(), found: None, what: error.to_string(), fix: fix.to_owned() }
}
