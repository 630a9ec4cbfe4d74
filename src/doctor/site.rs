//! One request with the gateway's own HTTP client: it follows no redirect and retries nothing.

use std::time::{Duration, Instant};

use actix_web::http::{
    StatusCode,
    header::{HOST, HeaderMap, HeaderValue},
    uri::PathAndQuery,
};
use awc::{
    ClientResponse,
    body::{self, MessageBody},
    http::Method,
};
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use super::quotation::quote;
use crate::{
    error::ERROR_SOURCE,
    http_client::{Connections, End, HttpClient, Reuse, Tls, TransportFault, beginning, host_of},
};

/// Time for a request with a small body, and its answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The most that is read of an answer, in bytes. A longer one is no fault: clients can make MLflow's answers long.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// A server, and a client for it.
#[derive(Debug)]
pub(crate) struct Site {
    client: HttpClient,
    host: HeaderValue,
}

/// An answer, or its beginning.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// Whether the body is longer than what was read.
    pub(crate) is_cut: bool,
    pub(super) took: Duration,
}

impl Site {
    pub(crate) fn new(url: &Url, tls: Option<&Tls>) -> Self {
        let connections = Connections {
            connect_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(2),
            limit: 4,
        };
        let host = HeaderValue::try_from(host_of(url)).unwrap_or(HeaderValue::from_static("invalid"));
        Self { client: HttpClient::new(url, tls, connections), host }
    }

    /// Sends a request; the head of the answer, whose body is still to come.
    ///
    /// # Errors
    /// A malformed target, or why there is no answer.
    pub(super) async fn start(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: impl MessageBody + 'static,
    ) -> Result<ClientResponse, String> {
        let target = PathAndQuery::try_from(target).map_err(|error| format!("{target}: {error}"))?;
        let mut request =
            self.client.request(method, target, Reuse::Safe).insert_header((HOST, self.host.clone()));
        for header in headers {
            request = request.append_header(*header);
        }
        self.client.send(request, body).await.map_err(|error| error.to_string())
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// A malformed target, or why there is no answer.
    pub(super) async fn send(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: impl MessageBody + 'static,
    ) -> Result<Response, String> {
        let began = Instant::now();
        let answer = async { Response::read(self.start(method, target, headers, body).await?, began).await };
        timeout(TIMEOUT, answer).await.unwrap_or_else(|_| Err(format!("no answer within {TIMEOUT:?}")))
    }

    /// Sends JSON; the headers say so.
    pub(crate) async fn post(
        &self,
        target: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Result<Response, String> {
        self.send(Method::POST, target, headers, body.to_string()).await
    }

    pub(crate) async fn get(&self, target: &str, headers: &[(&str, &str)]) -> Result<Response, String> {
        self.send(Method::GET, target, headers, body::None::new()).await
    }
}

impl Response {
    /// # Errors
    /// A body that ends too early.
    pub(super) async fn read(response: ClientResponse, began: Instant) -> Result<Self, String> {
        let (status, headers) = (response.status(), response.headers().clone());
        let (body, end) = beginning(response, MAX_ANSWER).await;
        if end == End::BrokeOff {
            return Err(TransportFault::ClosedInResponse.to_string());
        }
        let (body, is_cut) = (body.to_vec(), end == End::Longer);
        Ok(Self { status, headers, body, is_cut, took: began.elapsed() })
    }

    /// Whether the gateway itself answered, and not MLflow.
    pub(crate) fn is_from_gateway(&self) -> bool {
        self.headers.contains_key(ERROR_SOURCE)
    }

    /// `Null` where the body is not JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The status, the server and the beginning of the body, on one line.
pub(crate) fn excerpt(answer: &Response) -> String {
    let status = answer.status.as_u16();
    let json = answer.json();
    let field = |name: &str| json[name].as_str();
    // The gateway's errors, and MLflow's.
    if let (Some(code), Some(message)) = (field("reason").or(field("error_code")), field("message")) {
        let id = field("request_id").map_or_else(String::new, |id| format!(" (request {id})"));
        let message = one_line(message.as_bytes());
        return format!("{status} {}", quote(&format!("{code}: {message}{id}")));
    }
    let server = answer.header("server").map_or_else(String::new, |server| format!(" from {server}"));
    // JSON is written again without escapes, so that the journal finds secrets in it.
    let text = if json.is_null() { answer.body.clone() } else { json.to_string().into_bytes() };
    format!("{status}{}", quote(&format!("{server}: {}", one_line(&text))))
}

/// A text of another program on one line. The journal removes secrets from it, and then shortens it.
pub(super) fn start_of(body: &[u8]) -> String {
    quote(&one_line(body))
}

fn one_line(body: &[u8]) -> String {
    let words = String::from_utf8_lossy(body).split_whitespace().collect::<Vec<_>>().join(" ");
    if words.is_empty() { "(no body)".to_owned() } else { words }
}
