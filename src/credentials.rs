//! The third step: the key of a request, and how it was sent.
//!
//! Headers count, and where there is none the sealed session of a browser (`session`): a key in a query, or as it is
//! in a cookie, is not a credential. More than one credential in headers is refused, because two programs could each use
//! another one.

mod pasted;
mod person;

use std::fmt;

use actix_web::http::{
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
    uri::PathAndQuery,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use memchr::memchr_iter;
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};

pub use pasted::{NotAKey, key_in};
pub use person::Person;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A key as a client sent it, or the person of a session. Its Debug output does not show it.
#[derive(Debug, Clone)]
pub struct Credential {
    held: Held,
    source: Source,
}

#[derive(Debug, Clone)]
enum Held {
    Key(SecretString),
    Person(Box<Person>),
}

impl Credential {
    /// The key itself: visible ASCII, 1 to 8192 bytes.
    ///
    /// # Errors
    /// It is a person, who has none.
    pub fn key(&self) -> Result<&str, &Person> {
        match &self.held {
            Held::Key(key) => Ok(key.expose_secret()),
            Held::Person(person) => Err(person),
        }
    }

    /// Whether a path and query contains the key too: clients of some providers put theirs into the query.
    pub fn is_in(&self, target: &PathAndQuery) -> bool {
        let decoded: Vec<u8> = percent_decode_str(target.as_str()).collect();
        self.key().is_ok_and(|key| memchr::memmem::find(&decoded, key.as_bytes()).is_some())
    }

    /// Of a session that began at an issuer.
    pub(crate) fn of_person(person: Person) -> Self {
        Self { held: Held::Person(Box::new(person)), source: Source::Session }
    }

    /// The key that a session carries; `None` if it cannot be one.
    pub(crate) fn of_session(key: &str) -> Option<Self> {
        let key = key_in(key.as_bytes()).ok()?;
        Some(Self { held: Held::Key(key.into()), source: Source::Session })
    }

    /// The key that a person typed or pasted.
    ///
    /// # Errors
    /// It cannot be one.
    pub(crate) fn of_login(pasted: &str) -> Result<Self, CredentialError> {
        let key =
            key_in(pasted.as_bytes()).map_err(|fault| CredentialError::Malformed(Source::Login, fault))?;
        Ok(Self { held: Held::Key(key.into()), source: Source::Login })
    }

    /// How it was sent.
    pub fn source(&self) -> Source {
        self.source
    }
}

/// How a credential was sent. Its Display explains it to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Bearer,
    Basic,
    ApiKey,
    XApiKey,
    Session,
    Login,
}

impl Source {
    /// Whether browsers add it by themselves, whatever page asks.
    pub(crate) fn is_ambient(self) -> bool {
        matches!(self, Self::Basic | Self::Session)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer => "a bearer token (MLFLOW_TRACKING_TOKEN)",
            Self::Basic => {
                "the password of a user name (MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or a \
                 credentials file of MLflow, which come before MLFLOW_TRACKING_TOKEN)"
            }
            Self::ApiKey => "`Authorization: ApiKey`",
            Self::XApiKey => "`X-API-Key`",
            Self::Session => "the session of a browser",
            Self::Login => "the login form",
        })
    }
}

/// Why a request has no usable credential. Its Display tells the client what to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    #[error("no API key was sent: set MLFLOW_TRACKING_TOKEN, or send `Authorization: Bearer KEY`")]
    Missing,
    #[error("more than one credential was sent: send the API key once, in one header")]
    Ambiguous,
    #[error("{1}; it was sent as {0}")]
    Malformed(Source, NotAKey),
    #[error(
        "the scheme of the Authorization header is not supported: use `Bearer KEY`, `Basic` with the key as the password, or \
         `ApiKey KEY`"
    )]
    UnknownScheme,
}

/// Reads the one credential of a request: `Authorization: Bearer`, `Basic` with the key as the password, or `ApiKey`, schemes
/// in any case (RFC 9110 §11.1); or `X-API-Key`.
///
/// # Errors
/// No credential, more than one, or one that cannot be a key.
pub fn extract(headers: &HeaderMap) -> Result<Credential, CredentialError> {
    let mut authorization = headers.get_all(AUTHORIZATION);
    let mut api_key = headers.get_all(X_API_KEY);
    match (authorization.next(), authorization.next(), api_key.next(), api_key.next()) {
        (None, None, None, None) => Err(CredentialError::Missing),
        (Some(value), None, None, None) => from_authorization(value),
        (None, None, Some(value), None) => credential(value.as_bytes(), Source::XApiKey),
        _ => Err(CredentialError::Ambiguous),
    }
}

fn from_authorization(value: &HeaderValue) -> Result<Credential, CredentialError> {
    let bytes = value.as_bytes().trim_ascii();
    let scheme_end = bytes.iter().position(|byte| b" \t".contains(byte)).unwrap_or(bytes.len());
    let (scheme, rest) = bytes.split_at(scheme_end);

    if scheme.eq_ignore_ascii_case(b"bearer") {
        credential(rest, Source::Bearer)
    } else if scheme.eq_ignore_ascii_case(b"apikey") {
        credential(rest, Source::ApiKey)
    } else if scheme.eq_ignore_ascii_case(b"basic") {
        let password =
            basic_password(rest).ok_or(CredentialError::Malformed(Source::Basic, NotAKey::NotBasic))?;
        credential(&password, Source::Basic)
    } else {
        Err(CredentialError::UnknownScheme)
    }
}

/// The password of `Basic` credentials (RFC 7617): everything after the first colon. The user name is ignored, and need not be
/// UTF-8: MLflow's client writes it in Latin-1.
fn basic_password(encoded: &[u8]) -> Option<Vec<u8>> {
    let decoded = BASE64_STANDARD.decode(encoded.trim_ascii()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some(decoded[colon + 1..].to_vec())
}

fn credential(pasted: &[u8], source: Source) -> Result<Credential, CredentialError> {
    let text = pasted.trim_ascii();
    let is_list = || memchr_iter(b',', text).any(|at| text.get(at + 1) == Some(&b' '));
    if source == Source::Bearer && is_list() {
        return Err(CredentialError::Ambiguous);
    }
    match key_in(pasted) {
        Ok(key) => Ok(Credential { held: Held::Key(key.into()), source }),
        Err(fault) => Err(CredentialError::Malformed(source, fault)),
    }
}

#[cfg(test)]
mod tests;
