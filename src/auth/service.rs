//! The auth service: one POST a key, and what its answers mean.
//!
//! A rejection is believed only when the service says so in the agreed way; everything else it does, or does not
//! do, is an outage.

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use actix_web::http::{
    StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
    uri::PathAndQuery,
};
use actix_web::web::Bytes;
use awc::{ClientResponse, http::Method};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize};
use tokio::time::timeout;

use super::{AuthError, Principal, Rejection, Workspace};
use crate::{
    http_client::{Connections, HttpClient, Tls},
    settings::AuthService,
};

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// What is told of another service's id, in characters.
const MAX_ID: usize = 64;

/// Why the auth service gave no verdict.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ServiceFault {
    #[error("it has failed and is left alone for a while")]
    BreakerOpen,
    #[error("as many calls as it may get are under way, or were made in this second")]
    Busy,
    #[error("the call to it died")]
    Abandoned,
    #[error("no answer in time")]
    Timeout,
    #[error("it could not be asked: {0}")]
    Send(String),
    #[error("it answered with status {0}")]
    Status(StatusCode),
    #[error("its answer could not be read: {0}")]
    Body(String),
    #[error("its answer is not what was agreed: {0}")]
    Answer(String),
    #[error("its answer is about the service `{answered}`, and it was asked about `{asked}`")]
    OtherService { asked: String, answered: String },
    #[error("its answer is not JSON: {0}")]
    NotJson(String),
}

impl ServiceFault {
    /// Whether the service did answer, and said of this one key what was not agreed.
    pub(super) fn is_unclear(&self) -> bool {
        match self {
            Self::Status(status) => status.is_client_error() && *status != StatusCode::TOO_MANY_REQUESTS,
            Self::Answer(_) | Self::OtherService { .. } => true,
            _ => false,
        }
    }
}

/// Asks the auth service, with a client of one worker's own.
#[derive(Debug)]
pub struct ServiceVerifier {
    client: HttpClient,
    target: PathAndQuery,
    service_id: String,
    timeout: Duration,
}

#[derive(Serialize)]
struct Question<'a> {
    service_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ip: Option<IpAddr>,
}

/// What is read of an answer; the rest is ignored. A field given twice is an error of serde's.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    is_valid: serde_json::Value,
}

#[derive(Deserialize)]
struct Identity {
    #[serde(default)]
    service_id: serde_json::Value,
    user_id: Option<String>,
    key_id: Option<String>,
    scopes: Option<Vec<String>>,
    is_admin: Option<bool>,
    workspace: Option<Workspace>,
    #[serde(default, deserialize_with = "expiry")]
    expires_at: Option<Timestamp>,
    #[serde(default)]
    rate_limit_per_hour: serde_json::Value,
}

/// A limit that can be one; anything else is the settings' affair.
fn limit(value: &serde_json::Value) -> Option<NonZeroU32> {
    let number = value.as_f64().filter(|number| *number >= 1.0)?;
    NonZeroU32::new(number.min(f64::from(u32::MAX)) as u32)
}

/// RFC 3339; or without an offset, as Python's `datetime.isoformat` writes a naive time, which is then UTC.
fn expiry<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let naive = || text.parse::<DateTime>()?.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp());
    text.parse().or_else(|_| naive()).map(Some).map_err(serde::de::Error::custom)
}

impl ServiceVerifier {
    pub(crate) fn new(settings: &AuthService, tls: Option<&Tls>) -> Self {
        let connections = Connections {
            connect_timeout: settings.timeout,
            keep_alive: Duration::from_secs(4),
            limit: settings.max_in_flight.get(),
        };
        let path = format!("{}/api/v1/keys/validate", settings.url.path().trim_end_matches('/'));
        Self {
            client: HttpClient::new(&settings.url, tls, connections),
            target: PathAndQuery::try_from(path).unwrap_or_else(|_| PathAndQuery::from_static("/")),
            service_id: settings.service_id.clone(),
            timeout: settings.timeout,
        }
    }

    pub(crate) async fn verify(&self, key: &str, client_ip: Option<IpAddr>) -> Result<Principal, AuthError> {
        match timeout(self.timeout, self.ask(key, client_ip)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(AuthError::Unavailable(ServiceFault::Timeout)),
        }
    }

