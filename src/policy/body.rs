//! Bodies that say what a request is about: read before it is decided, in one way only, and sent on as they came.

use actix_web::{
    dev::Payload,
    error::PayloadError,
    web::{Bytes, BytesMut},
};
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use std::time::Instant;
use tokio::time::timeout;

use super::{Grant, MissingScope, graphql, json};
use crate::{connection::Connection, patience::Patience, routing::RouteClass, settings::Policy};

/// The largest body that is read, in bytes.
const MAX_BODY: usize = 1024 * 1024;

/// Why a body is not sent on.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the body {0}")]
    Ambiguous(String),
    #[error("the body is larger than 1 MiB")]
    TooLarge,
    #[error("the client stalled in the middle of its body")]
    Stalled,
    #[error("the client's body broke off: {0}")]
    Broken(PayloadError),
    #[error(transparent)]
    Scope(#[from] Box<MissingScope>),
}

/// What a body is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    /// The subject of a deletion, of a change to the registry, of administration.
    Json,
    /// The operation.
    GraphQl,
}

fn guard(grant: &Grant) -> Option<Guard> {
    let rule = grant.route().rule();
    match rule.class {
        RouteClass::Delete | RouteClass::RegistryWrite | RouteClass::Admin => Some(Guard::Json),
        _ if rule.pattern == "/graphql" => Some(Guard::GraphQl),
        _ => None,
    }
}

/// Reads the body where the route wants it, and gives it back; others are not touched.
///
/// # Errors
/// A body that could be read in two ways, is too large, or asks for more than was granted.
pub(crate) async fn check(
    policy: &Policy,
    grant: &Grant,
    payload: Payload,
    connection: Option<&Connection>,
    patience: Patience,
) -> Result<Payload, BodyError> {
    let Some(guard) = guard(grant) else { return Ok(payload) };
    let body = read(payload, connection, patience).await;
    if let Some(connection) = connection {
        connection.uploaded(None);
    }
    let body = body?;
    match guard {
        Guard::Json if body.is_empty() => {}
        Guard::Json => drop(parse(&body)?),
        Guard::GraphQl => {
            if !only_reads(&body)? {
                super::allow(policy, grant.principal(), grant.route().rule(), RouteClass::Write)?;
            }
        }
    }
    Ok(Payload::Stream { payload: stream::iter([Ok(body)]).boxed_local() })
}

async fn read(
    mut payload: Payload,
    connection: Option<&Connection>,
    mut patience: Patience,
) -> Result<Bytes, BodyError> {
    let mut body = BytesMut::new();
    loop {
        if let Some(connection) = connection {
            connection.uploaded(Some(body.len() as u64));
        }
        let since = Instant::now();
        let next = timeout(patience.left(), payload.next()).await.map_err(|_| BodyError::Stalled)?;
        let Some(chunk) = next.transpose().map_err(BodyError::Broken)? else { break };
        if body.len() + chunk.len() > MAX_BODY {
            return Err(BodyError::TooLarge);
        }
        patience.rewarded(chunk.len(), since.elapsed());
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn parse(body: &[u8]) -> Result<Value, BodyError> {
    let only = |error| BodyError::Ambiguous(format!("is not JSON that can be read in one way only: {error}"));
    json::read(body).map_err(only)
}

fn only_reads(body: &[u8]) -> Result<bool, BodyError> {
    let request = parse(body)?;
    let refuse = |what: &str| BodyError::Ambiguous(what.to_owned());
    let document =
        request["query"].as_str().ok_or_else(|| refuse("has no GraphQL document in its field `query`"))?;
    let name = match &request["operationName"] {
        Value::Null => None,
        Value::String(name) => Some(name.as_str()),
        _ => return Err(refuse("has an `operationName` that is not a text")),
    };
    graphql::only_reads(document, name)
        .map_err(|what| refuse(&format!("holds a GraphQL document that {what}")))
}
