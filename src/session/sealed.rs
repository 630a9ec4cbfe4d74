//! The cookie of a session: what is in it, and who reads it.

use std::time::Duration;

use actix_web::{
    cookie::Cookie,
    http::header::{COOKIE, HeaderMap, HeaderValue},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    attempt, browser,
    seal::{self, Name, Seal},
};
use crate::{
    client_ip::Client,
    credentials::{Credential, Person},
    settings::Auth,
};

const NAME: Name = Name { over_tls: "__Host-hokusai", on_loopback: "hokusai" };

/// Seals sessions, and opens them.
#[derive(Clone)]
pub struct Sessions {
    pub(super) seal: Seal,
    lifetime: Duration,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Session {
    Key {
        key: String,
        /// In seconds since 1970; browsers are told it too, but may not be believed.
        ends: i64,
    },
    Person(Person),
}

/// What a request carries of a session.
#[derive(Debug)]
pub(crate) enum Carried {
    Nothing,
    /// A cookie that does not open: cut, forged, or sealed under a secret that is gone.
    Broken,
    Ended,
    Key(Credential),
    Person(Person),
}

/// Why there is no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotSealed {
    #[error("browsers keep no cookie as long as this API key: use it in programs")]
    TooLong,
    #[error(
        "browsers keep no cookie as long as what the gateway's rules have to know of you: ask its operator for rules on fewer or \
         shorter claims"
    )]
    TooMuchOfPerson,
    #[error("this page was opened over plain HTTP, which others can read: open it at its https address")]
    Readable,
}

impl Sessions {
    /// `None` where nobody may log in.
    pub(crate) fn new(settings: &Auth) -> Option<Self> {
        let lifetime = settings.session.lifetime;
        (!lifetime.is_zero()).then(|| Self { seal: Seal::new(settings), lifetime })
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
        self.must_be_unreadable(client, headers)?;
        let session = Session::Key { key: key.to_owned(), ends: self.end() };
        self.seal.seal(NAME, client, &session, self.seconds()).ok_or(NotSealed::TooLong)
    }

    /// The cookie that carries a person until her session ends. What she is asked for again by is left out where it does not fit.
    ///
    /// # Errors
    /// Why it must not, or cannot.
    pub(crate) fn seal_person(
        &self,
        person: Person,
        client: Client,
        headers: &HeaderMap,
    ) -> Result<Cookie<'static>, NotSealed> {
        self.must_be_unreadable(client, headers)?;
        self.renew(person, client)
    }

    /// The same for one whose session was read from the request.
    ///
    /// # Errors
    /// It has grown too long.
    pub(crate) fn renew(&self, mut person: Person, client: Client) -> Result<Cookie<'static>, NotSealed> {
        let left = person.ends.saturating_sub(Timestamp::now().as_second());
        let seal = |person: Person| self.seal.seal(NAME, client, &Session::Person(person), left);
        seal(person.clone())
            .or_else(|| {
                person.refresh = None;
                seal(person)
            })
            .ok_or(NotSealed::TooMuchOfPerson)
    }

    /// When a session that begins now ends, in seconds since 1970.
    pub(crate) fn end(&self) -> i64 {
        Timestamp::now().as_second().saturating_add(self.seconds())
    }

    fn seconds(&self) -> i64 {
        i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX)
    }

    /// Reads the session in a request's cookies.
    pub(crate) fn read(&self, client: Client, headers: &HeaderMap) -> Carried {
        let name = NAME.at(client);
        if self.must_be_unreadable(client, headers).is_err() {
            return Carried::Nothing;
        }
        let session = match only_cookie(headers, name) {
            None => return Carried::Nothing,
            Some(value) => value.ok().and_then(|value| self.seal.open(name, value)),
        };
        let now = Timestamp::now().as_second();
        match session {
            None => Carried::Broken,
            Some(Session::Key { ends, .. } | Session::Person(Person { ends, .. })) if ends <= now => {
                Carried::Ended
            }
            Some(Session::Key { key, .. }) => {
                Credential::of_session(&key).map_or(Carried::Broken, Carried::Key)
            }
            Some(Session::Person(person)) => Carried::Person(person),
        }
    }

    pub(super) fn must_be_unreadable(&self, client: Client, headers: &HeaderMap) -> Result<(), NotSealed> {
        if client.secure || browser::is_at_loopback(headers) { Ok(()) } else { Err(NotSealed::Readable) }
    }
}

/// The cookie that makes a browser forget the session.
pub(crate) fn removal(client: Client) -> Cookie<'static> {
    seal::removal(NAME, client)
}

/// Two cookies of one name.
pub(super) struct Several;

/// The value of the cookie of this name.
///
/// # Errors
/// There are several: only a page that may set this host's cookies could have added one.
pub(super) fn only_cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<Result<&'a [u8], Several>> {
    let mut found = cookies(headers).filter(|(named, _)| *named == name.as_bytes());
    let (_, value) = found.next()?;
    Some(if found.next().is_none() { Ok(value) } else { Err(Several) })
}

/// Whether a cookie of this name passes neither to MLflow nor from it: one of the gateway's, or one of those that MLflow's page makes
/// headers of (`getDefaultHeadersFromCookies` in its sources), which say nothing that a server may believe.
pub(crate) fn is_ours(name: &[u8]) -> bool {
    let ours = [NAME, attempt::NAME].map(|name| [name.over_tls, name.on_loopback]);
    ours.as_flattened().iter().any(|ours| ours.as_bytes() == name)
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
