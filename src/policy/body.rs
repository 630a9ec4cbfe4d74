//! Bodies that a decision depends on: read first, accepted only if they are unambiguous, and forwarded unchanged.

mod arrival;
mod checked;
mod inspection;
mod spans;

use actix_web::{
    dev::{Payload, RequestHead},
    error::PayloadError,
    web::Bytes,
};
use serde_json::Value;

use self::{
    arrival::{HELD_BY_AWC, whole},
    inspection::{Inspection, Plan},
    spans::Encoding,
};
use super::{
    BodyMemory, BodyMemoryFull, Grant, MissingScope, direct_upload, graphql, json, tags, tell_of_ownership,
    workspace::{self, ModelReferences, WorkspaceViolation},
};
use crate::{
    auth::Principal,
    connection::Connection,
    parse_fault::ParseFault,
    routing::{Body, Named, Rule},
    settings::Policy,
    stall_budget::StallBudget,
    vocabulary::RouteClass,
};
pub(crate) use arrival::{announced, read};
pub(crate) use checked::CheckedBody;
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
    let principal = grant.principal();
    let Plan { inspection, most, only_reports } = Plan::of(grant, head);
    let size = announced(head);
    let inspection = match (inspection, &principal.workspace, size) {
        (Some(Inspection::Scan), Some(workspace), _) => {
            spans::can_be_scanned(head)?;
            return Ok(CheckedBody::unread(workspace::scan(workspace, payload)));
        }
        (Some(inspection), ..) => inspection,
        (None, _, Some(size @ 1..=HELD_BY_AWC)) => {
            let body = read(payload, size, connection, stall_budget).await?;
            return Ok(CheckedBody::unread(whole(body)));
        }
        (None, ..) => return Ok(CheckedBody::unread(payload)),
    };
    let encoding = match inspection {
        // One of unknown length is not begun, for what was read of it would be missing.
        _ if size > Some(most) || (only_reports && size.is_none()) => Err(BodyError::TooLarge(most)),
        Inspection::Spans => Encoding::of(head, principal.workspace.is_some()).map(Some),
        _ => Ok(None),
    };
    let encoding = match encoding {
        Err(error) if only_reports => {
            tell_of_ownership(principal, &error, 0);
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
            tell_of_ownership(principal, &error, 0);
            Ok(CheckedBody::read(body))
        }
        Err(error) => Err(error),
    }
}

fn check_text(
    policy: &Policy,
    grant: &Grant,
    inspection: Inspection,
    body: &Bytes,
) -> Result<CheckedBody, BodyError> {
    let (principal, route) = (grant.principal(), grant.route());
    let (mut class, mut value, mut models) = (None, None, ModelReferences::default());
    let glanced = glance(route.rule(), principal, body);
    if inspection == Inspection::GraphQl {
        if !only_reads(body)? {
            super::allow(policy, principal, route.rule(), RouteClass::Write, None)?;
            class = Some(RouteClass::Write);
        }
    } else if glanced.is_none() && !body.is_empty() {
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
    Ok(CheckedBody { class, value, glanced, models, ..CheckedBody::read(body.clone()) })
}

/// The subjects of a body that is read for them alone.
fn glance(rule: &Rule, principal: &Principal, body: &[u8]) -> Option<Vec<Named>> {
    let is_for_subjects = rule.body == Body::Any && rule.tagging.is_none() && rule.stamp.is_none();
    let is_parsed = principal.workspace.is_some() || direct_upload::is_checked(rule);
    let subjects = rule.subjects.as_ref().filter(|_| is_for_subjects && !is_parsed)?;
    subjects.at_a_glance(body)
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
