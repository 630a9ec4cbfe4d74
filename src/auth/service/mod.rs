//! The auth service: one POST a key. What its answers mean is for [`verdict`] to say.
//!
//! A rejection is believed only when the service says so in the agreed way; everything else it does, or does not
//! do, is an outage.

mod reach;
mod verdict;

use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use actix_web::http::{
    StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, DATE},
    uri::PathAndQuery,
};
use actix_web::web::Bytes;
use awc::{ClientResponse, http::Method};
use serde::Serialize;
use tokio::time::timeout_at;

pub(crate) use reach::tell_at_start;
pub(crate) use verdict::Answer;
#[cfg(fuzzing)]
pub use verdict::fuzz;
use verdict::is_refusal;

use super::{AuthError, Principal, guard::Ended};
use crate::{
    code::Code,
    http_client::{Connections, HttpClient, Tls, met_a_close},
    settings::AuthService,
};

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// Time between two warnings about the service.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(10);

/// Why the auth service gave no verdict. Nothing of what it wrote is in it: that could be a key.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ServiceFault {
    #[error("it has failed and is left alone for a while")]
    BreakerOpen,
    #[error(
        "as many calls as it may get are under way, or were made in this second: there was no place in time"
    )]
    Busy,
    #[error("the call to it died, or its key was revoked meanwhile")]
    Abandoned,
    #[error("no answer in time")]
    Timeout,
    #[error("it could not be asked: {0}")]
    Send(String),
    #[error("it answered with status {0}")]
    Status(StatusCode),
    #[error("it answered {} with {content}, which is not how a key is refused", status.as_u16())]
    NotAgreed { status: StatusCode, content: &'static str },
    #[error("its answer could not be read: {0}")]
    Body(String),
    #[error("what it says of a key that is good cannot be read, at line {line}, column {column}")]
    Unreadable { line: usize, column: usize },
    #[error("its answer is about {answered}, and it was asked about the service `{asked}`")]
    OtherService { asked: String, answered: Named },
    #[error("it answered 200 with {content}, which is not JSON at line {line}, column {column}")]
    NotJson { content: &'static str, line: usize, column: usize },
}

/// The service that an answer is about.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Named {
    #[error("the service `{0}`")]
    Id(String),
    /// Not shown: it could be anything, a key too.
    #[error("another service, whose id is not one")]
    NoId,
}

impl ServiceFault {
    /// Whether the service could not be asked, or failed: not that we did not ask, or that it vouched for something else,
    /// nor its own limit, which any client can exhaust.
    pub(super) fn is_outage(&self) -> bool {
        !matches!(
            self,
            Self::Busy
                | Self::Abandoned
                | Self::OtherService { .. }
                | Self::Status(StatusCode::TOO_MANY_REQUESTS)
        )
    }

    /// The cause that an operator is told of.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::OtherService { .. } => Code::ServiceIdDiffers,
            Self::Busy | Self::Status(StatusCode::TOO_MANY_REQUESTS) => Code::AuthBusy,
            Self::Status(status) if status.is_redirection() => Code::AuthRedirects,
            Self::NotAgreed { content: "application/json" | "no content type", .. } => Code::BareRefusals,
            Self::NotAgreed { .. } | Self::NotJson { .. } | Self::Unreadable { .. } => Code::NotAuthService,
            Self::Status(status) if !status.is_server_error() => Code::NotAuthService,
            Self::BreakerOpen
            | Self::Abandoned
            | Self::Timeout
            | Self::Send(_)
            | Self::Status(_)
            | Self::Body(_) => Code::AuthUnwell,
        }
    }

    /// What it tells of the service, for those who decide whether it is asked again.
    pub(super) fn ended(&self) -> Ended {
        match self {
            Self::Unreadable { .. } | Self::OtherService { .. } => Ended::Misprinted,
            Self::NotAgreed { .. } | Self::NotJson { .. } => Ended::Foreign,
            Self::Status(StatusCode::TOO_MANY_REQUESTS) => Ended::Throttled,
            Self::Status(status) if status.is_redirection() || status.is_client_error() => Ended::Foreign,
            _ => Ended::Unavailable,
        }
    }
}

/// Asks the auth service, with a client of one worker's own.
#[derive(Debug)]
pub struct ServiceVerifier {
    client: HttpClient,
    /// The same, on connections that nobody has used.
    fresh: HttpClient,
    target: PathAndQuery,
    service_id: String,
    bare_refusals: bool,
    timeout: Duration,
}

