//! Which requests leave a record in the audit stream, and what is in it; who completes it is the exchange.

use actix_web::{HttpRequest, http::header::HeaderMap};
use serde_json::Value;

use super::ownership::Findings;
use crate::{
    audit::{About, AuditTrail, Lane, Name, NotKept, Operation, Record},
    exchange::Exchange,
    head,
    ownership::Target,
    routing::{Named, Route, Routes},
};

/// What is known of a request that names what it changes.
pub(super) fn about(headers: &HeaderMap, route: &Route, findings: &Findings, body: Option<&Value>) -> About {
    let readable = findings.named.is_none().then(|| route.readable_subjects(headers, body));
    let named = findings.named.as_ref().or(readable.as_ref()).map_or(&[][..], Vec::as_slice);
    About::of(&operation(route, named), body).owned_by(findings.targets.iter().map(Target::owner))
}

/// That of a request that is about to be forwarded, and may change something.
///
/// # Errors
/// Where it must be kept: that it cannot be.
pub(super) async fn change(
    trail: &AuditTrail,
    request: &HttpRequest,
    exchange: &Exchange,
    route: &Route,
    findings: Findings,
    body: Option<Value>,
) -> Result<(), NotKept> {
    if !trail.is_kept() {
        return Ok(());
    }
    let (request_id, client_ip) = (exchange.context().request_id(), exchange.client().ip);
    let about = about(request.headers(), route, &findings, body.as_ref());
    // What was parsed takes many times as much memory as the body: it is not kept while somebody is waited for.
    drop((findings, body));
    let mut record = Record::of(request, request_id, client_ip, Some(&route.rule().pattern), about);
    if trail.must_keep() {
        record.begun = Some(trail.begin(exchange.begun_record(record.clone())).await?);
    }
    exchange.set_record(Lane::Changes, record);
    Ok(())
}

/// That of a request that was refused, unless there are so many that it is only counted.
pub(super) fn refusal(trail: &AuditTrail, request: &HttpRequest, exchange: &Exchange, routes: &Routes) {
    if !trail.is_kept() {
        return;
    }
    let Some(lane) = trail.admit_refusal(&exchange.source()) else { return };
    let route = head::inspect(request.head()).ok().and_then(|sound| routes.resolve(sound).ok());
    let of_head = |route| about(request.headers(), route, &Findings::default(), None);
    let about = exchange.take_about().or_else(|| route.as_ref().map(of_head)).unwrap_or_default();
    let pattern = route.as_ref().map(|route| &*route.rule().pattern);
    let (request_id, client_ip) = (exchange.context().request_id(), exchange.client().ip);
    let mut record = Record::of(request, request_id, client_ip, pattern, about);
    if lane == Lane::Strangers {
        record.shorten();
    }
    exchange.set_record(lane, record);
}

fn operation<'a>(route: &'a Route, named: &'a [Named]) -> Operation<'a> {
    // A mutation of GraphQL has no name.
    let named = named.iter().filter(|named| !named.id.is_empty());
    let name = |named: &'a Named| Name { field: &named.field, id: &named.id, is_listed: named.is_listed };
    Operation {
        pattern: &route.rule().pattern,
        path: route.path(),
        query: route.target().query(),
        names: named.map(name).collect(),
    }
}
