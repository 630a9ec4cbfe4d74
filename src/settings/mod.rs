//! The settings: `config/default.toml` < `--config FILE` < `HOKUSAI__SECTION__KEY`.
//!
//! One struct and one file for each section. All problems are collected and reported at once, each with its key, its variable and
//! what to write instead. Only the ground rooms for reading files and for codes are imported here.

mod audit;
mod auth;
mod check;
mod issuers;
mod limits;
mod live;
mod metrics;
mod mlflow;
mod policy;
mod problem;
mod reader;
mod redis;
mod redis_url;
mod risks;
mod server;
mod sources;
mod telemetry;
mod tls;
mod unread;
mod usage;
mod value;

use std::path::Path;

pub use audit::{Audit, AuditOutput, OnFailure};
pub use auth::{Auth, AuthCache, AuthKeyFile, AuthMode, AuthService, AuthSession, LastUsed};
pub(crate) use issuers::is_here;
pub use issuers::{Issuer, IssuerLogin, IssuerRule, TokenAlgorithm};
pub use limits::{Limits, Mode};
pub use live::Live;
pub use metrics::Metrics;
pub use mlflow::{DirectArtifacts, HostHeader, Mlflow, Passing, RestPrefix, UpstreamAuth};
pub use policy::{Policy, Promotion, Scope, Unowned};
pub use problem::{Problem, Problems};
pub use redis::RedisSettings;
pub(crate) use redis_url::{RedisKind, RedisUrl};
pub use server::{ForwardedHeader, Server, WebOrigin};
pub use telemetry::{LogFormat, Share, Telemetry};
pub use tls::{ClientTls, Identity};
pub use usage::{UsageMode, UsageSettings, UsageSpool};

use reader::{Noted, Reader};
use sha2::{Digest as _, Sha256};

/// All settings, typed and checked.
#[derive(Debug, Clone)]
pub struct Settings {
    pub server: Server,
    pub mlflow: Mlflow,
    pub auth: Auth,
    /// `None`: nothing is shared between instances.
    pub redis: Option<RedisSettings>,
    pub policy: Policy,
    pub limits: Limits,
    pub metrics: Metrics,
    pub audit: Audit,
    pub telemetry: Telemetry,
}

/// The result of reading settings, without opening anything that they name.
#[derive(Debug, Default)]
pub struct Examined {
    /// `None` if a value is missing or cannot be parsed.
    pub settings: Option<Settings>,
    /// The sections that are usable, even if others are not.
    pub sections: Sections,
    pub problems: Problems,
    /// Settings that work, and may not do what the operator expects.
    pub warnings: Vec<Problem>,
}

/// The usable ones of the sections that name something outside: files, servers.
#[derive(Debug, Default)]
pub struct Sections {
    pub server: Option<Server>,
    pub mlflow: Option<Mlflow>,
    pub auth: Option<Auth>,
    pub redis: Option<RedisSettings>,
    pub audit: Option<Audit>,
}

impl Settings {
    /// Reads the defaults, `file` if there is one, and `environment` (pairs as from [`std::env::vars`]).
    ///
    /// # Errors
    /// All problems at once: unknown keys, values that do not parse, required keys that are not set, and values
    /// that contradict each other.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        let Examined { settings, problems, .. } = Self::examine(file, environment);
        match settings {
            Some(settings) => problems.into_result(settings),
            None => Err(problems),
        }
    }

    /// As [`Settings::load`], with warnings; and with the settings even if there are problems, if they are complete.
    pub fn examine(file: Option<&Path>, environment: impl IntoIterator<Item = (String, String)>) -> Examined {
        let mut reader = match sources::collect(file, environment) {
            Ok(layers) => Reader::new(layers),
            Err(problems) => return Examined { problems, ..Examined::default() },
        };
        let server = Server::read(&mut reader);
        let mlflow = Mlflow::read(&mut reader);
        let auth = Auth::read(&mut reader);
        let redis = RedisSettings::read(&mut reader);
        let policy = Policy::read(&mut reader);
        let limits = Limits::read(&mut reader);
        let metrics = Metrics::read(&mut reader);
        let audit = Audit::read(&mut reader);
        let telemetry = Telemetry::read(&mut reader);
        let (mut problems, mut warnings) = reader.finish();
        if let (Ok(server), Ok(mlflow), Ok(metrics)) = (&server, &mlflow, &metrics) {
            problems.extend(check::contradictions(server, mlflow, metrics));
        }
        let sections = Sections {
            server: server.clone().ok(),
            mlflow: mlflow.clone().ok(),
            auth: auth.clone().ok(),
            redis: redis.clone().ok().flatten(),
            audit: audit.clone().ok(),
        };
        let complete = || -> Result<Self, Noted> {
            Ok(Self {
                server: server?,
                mlflow: mlflow?,
                auth: auth?,
                redis: redis?,
                policy: policy?,
                limits: limits?,
                metrics: metrics?,
                audit: audit?,
                telemetry: telemetry?,
            })
        };
        let settings = complete().ok();
        warnings.extend(settings.iter().flat_map(risks::of));
        Examined { settings, sections, problems, warnings }
    }

    /// A hash of the settings without secrets, in 16 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(format!("{self:?}"));
        hex::encode(&digest[..8])
    }

    /// Reads one section only, such as [`Auth::read`].
    ///
    /// # Errors
    /// The problems of this section.
    pub(crate) fn load_section<T>(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        read: impl FnOnce(&mut Reader) -> Result<T, Noted>,
    ) -> Result<T, Problems> {
        let mut reader = Reader::new(sources::collect(file, environment)?);
        read(&mut reader).map_err(|_| reader.into_problems())
    }
}

#[cfg(test)]
mod tests;
