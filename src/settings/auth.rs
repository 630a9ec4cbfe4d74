//! The verification of keys.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{
    Issuer, UsageSettings,
    reader::{Noted, Reader},
    tls::ClientTls,
    value::{FromText, OrZero, section, words},
};
use crate::code::Code;

/// `[auth]`
#[derive(Debug, Clone)]
pub struct Auth {
    pub mode: AuthMode,
    pub cache: AuthCache,
    /// The secret for the fingerprints of cached verdicts; `None`: a random one for each process.
    pub pepper: Option<SecretString>,
    pub session: AuthSession,
    pub issuers: Vec<Issuer>,
}

/// `[auth.session]`: people in browsers.
#[derive(Debug, Clone)]
pub struct AuthSession {
    /// What the cookies of sessions are sealed with; the first seals, all open. None: a random one for each process.
    pub secrets: Vec<SecretString>,
    /// How long a session lasts; zero: nobody can log in.
    pub lifetime: Duration,
}

/// `[auth.cache]`: the cache of the auth service's verdicts.
#[derive(Debug, Clone)]
pub struct AuthCache {
    /// How long an accepted key is used without another call.
    pub ttl: Duration,
    /// How long a rejection is cached; 2 s at most, so that a new key soon works.
    pub negative_ttl: Duration,
    /// How long after `ttl` a key still works while the auth service is unavailable; zero: not at all.
    pub stale_ttl: Duration,
    /// How many keys are cached.
    pub capacity: NonZeroUsize,
}

/// The shortest pepper, in bytes.
const MIN_PEPPER: usize = 16;
/// The shortest secret for sessions, in bytes: of fewer the cookie crate derives no key.
const MIN_SESSION_SECRET: usize = 32;
/// The longest negative_ttl.
const MAX_NEGATIVE_TTL: Duration = Duration::from_secs(2);

/// The verifier, with what it needs.
#[derive(Debug, Clone)]
pub enum AuthMode {
    KeyFile(AuthKeyFile),
    Service(Box<AuthService>),
}

/// `[auth.key_file]`
#[derive(Debug, Clone)]
pub struct AuthKeyFile {
    pub path: PathBuf,
    pub last_used: LastUsed,
}

/// The file of the last use of each key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LastUsed {
    Off,
    /// Beside the key file, if its folder is writable.
    Beside,
    File(PathBuf),
}

impl LastUsed {
    /// The path for a key file.
    pub fn file(&self, key_file: &Path) -> Option<PathBuf> {
        match self {
            Self::Off => None,
            Self::Beside => Some(key_file.with_extension("last-used.toml")),
            Self::File(path) => Some(path.clone()),
        }
    }
}

impl FromText for LastUsed {
    const FORM: &'static str =
        "beside, off, or the path of a file such as /var/lib/hokusai/keys.last-used.toml";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        Ok(match text {
            "off" => Self::Off,
            "beside" => Self::Beside,
            path if path.contains('/') => Self::File(path.into()),
            _ => return Err("is not a path with a slash in it"),
        })
    }
}

/// `[auth.service]`
#[derive(Debug, Clone)]
pub struct AuthService {
    /// Base address; `/api/v1/keys/validate` is appended to its path.
    pub url: Url,
    /// The id of the service that keys must be valid for.
    pub service_id: String,
    /// For an https address.
    pub tls: ClientTls,
    /// Time for one validation in all.
    pub timeout: Duration,
    /// The most validations in flight.
    pub max_in_flight: NonZeroUsize,
    /// The most validations in a second.
    pub max_per_second: NonZeroUsize,
    /// Whether a 401, 403 or 404 without the agreed fields rejects a key too.
    pub bare_refusals: bool,
    pub usage: UsageSettings,
    /// The most rejected keys from one client address in a minute.
    pub failures_per_minute: NonZeroUsize,
}

words! {
    enum VerifierKind {
        KeyFile = "key_file",
        Service = "service",
    }
}

impl Auth {
    /// The auth service, if it verifies the keys.
    pub fn service(&self) -> Option<&AuthService> {
        match &self.mode {
            AuthMode::Service(service) => Some(service),
            AuthMode::KeyFile(_) => None,
        }
    }

