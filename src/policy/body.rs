//! Bodies that say what a request is about: read before it is decided, in one way only, and sent on as they came.

use std::time::Instant;

use actix_web::{
    dev::{Payload, RequestHead},
    error::PayloadError,
    http::{
        Method,
        header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING},
    },
    web::Bytes,
};
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use tokio::time::timeout;

use super::{
    Grant, MissingScope, NoRoom, Room, graphql, json,
    room::Share,
    tags,
    upload::Upload,
    workspace::{self, Mentions, Outside},
};
use crate::{
    connection::Connection,
    head::has_body,
    parse_fault::ParseFault,
    routing::{Body, Rule},
    settings::Policy,
    stall_budget::StallBudget,
    vocabulary::RouteClass,
};

/// The largest body that is read, in bytes.
const MAX_BODY: usize = 1024 * 1024;
/// The same of GraphQL: MLflow's UI sends some 4 KiB.
const MAX_GRAPHQL: usize = 64 * 1024;

/// Why a body is not sent on.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the body {0}")]
    Ambiguous(&'static str),
    #[error("the body holds a GraphQL document that {0}")]
    GraphQl(&'static str),
    #[error("the body cannot be read as JSON in one way only: {0}")]
    NotJson(ParseFault),
    #[error("the body is larger than {} KiB, the most that is read of a request like this one", .0 / 1024)]
    TooLarge(usize),
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    #[error("the client stalled in the middle of its body")]
    Stalled,
    #[error("the request's body broke off")]
    Broken(#[source] PayloadError),
    /// The path of an artifact in it.
    #[error("the path in the request's body {0}")]
    Path(&'static str),
    #[error(transparent)]
    Scope(#[from] Box<MissingScope>),
    #[error(transparent)]
    Workspace(#[from] Outside),
}

/// What a body is looked at for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    /// The subject of a deletion, of a change to the registry, of administration; tags; and for a key that is bound to a
    /// workspace what else could lead out of it. Of a GET that has no query MLflow takes the parameters from here, as
    /// JSON whatever its type says (mlflow/server/handlers.py, `_get_request_message`).
    Json,
    /// The operation.
    GraphQl,
    /// Whatever could lead out of a workspace, as the body passes.
    Spans,
}

fn guard(rule: &Rule, is_bound: bool) -> Option<Guard> {
    match rule.body {
        Body::Json | Body::Form => Some(Guard::Json),
        Body::GraphQl => Some(Guard::GraphQl),
        Body::Spans => is_bound.then_some(Guard::Spans),
        Body::Any => {
            let may_lead_out = rule.class == RouteClass::TraceWrite
                || rule.method == Method::GET
                || workspace::names_models(rule);
            ((is_bound && may_lead_out) || Upload::named_by(rule).is_some()).then_some(Guard::Json)
        }
    }
}

/// Whether a body is a form to MLflow: a type that is there twice is read by some as the first, by others as both.
fn is_form(head: &RequestHead) -> bool {
    let mut types = head.headers.get_all(CONTENT_TYPE);
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    let essence = only.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim_end().eq_ignore_ascii_case("multipart/form-data")
}

impl Guard {
    fn max_body(self) -> usize {
        if self == Self::GraphQl { MAX_GRAPHQL } else { MAX_BODY }
    }
}

/// What becomes of the bodies of a route, for a person.
pub(crate) fn treatment(rule: &Rule) -> &'static str {
    if rule.method == Method::GET && !rule.parameters.is_empty() {
        return "none: a GET that has one is refused, for its parameters are judged in the query";
    }
    match (guard(rule, false), guard(rule, true)) {
        _ if rule.body == Body::Form => {
            "multipart/form-data passed on as it comes; else read first: JSON that can be read in one way only, up to 1 MiB"
        }
        (Some(Guard::GraphQl), _) => "read first: a GraphQL mutation wants the scopes of the class write",
        _ if rule.tagging.is_some() => {
            "read first: JSON that can be read in one way only, up to 1 MiB; a tag that is more than a remark wants admin or delete"
        }
        (Some(_), _) => "read first: JSON that can be read in one way only, up to 1 MiB",
        (None, Some(_)) => "passed on as it comes; read first for a key that is bound to a workspace",
        (None, None) => "passed on as it comes",
    }
}

/// A body that may be sent on.
pub(crate) struct Checked {
    pub(crate) payload: Payload,
    /// Its length in bytes, if it was read.
    pub(crate) length: Option<usize>,
    /// The class of what it asks for, if that is another than its route's: a GraphQL mutation, a tag.
    pub(crate) class: Option<RouteClass>,
    /// What it says, where that was read.
    pub(crate) value: Option<Value>,
    pub(crate) mentions: Mentions,
}

/// Reads the body where the route wants it, and gives it back; others are not touched.
///
/// # Errors
/// A body that could be read in two ways, is too large, or asks for more than was granted.
pub(crate) async fn check(
    policy: &Policy,
    grant: &Grant,
    head: &RequestHead,
    payload: Payload,
    connection: Option<&Connection>,
    stall_budget: StallBudget,
    room: &Room,
) -> Result<Checked, BodyError> {
    let mut mentions = Mentions::default();
    let (principal, route) = (grant.principal(), grant.route());
    let guard = guard(route.rule(), principal.workspace.is_some());
    let is_get = [Method::GET, Method::HEAD].contains(&head.method);
    let has_none = is_get && !has_body(&head.headers);
    let guard = guard.filter(|guard| *guard != Guard::Json || !has_none);
    let guard = match (guard, &principal.workspace) {
        (Some(_), _) if route.rule().body == Body::Form && is_form(head) => {
            return Ok(Checked { payload, length: None, class: None, value: None, mentions });
        }
        (None, _) => return Ok(Checked { payload, length: None, class: None, value: None, mentions }),
        (Some(Guard::Spans), Some(workspace)) => {
            can_be_scanned(head)?;
            let payload = workspace::scan(workspace, payload);
            return Ok(Checked { payload, length: None, class: None, value: None, mentions });
        }
        (Some(guard), _) => guard,
    };
    let most = guard.max_body();
    let size = announced(head).unwrap_or(most);
    if size > most {
        return Err(BodyError::TooLarge(most));
    }
    // Before a byte of it is asked for: what waits for room is not in this process.
    let share = room.share(principal, size).await?;
    let body = read(payload, size, connection, stall_budget).await;
    if let Some(connection) = connection {
        connection.uploaded(None);
    }
    let body = Bytes::from_owner(Held { body: body?, _share: share });
    let (mut class, mut value) = (None, None);
    if guard == Guard::GraphQl {
        if !only_reads(&body)? {
            super::allow(policy, principal, route.rule(), RouteClass::Write, None)?;
            class = Some(RouteClass::Write);
        }
    } else if !body.is_empty() {
        let parsed = parse(&body)?;
        if let Some(found) = route.rule().tagging.and_then(|tagging| tags::find(tagging, &parsed)) {
            if let (true, Some(workspace)) = (found.is_order, &principal.workspace) {
                return Err(workspace::order(workspace).into());
            }
            super::allow(policy, principal, route.rule(), found.class, Some(found.tag))?;
            class = Some(found.class);
        }
        if let (Some(upload), Value::String(path)) = (Upload::named_by(route.rule()), &parsed["path"]) {
            upload.names_file(path).map_err(BodyError::Path)?;
        }
        if let Some(workspace) = &principal.workspace {
            mentions = workspace::check_body(workspace, route, &parsed)?;
        }
        value = Some(parsed);
    }
    let length = Some(body.len());
    let payload = Payload::Stream { payload: stream::iter([Ok(body)]).boxed_local() };
    Ok(Checked { payload, length, class, value, mentions })
}

/// Spans are looked at as bytes, which protobuf leaves as they are, and JSON and compression do not.
fn can_be_scanned(head: &RequestHead) -> Result<(), BodyError> {
    let is_protobuf = head.headers.get_all(CONTENT_TYPE).eq(["application/x-protobuf"]);
    if is_protobuf && !head.headers.contains_key(CONTENT_ENCODING) {
        return Ok(());
    }
    let what = "is not plain application/x-protobuf, the one form in which a key that is bound to a workspace may send spans";
    Err(BodyError::Ambiguous(what))
}

/// How long a body will be, if that is known.
fn announced(head: &RequestHead) -> Option<usize> {
    if head.headers.contains_key(TRANSFER_ENCODING) {
        return None;
    }
    head.headers.get(CONTENT_LENGTH).map_or(Some(0), |length| length.to_str().ok()?.trim().parse().ok())
}

/// A body, and its share of the room for as long as anybody has it.
struct Held {
    body: Vec<u8>,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

async fn read(
    mut payload: Payload,
    most: usize,
    connection: Option<&Connection>,
    mut stall_budget: StallBudget,
) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::with_capacity(most);
    loop {
        if let Some(connection) = connection {
            connection.uploaded(Some(body.len() as u64));
        }
        let since = Instant::now();
        let next = timeout(stall_budget.left(), payload.next()).await.map_err(|_| BodyError::Stalled)?;
        let Some(chunk) = next.transpose().map_err(BodyError::Broken)? else { break };
        if body.len() + chunk.len() > most {
            return Err(BodyError::TooLarge(most));
        }
        stall_budget.credit(chunk.len(), since.elapsed());
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An object, or a text that holds one: of elder clients MLflow decodes it a second time (mlflow/server/handlers.py,
/// `_get_normalized_request_json`).
fn parse(body: &[u8]) -> Result<Value, BodyError> {
    let value = match json::read(body) {
        Ok(Value::String(text)) => json::read(text.as_bytes()),
        other => other,
    };
    match value {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(BodyError::Ambiguous("cannot be read as JSON in one way only: it is not an object")),
        Err(fault) => Err(BodyError::NotJson(fault)),
    }
}

fn only_reads(body: &[u8]) -> Result<bool, BodyError> {
    let request = parse(body)?;
    let refuse = BodyError::Ambiguous;
    let document =
        request["query"].as_str().ok_or_else(|| refuse("has no GraphQL document in its field `query`"))?;
    let name = match &request["operationName"] {
        Value::Null => None,
        Value::String(name) => Some(name.as_str()),
        _ => return Err(refuse("has an `operationName` that is not a text")),
    };
    graphql::only_reads(document, name).map_err(BodyError::GraphQl)
}
