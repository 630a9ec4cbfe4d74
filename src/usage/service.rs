//! The auth service's calls for usage.

use std::time::Duration;

use actix_web::http::{Method, StatusCode, header::CONTENT_TYPE, uri::PathAndQuery};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use tokio::time::timeout;

use crate::{
    http_client::{Connections, HttpClient, Reuse, Tls},
    settings::AuthService,
};

/// How many single reports are sent at the same time.
pub(super) const CONCURRENCY: usize = 8;
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// A service may take longer for a batch than for a key.
const BATCH_TIMEOUT: Duration = Duration::from_secs(30);

/// A client of one actor.
#[derive(Debug)]
pub(super) struct UsageService {
    client: HttpClient,
    base: String,
    service_id: String,
    timeout: Duration,
}

/// One request, as docs/KEYS.md has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Single {
    #[serde(skip)]
    pub(super) key_id: String,
    /// The path, without a query.
    pub(super) endpoint: String,
    pub(super) response_time_ms: u64,
    pub(super) status_code: u16,
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    single: &'a Single,
    service_id: &'a str,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Taken,
    /// There is no such call: a 404 or 405.
    Unknown,
    /// It would not be taken another time either.
    Refused(StatusCode),
    Unavailable(Trouble),
}

/// Why a report was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("it could not be reached, or broke off")]
    NoAnswer,
    #[error("it did not answer in time")]
    Timeout,
}

impl UsageService {
    pub(super) fn new(settings: &AuthService, tls: Option<&Tls>) -> Self {
        let connections =
            Connections { connect_timeout: settings.timeout, keep_alive: KEEP_ALIVE, limit: CONCURRENCY };
        Self {
            client: HttpClient::new(&settings.url, tls, connections),
            base: settings.url.path().trim_end_matches('/').to_owned(),
            service_id: settings.service_id.clone(),
            timeout: settings.timeout,
        }
    }

    pub(super) fn service_id(&self) -> &str {
        &self.service_id
    }

    /// Sends a batch. It may be sent twice: its id tells.
    pub(super) async fn send_batch(&self, batch: Vec<u8>) -> Outcome {
        self.post("/api/v1/usage", batch, Reuse::Any, BATCH_TIMEOUT).await
    }

    pub(super) async fn send_single(&self, single: &Single) -> Outcome {
        let key_id = utf8_percent_encode(&single.key_id, NON_ALPHANUMERIC);
        let report = serde_json::to_vec(&Report { single, service_id: &self.service_id });
        let Ok(report) = report else { return Outcome::Refused(StatusCode::BAD_REQUEST) };
        self.post(&format!("/api/v1/usage/{key_id}"), report, Reuse::Safe, self.timeout).await
    }

    async fn post(&self, path: &str, body: Vec<u8>, reuse: Reuse, deadline: Duration) -> Outcome {
        let Ok(target) = PathAndQuery::try_from(format!("{}{path}", self.base)) else {
            return Outcome::Refused(StatusCode::BAD_REQUEST);
        };
        let request = self.client.request(Method::POST, target, reuse);
        let request = request.insert_header((CONTENT_TYPE, "application/json"));
        match timeout(deadline, self.client.send(request, body)).await {
            Ok(Ok(response)) => outcome(response.status()),
            Ok(Err(_)) => Outcome::Unavailable(Trouble::NoAnswer),
            Err(_) => Outcome::Unavailable(Trouble::Timeout),
        }
    }
}

/// What a status says of a report.
fn outcome(status: StatusCode) -> Outcome {
    match status.as_u16() {
        200..300 => Outcome::Taken,
        404 | 405 => Outcome::Unknown,
        // They say nothing of the report: who may send it, and when, can be changed.
        401 | 403 | 407 | 408 | 421 | 425 | 429 => Outcome::Unavailable(Trouble::Status(status)),
        400..500 => Outcome::Refused(status),
        _ => Outcome::Unavailable(Trouble::Status(status)),
    }
}