    /// What the service says to a key, as it says it, at its own path or at another.
    ///
    /// # Errors
    /// No answer, or none that can be read.
    pub(crate) async fn says(
        &self,
        key: &str,
        target: Option<PathAndQuery>,
    ) -> Result<(StatusCode, Vec<u8>), ServiceFault> {
        let asking = async {
            let mut response = self.send(key, None, target.unwrap_or_else(|| self.target.clone())).await?;
            Ok((response.status(), read(&mut response).await?.to_vec()))
        };
        timeout(self.timeout, asking).await.unwrap_or(Err(ServiceFault::Timeout))
    }

    async fn send(
        &self,
        key: &str,
        client_ip: Option<IpAddr>,
        target: PathAndQuery,
    ) -> Result<ClientResponse, ServiceFault> {
        let question = Question { service_id: &self.service_id, client_ip };
        let question =
            serde_json::to_vec(&question).map_err(|error| ServiceFault::Answer(error.to_string()))?;
        self.client
            .request(Method::POST, target)
            .insert_header((AUTHORIZATION, format!("Bearer {key}")))
            .insert_header((CONTENT_TYPE, "application/json"))
            .send_body(question)
            .await
            .map_err(|error| ServiceFault::Send(error.to_string()))
    }

    async fn ask(&self, key: &str, client_ip: Option<IpAddr>) -> Result<Principal, AuthError> {
        let unavailable = AuthError::Unavailable;
        let mut response = self.send(key, client_ip, self.target.clone()).await.map_err(unavailable)?;
        match response.status() {
            StatusCode::OK => {
                let body = read(&mut response).await.map_err(unavailable)?;
                verdict(&body, &self.service_id)
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
                Err(AuthError::Rejected(Rejection::ByService(None)))
            }
            status => Err(unavailable(ServiceFault::Status(status))),
        }
    }
}

async fn read(response: &mut ClientResponse) -> Result<Bytes, ServiceFault> {
    response.body().limit(MAX_ANSWER).await.map_err(|error| ServiceFault::Body(error.to_string()))
}

/// What a 200 means: only the boolean `true` is a yes, and what is not JSON is no verdict; nor is a yes for another
/// service, by which a gateway with a wrong `service_id` would let in that service's keys.
fn verdict(body: &[u8], asked: &str) -> Result<Principal, AuthError> {
    // Well-formed first: an answer that breaks off is an outage, one that says anything but `true` is a no.
    serde_json::from_slice::<serde::de::IgnoredAny>(body)
        .map_err(|error| AuthError::Unavailable(ServiceFault::NotJson(error.to_string())))?;
    // serde would also read a struct from an array.
    let is_object = body.trim_ascii_start().starts_with(b"{");
    match serde_json::from_slice::<Answer>(body) {
        Ok(Answer { is_valid: serde_json::Value::Bool(true) }) if is_object => {}
        Ok(_) | Err(_) => return Err(AuthError::Rejected(Rejection::ByService(None))),
    }
    // A yes whose particulars cannot be read must not become one without an expiry or without scopes.
    let identity: Identity = serde_json::from_slice(body).map_err(not_agreed)?;
    let answered = match identity.service_id {
        serde_json::Value::Null => None,
        serde_json::Value::String(answered) => Some(answered),
        other => Some(other.to_string()),
    };
    if let Some(answered) = answered.filter(|answered| answered != asked) {
        let (asked, answered) = (asked.to_owned(), answered.chars().take(MAX_ID).collect());
        return Err(AuthError::Unavailable(ServiceFault::OtherService { asked, answered }));
    }
    Ok(Principal {
        user_id: identity.user_id,
        key_id: identity.key_id,
        scopes: identity.scopes,
        is_admin: identity.is_admin.unwrap_or(false),
        workspace: identity.workspace,
        expires_at: identity.expires_at,
        rate_limit_per_hour: limit(&identity.rate_limit_per_hour),
    })
}

fn not_agreed(error: serde_json::Error) -> AuthError {
    AuthError::Unavailable(ServiceFault::Answer(error.to_string()))
}

