//! A question to an issuer, and its answer.

use std::time::Duration;

use actix_web::{
    http::{
        StatusCode,
        header::{ACCEPT, HeaderMap, HeaderValue, USER_AGENT},
        uri::PathAndQuery,
    },
    web::Bytes,
};
use awc::{error::PayloadError, http::Method};
use tokio::time::timeout;
use url::{Position, Url};

use super::fault::KeysFault;
use crate::http_client::{Connections, HttpClient, Reuse, Tls};

/// Time for one answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes: a hundred keys with certificates.
pub(super) const MAX_ANSWER: usize = 256 * 1024;

/// What an issuer answers.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A document of an issuer's.
pub(crate) async fn get(url: &Url, tls: Option<&Tls>) -> Result<Answer, KeysFault> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let answer = ask(url, tls, Method::GET, headers, Bytes::new()).await?;
    match answer.status {
        StatusCode::OK => Ok(answer),
        status => Err(KeysFault::Status { address: url.to_string(), status: status.as_u16() }),
    }
}

/// A redirect is an answer like others: nobody follows it.
pub(super) async fn ask(
    url: &Url,
    tls: Option<&Tls>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Answer, KeysFault> {
    let address = || url[..Position::AfterPath].to_owned();
    let unreachable = |error: &dyn std::fmt::Display| KeysFault::Unreachable {
        address: address(),
        what: error.to_string(),
    };
    let target = PathAndQuery::try_from(&url[Position::BeforePath..Position::AfterQuery]);
    let target = target.map_err(|error| unreachable(&error))?;
    let connections = Connections { connect_timeout: PATIENCE, keep_alive: Duration::ZERO, limit: 1 };
    let client = HttpClient::new(url, tls, connections);
    let asking = async {
        let mut request = client.request(method, target, Reuse::Never);
        for header in headers {
            request = request.append_header(header);
        }
        let request = request.insert_header((USER_AGENT, "hokusai-gateway"));
        let mut answer = client.send(request, body).await.map_err(|error| unreachable(&error))?;
        let body = answer.body().limit(MAX_ANSWER).await.map_err(|error| match error {
            PayloadError::Overflow => KeysFault::TooLong { address: address() },
            error => unreachable(&error),
        })?;
        Ok(Answer { status: answer.status(), headers: answer.headers().clone(), body })
    };
    timeout(PATIENCE, asking).await.unwrap_or_else(|_| Err(KeysFault::Late { address: address() }))
}
