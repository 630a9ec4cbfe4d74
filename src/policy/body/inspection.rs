//! Which bodies are inspected, and how.

use actix_web::{
    dev::RequestHead,
    http::{Method, header::CONTENT_TYPE},
};

use crate::{
    head::has_body,
    policy::{Grant, direct_upload},
    routing::{Body, BodyCheck, Rule},
    vocabulary::RouteClass,
};

/// The largest body that is read, in bytes.
const MAX_BODY: usize = 1024 * 1024;
/// Likewise where it matters whose the things are that it names: then bodies are read that can be larger, up to what a key may
/// have in memory. MLflow's client sends up to 1.7 MB in one `log-batch`.
const MAX_JUDGED: usize = 4 * 1024 * 1024;
/// The largest GraphQL body: MLflow's UI sends about 4 KiB.
const MAX_GRAPHQL: usize = 64 * 1024;

/// How a body is inspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inspection {
    /// Read as JSON: for tags, for the classes that change a lot, for keys bound to a workspace, and where it matters whose the
    /// things are that it names. MLflow takes the parameters of a GET without a query from its body, as JSON whatever its type
    /// (mlflow/server/handlers.py, `_get_request_message`).
    Json,
    /// Read as GraphQL, for its operation.
    GraphQl,
    /// Read as spans, for the traces that they are added to.
    Spans,
    /// Scanned as it passes, for tags that lead out of a workspace.
    Scan,
}

/// What a decision about a request's body depends on.
#[derive(Debug, Clone, Copy)]
struct Circumstances {
    /// Whether the key is bound to a workspace.
    is_bound: bool,
    /// Whether it matters whose the things are that the request names.
    is_judged: bool,
    /// Whether the key may be refused for that: an administrator without a fence may not.
    may_be_refused: bool,
}

impl Circumstances {
    const NONE: Self = Self { is_bound: false, is_judged: false, may_be_refused: false };
    const ALL: Self = Self { is_bound: true, is_judged: true, may_be_refused: true };
}

/// What is to be done with a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) inspection: Option<Inspection>,
    /// Bytes that are read of it.
    pub(super) most: usize,
    /// Whether it is read for nothing but a report of ownership, which refuses nothing.
    pub(super) only_reports: bool,
}

impl Plan {
    pub(super) fn of(grant: &Grant, head: &RequestHead) -> Self {
        let rule = grant.route().rule();
        let (is_judged, may_be_refused) = (grant.is_judged(), grant.may_be_refused());
        let circumstances =
            Circumstances { is_bound: grant.principal().workspace.is_some(), is_judged, may_be_refused };
        let without_owners =
            inspection(rule, Circumstances { is_bound: circumstances.is_bound, ..Circumstances::NONE });
        let inspection = match (inspection(rule, circumstances), without_owners) {
            (Some(Inspection::Spans), Some(Inspection::Scan)) if grant.only_reports() => without_owners,
            (Some(Inspection::Json), _) if has_no_json(rule, head) => None,
            (inspection, _) => inspection,
        };
        let most = match inspection {
            Some(Inspection::GraphQl) => MAX_GRAPHQL,
            _ if is_judged => MAX_JUDGED,
            _ => MAX_BODY,
        };
        Self { inspection, most, only_reports: grant.only_reports() && without_owners.is_none() }
    }
}

fn inspection(rule: &Rule, circumstances: Circumstances) -> Option<Inspection> {
    let Circumstances { is_bound, is_judged, may_be_refused } = circumstances;
    // An operator's row may say otherwise of the body, and MLflow reads spans all the same.
    if may_be_refused && rule.names_spans() {
        return Some(Inspection::Spans);
    }
    match rule.body {
        Body::Json | Body::Form => Some(Inspection::Json),
        Body::GraphQl => Some(Inspection::GraphQl),
        Body::Spans => is_bound.then_some(Inspection::Scan),
        Body::Any => {
            let may_lead_out = rule.class == RouteClass::TraceWrite
                || rule.method == Method::GET
                || rule.check == Some(BodyCheck::Models);
            let is_read = (is_bound && may_lead_out) || (is_judged && rule.has_subject_in_body());
            (is_read || direct_upload::is_checked(rule)).then_some(Inspection::Json)
        }
    }
}

/// Whether a request has no body, or a form, which is not read.
fn has_no_json(rule: &Rule, head: &RequestHead) -> bool {
    let is_absent = [Method::GET, Method::HEAD].contains(&head.method) && !has_body(&head.headers);
    is_absent || (rule.body == Body::Form && is_form(head))
}

/// Whether MLflow takes a body for a form. A repeated type is ambiguous: some use the first value, others both.
fn is_form(head: &RequestHead) -> bool {
    let mut types = head.headers.get_all(CONTENT_TYPE);
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    let essence = only.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim_end().eq_ignore_ascii_case("multipart/form-data")
}

/// What happens to the bodies of a route, for `explain`.
pub(crate) fn treatment(rule: &Rule) -> &'static str {
    if rule.method == Method::GET && !rule.parameters.is_empty() {
        return "none: a GET that has one is refused, for its parameters are judged in the query";
    }
    match (inspection(rule, Circumstances::NONE), inspection(rule, Circumstances::ALL)) {
        _ if rule.body == Body::Form => {
            "multipart/form-data passed on as it comes; else read first: JSON that can be read in one way only, up to 1 MiB"
        }
        (Some(Inspection::GraphQl), _) => {
            "read first: a GraphQL mutation requires the scopes of the class write"
        }
        _ if rule.tagging.is_some() => {
            "read first: JSON that can be read in one way only, up to 1 MiB (4 MiB where ownership is on); a protected tag requires \
             admin or delete"
        }
        (Some(_), _) => {
            "read first: JSON that can be read in one way only, up to 1 MiB (4 MiB where ownership is on)"
        }
        (None, Some(Inspection::Spans)) => {
            "passed on as it comes; scanned for a key of a workspace; read first, up to 4 MiB, for a key with a fence, and where \
             ownership is on"
        }
        (None, Some(_)) => {
            "passed on as it comes; read first for a key of a workspace or with a fence, and where ownership is on"
        }
        (None, None) => "passed on as it comes",
    }
}
