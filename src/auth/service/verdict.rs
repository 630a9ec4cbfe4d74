//! The meaning of the auth service's answers: acceptance, rejection in the agreed form, or no verdict.
//!
//! A load balancer's page in the service's place is no verdict, so that it cannot reject good keys. Errors name a position in
//! the answer, never its text.

use std::num::NonZeroU32;

use actix_web::{http::StatusCode, web::Bytes};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::Value;

use super::{OtherServiceId, ServiceFault};
use crate::auth::{AuthError, Fence, Globs, Principal, Rejection, Workspace};

/// The longest id of another service that is logged, in characters.
const MAX_ID: usize = 64;
/// The longest user id, key id and scope that are accepted, in characters, and the most scopes.
const MAX_TEXT: usize = 256;
const MAX_SCOPES: usize = 100;

/// A response of the service.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The content type, in the gateway's own words.
    pub(crate) content: &'static str,
    /// Empty where the status is enough.
    pub(crate) body: Bytes,
}

/// Whether an answer with this status may reject a key.
pub(super) fn is_refusal(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND)
}

impl Answer {
    /// The owner of `key`, as a key for the service `asked`.
    pub(crate) fn verdict(
        &self,
        asked: &str,
        key: &str,
        bare_refusals: bool,
    ) -> Result<Principal, AuthError> {
        let Self { status, content, ref body, .. } = *self;
        match status {
            StatusCode::OK => self.parse_ok(asked, key),
            _ if !is_refusal(status) => Err(AuthError::Unavailable(ServiceFault::Status(status))),
            _ if refuses(body, bare_refusals) => Err(refused()),
            _ => Err(AuthError::Unavailable(ServiceFault::NotAgreed { status, content })),
        }
    }

    /// Only the boolean `true` accepts a key. What is not JSON is no verdict, nor is acceptance for another service: a gateway
    /// with a wrong `service_id` would let in that service's keys.
    fn parse_ok(&self, asked: &str, key: &str) -> Result<Principal, AuthError> {
        let body = &*self.body;
        // Well-formed first: a truncated answer is an outage; `is_valid` other than `true` is a rejection.
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
        // A key must not lose its expiry or its scopes because they cannot be read.
        let identity: Identity = serde_json::from_slice(body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            AuthError::Unavailable(ServiceFault::Unreadable { line, column })
        })?;
        match &identity.service_id {
            Value::Null => {}
            Value::String(answered) if answered == asked => {}
            other => {
                let (asked, answered) = (asked.to_owned(), other_service_id(other, key));
                return Err(AuthError::Unavailable(ServiceFault::OtherService { asked, answered }));
            }
        }
        Ok(identity.into())
    }
}

fn refused() -> AuthError {
    AuthError::Rejected(Rejection::ByService(None))
}

/// Whether the body of a 401, 403 or 404 rejects the key in the agreed form: a JSON object that says so. With `bare`, an object
/// without these fields, or no body, does so too.
fn refuses(body: &[u8], bare: bool) -> bool {
    if body.trim_ascii().is_empty() {
        return bare;
    }
    let Ok(Value::Object(object)) = serde_json::from_slice(body) else { return false };
    let has = |name| object.get(name).is_some_and(|value| !value.is_null());
    bare || object.get("is_valid") == Some(&Value::Bool(false)) || has("error") || has("detail")
}

/// The id of another service, if it has the form of an id and is not the key itself.
fn other_service_id(answered: &Value, key: &str) -> OtherServiceId {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match answered.as_str() {
        Some(id)
            if (1..=MAX_ID).contains(&id.len())
                && id.bytes().all(plain)
                && !key.contains(id)
                && !id.contains(key) =>
        {
            OtherServiceId::Valid(id.to_owned())
        }
        _ => OtherServiceId::Invalid,
    }
}

/// The fields that are read of an answer. A field that is there twice is an error.
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
    models: Option<Globs>,
    experiments: Option<Globs>,
    #[serde(default, deserialize_with = "expiry")]
    expires_at: Option<Timestamp>,
    #[serde(default)]
    rate_limit_per_hour: Value,
    #[serde(default)]
    concurrent: Value,
    #[serde(default)]
    creates_per_hour: Value,
}

/// Limited, so that the memory of the cache is bounded. An empty one is none: nobody could own things by it.
fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let id = Option::<String>::deserialize(deserializer)?;
    if id.as_deref().is_some_and(is_too_long) {
        return Err(serde::de::Error::custom("too long"));
    }
    Ok(id.filter(|id| !id.is_empty()))
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

/// A usable limit. Anything else leaves the limit to the settings.
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
            fence: Fence { models: identity.models, experiments: identity.experiments },
            expires_at: identity.expires_at,
            rate_limit_per_hour: limit(&identity.rate_limit_per_hour),
            concurrent: limit(&identity.concurrent),
            creates_per_hour: limit(&identity.creates_per_hour),
        }
    }
}

/// Only an object whose `is_valid` is the boolean `true` accepts a key, with the fence that is in it.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    for status in [StatusCode::OK, StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::NOT_FOUND] {
        let body = Bytes::copy_from_slice(bytes);
        let answer = Answer { status, content: "application/json", body };
        let Ok(principal) = answer.verdict("platform", "a-key", false) else { continue };
        assert_eq!(status, StatusCode::OK);
        // An ignored field may hold what no Value can, such as 1e999.
        let Ok(body) = serde_json::from_slice::<Value>(bytes) else { continue };
        assert_eq!(body["is_valid"], true);
        // No fence is lost, and none is made up.
        let fence = principal.fence;
        for (field, read) in [("models", fence.models), ("experiments", fence.experiments)] {
            let read = read.map_or(Value::Null, |globs| globs.patterns().into());
            assert_eq!(body[field], read);
        }
    }
}

#[cfg(test)]
mod tests;
