//! Bodies that a decision depends on: read first, accepted only if they are unambiguous, and forwarded unchanged.

mod arrival;
mod inspection;
mod spans;

use std::mem;

use actix_web::{
    dev::{Payload, RequestHead},
    error::PayloadError,
    http::Method,
    web::Bytes,
};
use serde_json::{Map, Value};

use self::{
    arrival::{HELD_BY_AWC, announced, read, whole},
    inspection::{Inspection, Plan, is_form},
    spans::Encoding,
};
use super::{
    BodyMemory, BodyMemoryFull, Grant, MissingScope,
    body_memory::Reservation,
    direct_upload, graphql, json, tags,
    workspace::{self, ModelReferences, WorkspaceViolation},
};
use crate::{
    auth::Principal,
    connection::Connection,
    head::has_body,
    parse_fault::ParseFault,
    routing::{Body, Named, Rule},
    settings::Policy,
    stall_budget::StallBudget,
    vocabulary::RouteClass,
};
pub(crate) use inspection::treatment;
pub(crate) use spans::SpansBody;

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
    #[error("the body is larger than {} KiB when it is decompressed, the most that is read of a request like this one", .0 / 1024)]
    TooLargeInside(usize),
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
    /// The spans, if they were read.
    pub(crate) spans: Option<SpansBody>,
    /// Whether it came compressed, and goes on as it was read.
    pub(crate) is_decompressed: bool,
    pub(crate) models: ModelReferences,
    /// The memory that it takes, if it was read.
    reservation: Option<Reservation>,
}

impl CheckedBody {
    pub(crate) fn unread(payload: Payload) -> Self {
        Self {
            payload,
            length: None,
            class: None,
            value: None,
            subjects: None,
            spans: None,
            is_decompressed: false,
            models: ModelReferences::default(),
            reservation: None,
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
    let Plan { inspection, most, only_reports } = Plan::of(grant);
    let has_none = [Method::GET, Method::HEAD].contains(&head.method) && !has_body(&head.headers);
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
        (Some(Inspection::Scan), Some(workspace)) => {
            spans::can_be_scanned(head)?;
            return Ok(CheckedBody::unread(workspace::scan(workspace, payload)));
        }
        (Some(inspection), _) => inspection,
    };
    let size = announced(head);
    let encoding = match inspection {
        // One of unknown length is not begun, for what was read of it would be missing.
        _ if only_reports && size.is_none() => Err(BodyError::TooLarge(most)),
        _ if size > Some(most) => Err(BodyError::TooLarge(most)),
        Inspection::Spans if principal.workspace.is_some() => {
            spans::can_be_scanned(head).and_then(|()| Encoding::of(head)).map(Some)
        }
        Inspection::Spans => Encoding::of(head).map(Some),
        _ => Ok(None),
    };
    let encoding = match encoding {
        Err(error) if only_reports => {
            report(principal, &error);
            return Ok(CheckedBody::unread(payload));
        }
        encoding => encoding?,
    };
    // Before a byte of it is asked for: what waits for room is not in this process.
    let size = size.unwrap_or(most);
    let is_compressed = encoding.is_some_and(Encoding::is_compressed);
    let reservation = memory.reserve(principal, if is_compressed { most } else { size }).await?;
    let body = reservation.hold(read(payload, size, connection, stall_budget).await?);
    let checked = match encoding {
        Some(encoding) => spans::check(principal, encoding, &body, most, &reservation),
        None => check_text(policy, grant, inspection, &body),
    };
    match checked {
        Ok(checked) => Ok(CheckedBody { reservation: Some(reservation), ..checked }),
        Err(error) if only_reports => {
            report(principal, &error);
            Ok(CheckedBody { length: Some(body.len()), ..CheckedBody::unread(whole(body)) })
        }
        Err(error) => Err(error),
    }
}

/// Where ownership only reports, it refuses nothing.
fn report(principal: &Principal, error: &BodyError) {
    let Principal { key_id, user_id, .. } = principal;
    tracing::info!(key_id, user_id, denied = %error, "ownership would have denied this");
}

fn check_text(
    policy: &Policy,
    grant: &Grant,
    inspection: Inspection,
    body: &Bytes,
) -> Result<CheckedBody, BodyError> {
    let (principal, route) = (grant.principal(), grant.route());
    let (mut class, mut value, mut models) = (None, None, ModelReferences::default());
    let subjects = glance(route.rule(), principal, body);
    if inspection == Inspection::GraphQl {
        if !only_reads(body)? {
            super::allow(policy, principal, route.rule(), RouteClass::Write, None)?;
            class = Some(RouteClass::Write);
        }
    } else if subjects.is_none() && !body.is_empty() {
        let parsed = parse(body)?;
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
    let unread = CheckedBody::unread(whole(body.clone()));
    Ok(CheckedBody { length: Some(body.len()), class, value, subjects, models, ..unread })
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
    pub(crate) fn rewrite(&mut self) {
        let (Some(value), Some(reservation)) = (&self.value, &self.reservation) else { return };
        let body = value.to_string().into_bytes();
        self.length = Some(body.len());
        self.payload = whole(reservation.hold(body));
    }

    /// Drops most of a JSON of very many values: they take 300 bytes of memory each, and MLflow is waited for. Requests of its
    /// clients stay as they are, but for long lists.
    pub(crate) fn shrink(&mut self) {
        if let Some(value) = &mut self.value {
            prune(value, &mut (64 + self.length.unwrap_or_default() / 100));
        }
    }
}

/// Keeps as many values as are left; texts and numbers first, then what is in lists and objects.
fn prune(value: &mut Value, left: &mut usize) {
    let mut may_stay = |value: &mut Value| {
        let is_counted = *left > 0;
        *left = left.saturating_sub(1);
        if is_counted {
            prune(value, left);
        }
        is_counted
    };
    match value {
        Value::Array(items) => {
            items.retain_mut(may_stay);
            items.shrink_to_fit();
        }
        Value::Object(fields) => {
            let is_nested = |value: &Value| value.is_array() || value.is_object();
            let (nested, plain): (Map<_, _>, Map<_, _>) =
                mem::take(fields).into_iter().partition(|(_, value)| is_nested(value));
            let kept = plain.into_iter().chain(nested);
            *fields =
                kept.filter_map(|(name, mut value)| may_stay(&mut value).then_some((name, value))).collect();
        }
        _ => {}
    }
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

#[cfg(test)]
mod tests;