#[derive(Serialize)]
struct Question<'a> {
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
            fresh: HttpClient::new(
                &settings.url,
                tls,
                Connections { keep_alive: Duration::ZERO, ..connections },
            ),
            target: PathAndQuery::try_from(path).unwrap_or_else(|_| PathAndQuery::from_static("/")),
            service_id: settings.service_id.clone(),
            bare_refusals: settings.bare_refusals,
            timeout: settings.timeout,
        }
    }

    /// The end of the time that one validation may take, if it begins now.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    pub(crate) async fn verify(
        &self,
        key: &str,
        client_ip: Option<IpAddr>,
        deadline: Instant,
    ) -> Result<Principal, AuthError> {
        let answer = self.ask(key, client_ip, self.target.clone(), deadline, false).await;
        let answer = answer.map_err(AuthError::Unavailable)?;
        answer.verdict(&self.service_id, key, self.bare_refusals)
    }

    /// What the service says to a key, as it says it, at its own path or at another: all of it, whatever its status.
    ///
    /// # Errors
    /// No answer, or none that can be read.
    pub(crate) async fn says(&self, key: &str, target: Option<PathAndQuery>) -> Result<Answer, ServiceFault> {
        self.ask(key, None, target.unwrap_or_else(|| self.target.clone()), self.deadline(), true).await
    }

    async fn ask(
        &self,
        key: &str,
        client_ip: Option<IpAddr>,
        target: PathAndQuery,
        deadline: Instant,
        thorough: bool,
    ) -> Result<Answer, ServiceFault> {
        let asking = async {
            let mut response = self.send(key, client_ip, target).await?;
            let (status, content) = (response.status(), content(&response));
            let body = match status {
                StatusCode::OK => read(&mut response).await?,
                // What is too long is a page, and no refusal.
                _ if is_refusal(status) => read(&mut response).await.unwrap_or(TOO_LONG),
                _ if thorough => read(&mut response).await.unwrap_or_default(),
                _ => Bytes::new(),
            };
            let date = response.headers().get(DATE).filter(|_| thorough).cloned();
            Ok(Answer { status, content, body, date })
        };
        timeout_at(deadline.into(), asking).await.unwrap_or(Err(ServiceFault::Timeout))
    }

    async fn send(
        &self,
        key: &str,
        client_ip: Option<IpAddr>,
        target: PathAndQuery,
    ) -> Result<ClientResponse, ServiceFault> {
        let question = Question { service_id: &self.service_id, client_ip };
        let question =
            serde_json::to_vec(&question).map_err(|error| ServiceFault::Send(error.to_string()))?;
        let post = |client: &HttpClient| {
            client
                .request(Method::POST, target.clone())
                .insert_header((AUTHORIZATION, format!("Bearer {key}")))
                .insert_header((CONTENT_TYPE, "application/json"))
                .send_body(question.clone())
        };
        let sent = match post(&self.client).await {
            // To ask twice does no harm, and no key is to wait for a verdict because the service closed an idle connection.
            Err(error) if met_a_close(&error) => post(&self.fresh).await,
            sent => sent,
        };
        sent.map_err(|error| ServiceFault::Send(error.to_string()))
    }
}

/// What no JSON is.
const TOO_LONG: Bytes = Bytes::from_static(b"<");

async fn read(response: &mut ClientResponse) -> Result<Bytes, ServiceFault> {
    response.body().limit(MAX_ANSWER).await.map_err(|error| ServiceFault::Body(error.to_string()))
}

/// What an answer is made of, in our words: a header's value is a stranger's.
fn content(response: &ClientResponse) -> &'static str {
    let Some(value) = response.headers().get(CONTENT_TYPE) else { return "no content type" };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    ["text/html", "application/json", "text/plain", "application/problem+json", "application/xml", "text/xml"]
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(essence))
        .unwrap_or("another content type")
}

/// Says once in a while why the service gives no verdicts: those who are served from before see nothing of it.
#[derive(Debug, Default)]
pub(super) struct Warnings(Mutex<Warned>);

#[derive(Debug, Default)]
struct Warned {
    last: Option<Instant>,
    /// What was warned of, and is not over.
    of: Option<Code>,
}

impl Warnings {
    /// It gave a verdict.
    pub(super) fn end(&self) {
        let over = self.0.lock().unwrap_or_else(PoisonError::into_inner).of.take();
        if let Some(code) = over {
            tracing::info!(code = code.text(), "the auth service gives verdicts again");
        }
    }

    pub(super) fn warn(&self, fault: &ServiceFault) {
        let mut warned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.last.is_none_or(|last| last.elapsed() >= BETWEEN_WARNINGS) {
            *warned = Warned { last: Some(Instant::now()), of: Some(fault.code()) };
            tracing::warn!(code = fault.code().text(), error = %fault, "the auth service gave no verdict");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_service_did_or_did_not_do_is_an_outage() {
        for (fault, outage) in [
            (ServiceFault::BreakerOpen, true),
            (ServiceFault::Timeout, true),
            (ServiceFault::Send(String::new()), true),
            (ServiceFault::Status(StatusCode::BAD_GATEWAY), true),
            (ServiceFault::NotAgreed { status: StatusCode::NOT_FOUND, content: "text/html" }, true),
            (ServiceFault::Busy, false),
            (ServiceFault::Status(StatusCode::TOO_MANY_REQUESTS), false),
            (ServiceFault::Abandoned, false),
            (ServiceFault::OtherService { asked: String::new(), answered: Named::NoId }, false),
        ] {
            assert_eq!(fault.is_outage(), outage, "{fault}");
        }
    }
}
