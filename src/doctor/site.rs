//! One HTTP exchange, as the gateway's own client makes it: no redirects followed, nothing retried.

use std::time::{Duration, Instant};

use actix_web::http::{
    StatusCode,
    header::{HOST, HeaderMap, HeaderValue},
    uri::PathAndQuery,
};
use awc::{ClientResponse, body::MessageBody, http::Method};
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use super::quotation::quoted;
use crate::{
    error::ERROR_SOURCE,
    http_client::{Connections, End, HttpClient, Reuse, SendError, Tls, TransportFault, beginning, host_of},
};

/// Time for a whole exchange with a small body.
const PATIENCE: Duration = Duration::from_secs(15);
/// The most that is read of an answer, in bytes. Clients have made what MLflow tells: a longer one is no fault.
const MAX_ANSWER: usize = 1024 * 1024;

/// A server that is asked.
#[derive(Debug)]
pub(super) struct Site {
    client: HttpClient,
    host: HeaderValue,
}

/// What came back, or its beginning.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// There is more than was read.
    pub(super) is_cut: bool,
    pub(super) took: Duration,
}

impl Site {
    pub(super) fn new(url: &Url, tls: Option<&Tls>) -> Self {
        let connections = Connections {
            connect_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(2),
            limit: 4,
        };
        let host = HeaderValue::try_from(host_of(url)).unwrap_or(HeaderValue::from_static("invalid"));
        Self { client: HttpClient::new(url, tls, connections), host }
    }

    /// A request whose body is still to be given.
    ///
    /// # Errors
    /// A target that is none.
    pub(super) fn request(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Result<awc::ClientRequest, String> {
        let target = PathAndQuery::try_from(target).map_err(|error| format!("{target}: {error}"))?;
        let mut request =
            self.client.request(method, target, Reuse::Safe).insert_header((HOST, self.host.clone()));
        for header in headers {
            request = request.append_header(*header);
        }
        Ok(request)
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// No answer, in words.
    pub(super) async fn ask(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: impl MessageBody + 'static,
    ) -> Result<Answer, String> {
        let request = self.request(method, target, headers)?;
        let began = Instant::now();
        let exchange = async {
            let response =
                request.send_body(body).await.map_err(|error| SendError::from(error).to_string())?;
            Answer::of(response, began).await
        };
        timeout(PATIENCE, exchange).await.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")))
    }
}

impl Answer {
    /// # Errors
    /// A body that breaks off.
    pub(super) async fn of(response: ClientResponse, began: Instant) -> Result<Self, String> {
        Self::of_up_to(response, began, MAX_ANSWER).await
    }

    /// The same where more is expected.
    ///
    /// # Errors
    /// As [`Answer::of`].
    pub(super) async fn of_up_to(
        response: ClientResponse,
        began: Instant,
        most: usize,
    ) -> Result<Self, String> {
        let (status, headers) = (response.status(), response.headers().clone());
        let (body, end) = beginning(response, most).await;
        if end == End::BrokeOff {
            return Err(TransportFault::ClosedInResponse.to_string());
        }
        let (body, is_cut) = (body.to_vec(), end == End::Longer);
        Ok(Self { status, headers, body, is_cut, took: began.elapsed() })
    }

    /// Whether the gateway answered by itself; MLflow's answers never say so.
    pub(super) fn is_the_gateways(&self) -> bool {
        self.headers.contains_key(ERROR_SOURCE)
    }

    /// `Null` where it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Who answers, and what it says or how that begins, on one line.
pub(super) fn excerpt(answer: &Answer) -> String {
    let status = answer.status.as_u16();
    let json = answer.json();
    let word = |name: &str| json[name].as_str();
    // The gateway's errors, and MLflow's.
    if let (Some(code), Some(message)) = (word("reason").or(word("error_code")), word("message")) {
        let id = word("request_id").map_or_else(String::new, |id| format!(" (request {id})"));
        let message = one_line(message.as_bytes());
        return format!("{status} {}", quoted(&format!("{code}: {message}{id}")));
    }
    let server = answer.header("server").map_or_else(String::new, |server| format!(" from {server}"));
    // Decoded and written anew: what is escaped in it is seen by the filter of the journal.
    let text = if json.is_null() { answer.body.clone() } else { json.to_string().into_bytes() };
    format!("{status}{}", quoted(&format!("{server}: {}", one_line(&text))))
}

/// A text of somebody else's on one line. The journal shortens it, when it has taken out what is secret.
pub(super) fn start_of(body: &[u8]) -> String {
    quoted(&one_line(body))
}

fn one_line(body: &[u8]) -> String {
    let words = String::from_utf8_lossy(body).split_whitespace().collect::<Vec<_>>().join(" ");
    if words.is_empty() { "(no body)".to_owned() } else { words }
}