    pub(crate) fn read(reader: &mut Reader) -> Result<Self, Noted> {
        let mode = reader.optional::<VerifierKind>("auth.mode");
        let key_file = AuthKeyFile::read(reader);
        let url = reader.optional::<Url>("auth.service.url");
        let service_id = reader.value("auth.service.service_id");
        let tls =
            ClientTls::read(reader, ["auth.service.tls.ca", "auth.service.tls.cert", "auth.service.tls.key"]);
        let timeout = reader.value("auth.service.timeout");
        let max_in_flight = reader.value("auth.service.max_in_flight");
        let max_per_second = reader.value("auth.service.max_per_second");
        let bare_refusals = reader.value("auth.service.bare_refusals");
        let usage = UsageSettings::read(reader);
        let failures_per_minute = reader.value("auth.service.failures_per_minute");
        let cache = AuthCache::read(reader);
        let pepper = reader.secret("auth.pepper", "auth.pepper_file");
        if let Ok(Some(pepper)) = &pepper
            && pepper.expose_secret().len() < MIN_PEPPER
        {
            let (what, fix) = ("is shorter than 16 characters", "a long random text");
            reader.problem(Code::InvalidValue, "auth.pepper", what, fix);
        }

        let session = AuthSession::read(reader);
        let issuers = Issuer::read_all(reader);

        let (mode, url, key_file) = (mode?, url?, key_file?);
        if matches!((mode, &url), (Some(VerifierKind::KeyFile), Some(_))) {
            let what = "is not used: with auth.mode = \"key_file\" the service is not called";
            reader.warn(Code::NoEffect, "auth.service.url", what, "nothing, or auth.mode = \"service\"");
        }
        let mode = match (mode, url) {
            (None, None) | (Some(VerifierKind::KeyFile), _) => AuthMode::KeyFile(key_file),
            (Some(VerifierKind::Service) | None, Some(url)) => AuthMode::Service(Box::new(AuthService {
                url,
                service_id: service_id?,
                tls: tls?,
                timeout: timeout?,
                max_in_flight: max_in_flight?,
                max_per_second: max_per_second?,
                bare_refusals: bare_refusals?,
                usage: usage?,
                failures_per_minute: failures_per_minute?,
            })),
            (Some(VerifierKind::Service), None) => {
                let what = "is required by auth.mode = \"service\" and not set";
                let fix = "the base address of the auth service";
                return Err(reader.problem(Code::MissingSetting, "auth.service.url", what, fix));
            }
        };
        Ok(Self { mode, cache: cache?, pepper: pepper?, session: session?, issuers: issuers? })
    }
}

impl AuthKeyFile {
    fn read(reader: &mut Reader) -> Result<Self, Noted> {
        section!(Self {
            path: reader.value("auth.key_file.path"),
            last_used: reader.value("auth.key_file.last_used"),
        })
    }
}

impl AuthCache {
    fn read(reader: &mut Reader) -> Result<Self, Noted> {
        section!(Self {
            ttl: reader.value("auth.cache.ttl"),
            negative_ttl: negative_ttl(reader),
            stale_ttl: reader.value::<OrZero>("auth.cache.stale_ttl").map(|ttl| ttl.0),
            capacity: reader.value("auth.cache.capacity"),
        })
    }
}

impl AuthSession {
    fn read(reader: &mut Reader) -> Result<Self, Noted> {
        let secrets = reader.secrets("auth.session.secret", "auth.session.secret_file");
        if let Ok(secrets) = &secrets
            && secrets.iter().any(|secret| secret.expose_secret().len() < MIN_SESSION_SECRET)
        {
            let (what, fix) = ("is shorter than 32 characters", "a long random text: openssl rand -hex 32");
            reader.problem(Code::InvalidValue, "auth.session.secret", what, fix);
        }
        let lifetime = reader.value::<OrZero>("auth.session.lifetime").map(|lifetime| lifetime.0);
        if lifetime.as_ref().is_ok_and(|lifetime| !lifetime.is_zero() && lifetime.as_secs() == 0) {
            // Browsers count in seconds.
            let what = "is shorter than 1s: a session would end as it begins";
            reader.problem(
                Code::InvalidValue,
                "auth.session.lifetime",
                what,
                "1s or more, or 0s for no login",
            );
        }
        Ok(Self { secrets: secrets?, lifetime: lifetime? })
    }
}

fn negative_ttl(reader: &mut Reader) -> Result<Duration, Noted> {
    let ttl = reader.value("auth.cache.negative_ttl")?;
    if ttl > MAX_NEGATIVE_TTL {
        let what = "is longer than 2s: a new key could be rejected for that long";
        reader.problem(Code::InvalidValue, "auth.cache.negative_ttl", what, "2s or less");
    }
    Ok(ttl)
}
