//! What the auth service's answers mean: a yes, a no in the agreed form, or no verdict.
//!
//! Whatever stands in the service's place, a load balancer say, must not turn good keys into refused ones: its pages are no
//! verdicts. Errors tell where in an answer something is, never what.

use std::num::NonZeroU32;

use actix_web::{
    http::{StatusCode, header::HeaderValue},
    web::Bytes,
};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::Value;

use super::{Named, ServiceFault};
use crate::auth::{AuthError, Principal, Rejection, Workspace};

/// The longest id of another service that is told, in characters.
const MAX_ID: usize = 64;
/// The longest user id, key id and scope of a good key, in characters, and the most scopes.
const MAX_TEXT: usize = 256;
const MAX_SCOPES: usize = 100;

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// Its content type, in our words.
    pub(crate) content: &'static str,
    /// Empty where its status says enough.
    pub(crate) body: Bytes,
    /// Its `Date`, where somebody looks at it.
    pub(crate) date: Option<HeaderValue>,
}

/// Whether a status can refuse a key, if the answer says that it does.
pub(super) fn is_refusal(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND)
}

impl Answer {
    /// Whose `key` it is, for the service that was asked about.
    pub(crate) fn verdict(
        &self,
        asked: &str,
        key: &str,
        bare_refusals: bool,
    ) -> Result<Principal, AuthError> {
        let Self { status, content, ref body, .. } = *self;
        match status {
            StatusCode::OK => self.said_in_a_200(asked, key),
            _ if !is_refusal(status) => Err(AuthError::Unavailable(ServiceFault::Status(status))),
            _ if refuses(body, bare_refusals) => Err(refused()),
            _ => Err(AuthError::Unavailable(ServiceFault::NotAgreed { status, content })),
        }
    }

    /// Only the boolean `true` is a yes, and what is not JSON is no verdict; nor is a yes for another service, by which a
    /// gateway with a wrong `service_id` would let in that service's keys.
    fn said_in_a_200(&self, asked: &str, key: &str) -> Result<Principal, AuthError> {
        let body = &*self.body;
        // Well-formed first: an answer that breaks off is an outage, one that says anything but `true` is a no.
        serde_json::from_slice::<IgnoredAny>(body).map_err(|error| {
            let (content, line, column) = (self.content, error.line(), error.column());
            AuthError::Unavailable(ServiceFault::NotJson { content, line, column })
        })?;
        // serde would also read a struct from an array.
        let is_object = body.trim_ascii_start().starts_with(b"{");
        match serde_json::from_slice::<Validity>(body) {
            Ok(Validity { is_valid: Value::Bool(true) }) if is_object => {}
            Ok(_) | Err(_) => return Err(refused()),
        }
        // A yes whose particulars cannot be read must not become one without an expiry or without scopes.
        let identity: Identity = serde_json::from_slice(body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            AuthError::Unavailable(ServiceFault::Unreadable { line, column })
        })?;
        match &identity.service_id {
            Value::Null => {}
            Value::String(answered) if answered == asked => {}
            other => {
                let (asked, answered) = (asked.to_owned(), named(other, key));
                return Err(AuthError::Unavailable(ServiceFault::OtherService { asked, answered }));
            }
        }
        Ok(identity.into())
    }

    /// Whether it speaks of a key at all.
    pub(crate) fn speaks_of_a_key(&self) -> bool {
        let said: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        said.get("is_valid").is_some()
    }
}

fn refused() -> AuthError {
    AuthError::Rejected(Rejection::ByService(None))
}

/// Whether a 401, 403 or 404 is the service's own word: a JSON object that says so. `bare`: one that says nothing, or no
/// body at all, is one too.
fn refuses(body: &[u8], bare: bool) -> bool {
    if body.trim_ascii().is_empty() {
        return bare;
    }
    let Ok(Value::Object(said)) = serde_json::from_slice(body) else { return false };
    let tells = |name| said.get(name).is_some_and(|value| !value.is_null());
    bare || said.get("is_valid") == Some(&Value::Bool(false)) || tells("error") || tells("detail")
}

/// The id of another service, if it looks like one, and not like a key that was sent back.
fn named(answered: &Value, key: &str) -> Named {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match answered.as_str() {
        Some(id)
            if (1..=MAX_ID).contains(&id.len())
                && id.bytes().all(plain)
                && !key.contains(id)
                && !id.contains(key) =>
        {
            Named::Id(id.to_owned())
        }
        _ => Named::NoId,
    }
}

/// What is read of an answer; the rest is ignored. A field given twice is an error of serde's.
#[derive(Deserialize)]
struct Validity {
    #[serde(default)]
    is_valid: Value,
}

#[derive(Deserialize)]
struct Identity {
    #[serde(default)]
    service_id: Value,
    #[serde(default, deserialize_with = "id")]
    user_id: Option<String>,
    #[serde(default, deserialize_with = "id")]
    key_id: Option<String>,
    #[serde(default, deserialize_with = "scopes")]
    scopes: Option<Vec<String>>,
    is_admin: Option<bool>,
    workspace: Option<Workspace>,
    #[serde(default, deserialize_with = "expiry")]
    expires_at: Option<Timestamp>,
    #[serde(default)]
    rate_limit_per_hour: Value,
}

/// What is remembered of a key, for as long as it is good, is of a size that can be reckoned with.
fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let id = Option::<String>::deserialize(deserializer)?;
    if id.as_deref().is_some_and(is_too_long) { Err(serde::de::Error::custom("too long")) } else { Ok(id) }
}

fn scopes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let scopes = Option::<Vec<String>>::deserialize(deserializer)?;
    let many = scopes.iter().flatten().count() > MAX_SCOPES;
    if many || scopes.iter().flatten().any(|scope| is_too_long(scope)) {
        return Err(serde::de::Error::custom("too long"));
    }
    Ok(scopes)
}

fn is_too_long(text: &str) -> bool {
    text.chars().nth(MAX_TEXT).is_some()
}

/// A limit that can be one; anything else is the settings' affair.
fn limit(value: &Value) -> Option<NonZeroU32> {
    let number = value.as_f64().filter(|number| *number >= 1.0)?;
    NonZeroU32::new(number.min(f64::from(u32::MAX)) as u32)
}

/// RFC 3339; or without an offset, as Python's `datetime.isoformat` writes a naive time, which is then UTC.
fn expiry<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let naive = || text.parse::<DateTime>()?.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp());
    text.parse().or_else(|_| naive()).map(Some).map_err(serde::de::Error::custom)
}

impl From<Identity> for Principal {
    fn from(identity: Identity) -> Self {
        Self {
            user_id: identity.user_id,
            key_id: identity.key_id,
            scopes: identity.scopes,
            is_admin: identity.is_admin.unwrap_or(false),
            workspace: identity.workspace,
            expires_at: identity.expires_at,
            rate_limit_per_hour: limit(&identity.rate_limit_per_hour),
        }
    }
}

/// Only an object whose `is_valid` is the boolean `true` is ever a yes.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    // What is ignored may be more than a Value can hold, such as 1e999.
    for status in [StatusCode::OK, StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::NOT_FOUND] {
        let body = Bytes::copy_from_slice(bytes);
        let said = Answer { status, content: "application/json", body, date: None };
        let Ok(_) = said.verdict("platform", "a-key", false) else { continue };
        assert_eq!(status, StatusCode::OK);
        let Ok(answer) = serde_json::from_slice::<Value>(bytes) else { continue };
        assert_eq!(answer["is_valid"], true);
    }
}

#[cfg(test)]
mod tests;
