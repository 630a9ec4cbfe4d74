//! The cookie of a session: what is in it, and its seal (AES-256-GCM with the cookie's name, by the cookie crate's private jar).

use std::time::Duration;

use actix_web::{
    cookie::{Cookie, CookieJar, Key, SameSite, time},
    http::header::{COOKIE, HeaderMap, HeaderValue},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::browser;
use crate::{
    client_ip::Client,
    credentials::Credential,
    settings::{Auth, AuthSession},
};

/// Browsers accept it only over TLS, for this host alone and from this host alone (draft-ietf-httpbis-rfc6265bis §4.1.3.2).
const OVER_TLS: &str = "__Host-hokusai";
/// Over plain HTTP, which is for this machine alone.
const ON_LOOPBACK: &str = "hokusai";
/// The longest name and value that browsers keep (RFC 6265 §6.1).
const LONGEST: usize = 4096;

/// Seals sessions, and opens them.
#[derive(Clone)]
pub struct Sessions {
    /// The first seals.
    keys: Vec<Key>,
    lifetime: Duration,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Session {
    key: String,
    /// In seconds since 1970; browsers are told it too, but may not be believed.
    ends: i64,
}

/// What a request carries of a session.
#[derive(Debug)]
pub(crate) enum Carried {
    Nothing,
    /// A cookie that does not open: cut, forged, or sealed under a secret that is gone.
    Broken,
    Ended,
    Key(Credential),
}

/// Why a key gets no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotSealed {
    #[error("browsers keep no cookie as long as this API key: use it in programs")]
    TooLong,
    #[error("this page was opened over plain HTTP, which others can read: open it at its https address")]
    Readable,
}

impl Sessions {
    /// `None` where nobody may log in.
    pub(crate) fn new(settings: &Auth) -> Option<Self> {
        let AuthSession { secrets, lifetime } = &settings.session;
        let secrets = secrets.iter().map(|secret| Key::derive_from(secret.expose_secret().as_bytes()));
        let mut keys: Vec<_> = secrets.collect();
        if keys.is_empty() {
            keys.push(settings.pepper.as_ref().map_or_else(Key::generate, of_pepper));
        }
        (!lifetime.is_zero()).then_some(Self { keys, lifetime: *lifetime })
    }

    /// The cookie that carries a key from now on.
    ///
    /// # Errors
    /// Why it must not, or cannot.
    pub(crate) fn seal(
        &self,
        key: &str,
        client: Client,
        headers: &HeaderMap,
    ) -> Result<Cookie<'static>, NotSealed> {
        if !client.secure && !browser::is_at_loopback(headers) {
            return Err(NotSealed::Readable);
        }
        let ends = Timestamp::now().as_second().saturating_add_unsigned(self.lifetime.as_secs());
        let session = Session { key: key.to_owned(), ends };
        let text = serde_json::to_string(&session).map_err(|_| NotSealed::TooLong)?;
        let (name, mut jar) = (name(client), CookieJar::new());
        jar.private_mut(&self.keys[0]).add(Cookie::new(name, text));
        let sealed = jar.get(name).ok_or(NotSealed::TooLong)?.value().to_owned();
        if name.len() + sealed.len() > LONGEST {
            return Err(NotSealed::TooLong);
        }
        let lifetime = i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX);
        Ok(cookie(client, sealed, time::Duration::seconds(lifetime)))
    }

    /// Reads the session in a request's cookies.
    pub(crate) fn read(&self, client: Client, headers: &HeaderMap) -> Carried {
        let name = name(client);
        if !client.secure && !browser::is_at_loopback(headers) {
            return Carried::Nothing;
        }
        let mut sealed = cookies(headers).filter(|(named, _)| *named == name.as_bytes());
        let session = match (sealed.next(), sealed.next()) {
            (None, _) => return Carried::Nothing,
            (Some((_, value)), None) => self.open(name, value),
            // Only a page that may set this host's cookies could have added one.
            (Some(_), Some(_)) => None,
        };
        let Some(Session { key, ends }) = session else { return Carried::Broken };
        if ends <= Timestamp::now().as_second() {
            return Carried::Ended;
        }
        Credential::of_session(&key).map_or(Carried::Broken, Carried::Key)
    }

    fn open(&self, name: &'static str, sealed: &[u8]) -> Option<Session> {
        let (jar, sealed) = (CookieJar::new(), str::from_utf8(sealed).ok()?);
        let cookie = || Cookie::new(name, sealed.to_owned());
        let opened = self.keys.iter().find_map(|key| jar.private(key).decrypt(cookie()))?;
        serde_json::from_str(opened.value()).ok()
    }
}

/// Instances that share a pepper share sessions, too.
fn of_pepper(pepper: &SecretString) -> Key {
    let mac = Hmac::<Sha256>::new_from_slice(pepper.expose_secret().as_bytes());
    let secret = mac.map(|mac| mac.chain_update("hokusai-gateway: sessions").finalize().into_bytes());
    secret.map_or_else(|_| Key::generate(), |secret| Key::derive_from(&secret))
}

/// The cookie that makes a browser forget the session.
pub(crate) fn removal(client: Client) -> Cookie<'static> {
    cookie(client, String::new(), time::Duration::ZERO)
}

fn cookie(client: Client, value: String, max_age: time::Duration) -> Cookie<'static> {
    // With Lax a link from elsewhere opens the page, and a form from elsewhere has no session.
    Cookie::build(name(client), value)
        .path("/")
        .secure(client.secure)
        .http_only(true)
        .same_site(SameSite::Lax)
        .max_age(max_age)
        .finish()
}

fn name(client: Client) -> &'static str {
    if client.secure { OVER_TLS } else { ON_LOOPBACK }
}

/// Whether a cookie of this name passes neither to MLflow nor from it: a session's, or one of those that MLflow's page makes headers
/// of (`getDefaultHeadersFromCookies` in its sources), which say nothing that a server may believe.
pub(crate) fn is_ours(name: &[u8]) -> bool {
    [OVER_TLS, ON_LOOPBACK].iter().any(|ours| ours.as_bytes() == name)
        || name.starts_with(b"mlflow-request-header-")
}

/// A `Cookie` line without [those](is_ours); `None`: nothing is left.
pub(crate) fn not_ours(line: &HeaderValue) -> Option<HeaderValue> {
    let others: Vec<_> = pairs(line).filter(|pair| !is_ours(named(pair).0)).collect();
    HeaderValue::from_bytes(&others.join(&b"; "[..])).ok().filter(|others| !others.is_empty())
}

/// Names and values of a request's cookies.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    headers.get_all(COOKIE).flat_map(pairs).map(named)
}

/// The cookies of a line (RFC 6265 §5.4), in bytes: neighbouring sites set what they like beside ours, and browsers keep it.
fn pairs(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    line.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii)
}

/// The name and the value of a cookie. White space around a name is no part of it for MLflow's server (`str.strip` of Latin-1).
pub(crate) fn named(pair: &[u8]) -> (&[u8], &[u8]) {
    let (name, value) = pair.split_at(memchr::memchr(b'=', pair).unwrap_or(pair.len()));
    let is_part = |byte: &u8| !char::from(*byte).is_whitespace();
    let begin = name.iter().position(is_part).unwrap_or(name.len());
    let end = name.iter().rposition(is_part).map_or(begin, |last| last + 1);
    (&name[begin..end], value.get(1..).unwrap_or_default())
}

#[cfg(test)]
mod tests;
