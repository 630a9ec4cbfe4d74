//! Which requests leave a record in the audit stream, and what is in it; who completes it is the exchange.

use actix_web::HttpRequest;
use serde_json::Value;

use crate::{
    audit::{AuditTrail, Lane, NotKept, Operation, Record},
    exchange::Exchange,
    head,
    routing::{Route, Routes},
};

/// That of a request that is about to be forwarded, and may change something.
///
/// # Errors
/// Where it must be kept: that it cannot be.
pub(super) async fn change(
    trail: &AuditTrail,
    request: &HttpRequest,
    exchange: &Exchange,
    route: &Route,
    body: Option<Value>,
) -> Result<(), NotKept> {
    if !trail.is_kept() {
        return Ok(());
    }
    let (request_id, client_ip) = (exchange.context().request_id(), exchange.client().ip);
    let mut record = Record::of(request, request_id, client_ip, Some(operation(route)), body.as_ref());
    // What was parsed takes many times as much memory as the body: it is not kept while somebody is waited for.
    drop(body);
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
    let operation = route.as_ref().map(operation);
    let (request_id, client_ip) = (exchange.context().request_id(), exchange.client().ip);
    let mut record = Record::of(request, request_id, client_ip, operation, None);
    if lane == Lane::Strangers {
        record.shorten();
    }
    exchange.set_record(lane, record);
}

fn operation(route: &Route) -> Operation<'_> {
    Operation { pattern: &route.rule().pattern, path: route.path(), query: route.target().query() }
}
