//! Bodies that a decision depends on: read first, accepted only if they are unambiguous, and forwarded unchanged.

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
    BodyMemory, BodyMemoryFull, Grant, MissingScope, direct_upload, graphql, json, tags,
    workspace::{self, ModelReferences, WorkspaceViolation},
};
use crate::{
    auth::Principal,
    connection::Connection,
    head::has_body,
    parse_fault::ParseFault,
    routing::{Body, BodyCheck, Named, Rule},
    settings::Policy,
    stall_budget::StallBudget,
    vocabulary::RouteClass,
};

/// The largest body that is read, in bytes.
const MAX_BODY: usize = 1024 * 1024;
/// The largest GraphQL body: MLflow's UI sends about 4 KiB.
const MAX_GRAPHQL: usize = 64 * 1024;

/// Why a body is not forwarded.
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
    MemoryFull(#[from] BodyMemoryFull),
    #[error("the client stalled in the middle of its body")]
    Stalled,
    #[error("the request's body broke off")]
    Broken(#[source] PayloadError),
    /// The path of an artifact in the body.
    #[error("the path in the request's body {0}")]
    Path(&'static str),
    #[error(transparent)]
    Scope(#[from] Box<MissingScope>),
    #[error(transparent)]
    Workspace(#[from] WorkspaceViolation),
}

/// How a body is inspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inspection {
    /// Read as JSON: for tags, for the classes that change a lot, and for keys bound to a workspace. MLflow takes the parameters
    /// of a GET without a query from its body, as JSON whatever its type (mlflow/server/handlers.py, `_get_request_message`).
    Json,
    /// Read as GraphQL, for its operation.
    GraphQl,
    /// Scanned as it passes, for tags that lead out of a workspace.
    Spans,
}

fn inspection(rule: &Rule, is_bound: bool, is_judged: bool) -> Option<Inspection> {
    match rule.body {
        Body::Json | Body::Form => Some(Inspection::Json),
        Body::GraphQl => Some(Inspection::GraphQl),
        Body::Spans => is_bound.then_some(Inspection::Spans),
        Body::Any => {
            let may_lead_out = rule.class == RouteClass::TraceWrite
                || rule.method == Method::GET
                || rule.check == Some(BodyCheck::Models);
            let is_read = (is_bound && may_lead_out) || (is_judged && rule.has_subject_in_body());
            (is_read || direct_upload::is_checked(rule)).then_some(Inspection::Json)
        }
    }
}

/// Whether MLflow takes a body for a form. A repeated type is ambiguous: some use the first value, others both.
fn is_form(head: &RequestHead) -> bool {
    let mut types = head.headers.get_all(CONTENT_TYPE);
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    let essence = only.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim_end().eq_ignore_ascii_case("multipart/form-data")
}

impl Inspection {
    fn max_body(self) -> usize {
        if self == Self::GraphQl { MAX_GRAPHQL } else { MAX_BODY }
    }
}

/// What happens to the bodies of a route, for `explain`.
pub(crate) fn treatment(rule: &Rule) -> &'static str {
    if rule.method == Method::GET && !rule.parameters.is_empty() {
        return "none: a GET that has one is refused, for its parameters are judged in the query";
    }
    match (inspection(rule, false, false), inspection(rule, true, true)) {
        _ if rule.body == Body::Form => {
            "multipart/form-data passed on as it comes; else read first: JSON that can be read in one way only, up to 1 MiB"
        }
        (Some(Inspection::GraphQl), _) => {
            "read first: a GraphQL mutation requires the scopes of the class write"
        }
        _ if rule.tagging.is_some() => {
            "read first: JSON that can be read in one way only, up to 1 MiB; a protected tag requires admin or delete"
        }
        (Some(_), _) => "read first: JSON that can be read in one way only, up to 1 MiB",
        (None, Some(_)) => {
            "passed on as it comes; read first for a key of a workspace or with a fence, and where ownership is on"
        }
        (None, None) => "passed on as it comes",
    }
}

/// A body that may be forwarded.
pub(crate) struct CheckedBody {
    pub(crate) payload: Payload,
    /// The length in bytes, if it was read.
    pub(crate) length: Option<usize>,
    /// The class of the request, if the body makes it another than the route's: a GraphQL mutation, a tag.
    pub(crate) class: Option<RouteClass>,
    /// The JSON, if it was parsed.
    pub(crate) value: Option<Value>,
    /// The subjects of a body that need not be parsed.
    pub(crate) subjects: Option<Vec<Named>>,
    pub(crate) models: ModelReferences,
}

impl CheckedBody {
    pub(crate) fn unread(payload: Payload) -> Self {
        Self {
            payload,
            length: None,
            class: None,
            value: None,
            subjects: None,
            models: ModelReferences::default(),
        }
    }
}

/// Reads and checks the body where the route requires it; other bodies are not touched.
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
    memory: &BodyMemory,
) -> Result<CheckedBody, BodyError> {
    let (principal, route) = (grant.principal(), grant.route());
    let inspection = inspection(route.rule(), principal.workspace.is_some(), grant.is_judged());
    let is_get = [Method::GET, Method::HEAD].contains(&head.method);
    let has_none = is_get && !has_body(&head.headers);
    let inspection = inspection.filter(|inspection| *inspection != Inspection::Json || !has_none);
    let inspection = match (inspection, &principal.workspace) {
        (Some(_), _) if route.rule().body == Body::Form && is_form(head) => {
            return Ok(CheckedBody::unread(payload));
        }
        (None, _) => {
            let payload = match announced(head) {
                Some(size @ 1..=HELD_BY_AWC) => {
                    whole(Bytes::from(read(payload, size, connection, stall_budget).await?))
                }
                _ => payload,
            };
            return Ok(CheckedBody::unread(payload));
        }
        (Some(Inspection::Spans), Some(workspace)) => {
            can_be_scanned(head)?;
            let payload = workspace::scan(workspace, payload);
            return Ok(CheckedBody::unread(payload));
        }
        (Some(inspection), _) => inspection,
    };
    let most = inspection.max_body();
    let size = announced(head).unwrap_or(most);
    if size > most {
        return Err(BodyError::TooLarge(most));
    }
    // Before a byte of it is asked for: what waits for room is not in this process.
    let reservation = memory.reserve(principal, size).await?;
    let body = read(payload, size, connection, stall_budget).await?;
    let body = reservation.hold(body);
    let (mut class, mut value, mut models) = (None, None, ModelReferences::default());
    let subjects = glance(route.rule(), principal, &body);
    if inspection == Inspection::GraphQl {
        if !only_reads(&body)? {
            super::allow(policy, principal, route.rule(), RouteClass::Write, None)?;
            class = Some(RouteClass::Write);
        }
    } else if subjects.is_none() && !body.is_empty() {
        let parsed = parse(&body)?;
        if let Some(change) = route.rule().tagging.and_then(|tagging| tags::find(tagging, &parsed)) {
            if let (true, Some(workspace)) = (change.is_trigger, &principal.workspace) {
                return Err(workspace::trigger_tag(workspace).into());
            }
            super::allow(policy, principal, route.rule(), change.class, Some(change.tag))?;
            class = Some(change.class);
        }
        if let Value::String(path) = &parsed["path"] {
            direct_upload::check_path(route.rule(), path).map_err(BodyError::Path)?;
        }
        if let Some(workspace) = &principal.workspace {
            models = workspace::check_body(workspace, route, &parsed)?;
        }
        value = Some(parsed);
    }
    let length = Some(body.len());
    Ok(CheckedBody { payload: whole(body), length, class, value, subjects, models })
}

/// The subjects of a body that is read for them alone.
fn glance(rule: &Rule, principal: &Principal, body: &[u8]) -> Option<Vec<Named>> {
    let is_for_subjects = rule.body == Body::Any && rule.tagging.is_none() && rule.stamp.is_none();
    let is_parsed = principal.workspace.is_some() || direct_upload::is_checked(rule);
    let subjects = rule.subjects.as_ref().filter(|_| is_for_subjects && !is_parsed)?;
    subjects.at_a_glance(body)
}

impl CheckedBody {
    /// Replaces the body by what became of its JSON.
    pub(crate) fn rewrite(&mut self, value: &Value) {
        let body = value.to_string();
        self.length = Some(body.len());
        self.payload = whole(body.into());
    }
}

/// A body of this length reaches MLflow only when all of it is there (awc 3.11, client/h1proto.rs, `send_body`). It is read before a
/// connection is taken, which MLflow could close while the client pauses.
const HELD_BY_AWC: usize = 8 * 1024;

fn whole(body: Bytes) -> Payload {
    Payload::Stream { payload: stream::iter([Ok(body)]).boxed_local() }
}

/// Spans are scanned as bytes: protobuf keeps texts as they are, JSON and compression do not.
fn can_be_scanned(head: &RequestHead) -> Result<(), BodyError> {
    let is_protobuf = head.headers.get_all(CONTENT_TYPE).eq(["application/x-protobuf"]);
    if is_protobuf && !head.headers.contains_key(CONTENT_ENCODING) {
        return Ok(());
    }
    let what = "is not plain application/x-protobuf, the one form in which a key that is bound to a workspace may send spans";
    Err(BodyError::Ambiguous(what))
}

/// The announced length of a body.
fn announced(head: &RequestHead) -> Option<usize> {
    if head.headers.contains_key(TRANSFER_ENCODING) {
        return None;
    }
    head.headers.get(CONTENT_LENGTH).map_or(Some(0), |length| length.to_str().ok()?.trim().parse().ok())
}

async fn read(
    mut payload: Payload,
    most: usize,
    connection: Option<&Connection>,
    mut stall_budget: StallBudget,
) -> Result<Vec<u8>, BodyError> {
    let tell = |uploaded| connection.into_iter().for_each(|connection| connection.uploaded(uploaded));
    let mut body = Vec::with_capacity(most);
    let reading = async {
        loop {
            tell(Some(body.len() as u64));
            let since = Instant::now();
            let next = timeout(stall_budget.left(), payload.next()).await.map_err(|_| BodyError::Stalled)?;
            let Some(chunk) = next.transpose().map_err(BodyError::Broken)? else { return Ok(()) };
            if body.len() + chunk.len() > most {
                return Err(BodyError::TooLarge(most));
            }
            stall_budget.credit(chunk.len(), since.elapsed());
            body.extend_from_slice(&chunk);
        }
    };
    let outcome = reading.await;
    tell(None);
    outcome.map(|()| body)
}

/// An object, or a JSON text that contains one, as old clients send it: MLflow decodes it twice (mlflow/server/handlers.py,
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