/// Only an object whose `is_valid` is the boolean `true` is ever a yes.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    // What is ignored may be more than a Value can hold, such as 1e999.
    if let (Ok(_), Ok(answer)) =
        (verdict(bytes, "platform"), serde_json::from_slice::<serde_json::Value>(bytes))
    {
        assert_eq!(answer["is_valid"], true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(body: &str) -> &'static str {
        match verdict(body.as_bytes(), "platform") {
            Ok(_) => "accepted",
            Err(AuthError::Rejected(_)) => "rejected",
            Err(_) => "unavailable",
        }
    }

    #[test]
    fn only_the_boolean_true_is_a_yes() {
        for (body, expected) in [
            (r#"{"is_valid": true}"#, "accepted"),
            (r#"{"is_valid": true, "user_id": "u", "billing_plan": "free"}"#, "accepted"),
            (r#"{"is_valid": true, "user_id": null, "scopes": null, "expires_at": null}"#, "accepted"),
            (r#"{"is_valid": true, "rate_limit_per_hour": 0}"#, "accepted"),
            (r#"{"is_valid": true, "rate_limit_per_hour": 1000.0}"#, "accepted"),
            (r#"{"is_valid": false}"#, "rejected"),
            (r#"{"is_valid": "true"}"#, "rejected"),
            (r#"{"is_valid": 1}"#, "rejected"),
            (r#"{"is_valid": null}"#, "rejected"),
            (r#"{"is_valid": [true]}"#, "rejected"),
            (r#"{"is_valid": false, "is_valid": true}"#, "rejected"),
            (r#"{"is_valid": true, "is_valid": true}"#, "rejected"),
            (r#"{"valid": true}"#, "rejected"),
            ("{}", "rejected"),
            ("[]", "rejected"),
            ("[true]", "rejected"),
            ("true", "rejected"),
            ("", "unavailable"),
            ("<html>", "unavailable"),
            (r#"{"is_valid": tru"#, "unavailable"),
            (r#"{"is_valid": true} trailing"#, "unavailable"),
            (r#"{"is_valid": true, "expires_at": "soon"}"#, "unavailable"),
            (r#"{"is_valid": true, "scopes": "mlflow:read"}"#, "unavailable"),
            (r#"{"is_valid": true, "is_admin": null, "workspace": null}"#, "accepted"),
            (r#"{"is_valid": true, "is_admin": "false"}"#, "unavailable"),
            (r#"{"is_valid": true, "workspace": ""}"#, "unavailable"),
            (r#"{"is_valid": true, "workspace": "a, b"}"#, "unavailable"),
            (r#"{"is_valid": true, "user_id": "a", "user_id": "b"}"#, "unavailable"),
            (r#"{"is_valid": true, "service_id": "platform"}"#, "accepted"),
            (r#"{"is_valid": true, "service_id": null}"#, "accepted"),
            (r#"{"is_valid": true, "service_id": "ml-platform"}"#, "unavailable"),
            (r#"{"is_valid": true, "service_id": ["platform"]}"#, "unavailable"),
            (r#"{"is_valid": false, "service_id": "ml-platform"}"#, "rejected"),
        ] {
            assert_eq!(outcome(body), expected, "{body}");
        }
    }

    #[test]
    fn the_particulars_of_a_yes_are_read() {
        let body = br#"{"is_valid":true,"user_id":"u-1","key_id":"k-1","scopes":["mlflow:read"],
                       "is_admin":true,"workspace":"team-a",
                       "expires_at":"2030-01-01T00:00:00"}"#;
        let principal = verdict(body, "platform").unwrap();
        assert_eq!(principal.user_id.as_deref(), Some("u-1"));
        assert_eq!(principal.key_id.as_deref(), Some("k-1"));
        assert_eq!(principal.scopes, Some(vec!["mlflow:read".to_owned()]));
        assert!(principal.is_admin);
        assert_eq!(principal.workspace.unwrap().as_str(), "team-a");
        assert_eq!(principal.expires_at, "2030-01-01T00:00:00Z".parse().ok());
    }
}
