//! The auth service: one POST for each key. [`verdict`] interprets its answers.
//!
//! A key is rejected only by an answer in the agreed form. Everything else is an outage.

mod fault;
mod reachability;
mod verdict;

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use actix_web::http::{
    StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap},
    uri::PathAndQuery,
};
use actix_web::web::Bytes;
use awc::{ClientResponse, http::Method};
use serde::Serialize;
use tokio::time::timeout_at;

pub use fault::{OtherServiceId, ServiceFault};
pub(crate) use reachability::check_reachability;
pub(crate) use verdict::Answer;
#[cfg(fuzzing)]
pub use verdict::fuzz;
use verdict::is_refusal;

use super::{AuthError, Principal};
use crate::{
    http_client::{Connections, HttpClient, Reuse, SendError, Tls, TransportFault},
    settings::AuthService,
};

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Calls the auth service, with an HTTP client for each worker.
#[derive(Debug)]
pub struct ServiceVerifier {
    client: HttpClient,
    target: PathAndQuery,
    service_id: String,
    bare_refusals: bool,
    timeout: Duration,
}

#[derive(Serialize)]
struct ValidateRequest<'a> {
    service_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ip: Option<IpAddr>,
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
            bare_refusals: settings.bare_refusals,
            timeout: settings.timeout,
        }
    }

    /// The deadline of a validation that begins now.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    pub(crate) async fn verify(
        &self,
        key: &str,
        client_ip: Option<IpAddr>,
        deadline: Instant,
    ) -> Result<Principal, AuthError> {
        let answer = self.ask(key, client_ip, deadline).await;
        let answer = answer.map_err(AuthError::Unavailable)?;
        answer.verdict(&self.service_id, key, self.bare_refusals)
    }

    async fn ask(
        &self,
        key: &str,
        client_ip: Option<IpAddr>,
        deadline: Instant,
    ) -> Result<Answer, ServiceFault> {
        let asking = async {
            let mut response = self.send(key, client_ip).await?;
            let (status, content) = (response.status(), content_type(response.headers()));
            let body = match status {
                StatusCode::OK => read(&mut response).await?,
                // Too long for a refusal: a page.
                _ if is_refusal(status) => read(&mut response).await.unwrap_or(TOO_LONG),
                _ => Bytes::new(),
            };
            Ok(Answer { status, content, body })
        };
        timeout_at(deadline.into(), asking).await.unwrap_or(Err(ServiceFault::Timeout))
    }

    async fn send(&self, key: &str, client_ip: Option<IpAddr>) -> Result<ClientResponse, ServiceFault> {
        let request = ValidateRequest { service_id: &self.service_id, client_ip };
        let request = serde_json::to_vec(&request).map_err(|error| ServiceFault::Send(error.to_string()))?;
        let post = |reuse| {
            let post = self
                .client
                .request(Method::POST, self.target.clone(), reuse)
                .insert_header((AUTHORIZATION, format!("Bearer {key}")))
                .insert_header((CONTENT_TYPE, "application/json"));
            self.client.send(post, request.clone())
        };
        let sent = match post(Reuse::Any).await {
            // The service closed an idle connection. A validation may safely be sent twice.
            Err(SendError::Transport(TransportFault::ClosedIdle)) => post(Reuse::Never).await,
            sent => sent,
        };
        sent.map_err(|error| ServiceFault::Send(error.to_string()))
    }
}

/// Stands for a body that is too long: it is not JSON.
const TOO_LONG: Bytes = Bytes::from_static(b"<");

async fn read(response: &mut ClientResponse) -> Result<Bytes, ServiceFault> {
    response.body().limit(MAX_ANSWER).await.map_err(|error| ServiceFault::Body(error.to_string()))
}

/// The content type, if it is a usual one: others are not shown.
pub(crate) fn content_type(headers: &HeaderMap) -> &'static str {
    let Some(value) = headers.get(CONTENT_TYPE) else { return "no content type" };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    ["text/html", "application/json", "text/plain", "application/problem+json", "application/xml", "text/xml"]
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(essence))
        .unwrap_or("another content type")
}
