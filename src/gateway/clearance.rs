//! Whose the things are that a request changes: asked between the body and the audit record.

use std::{rc::Rc, sync::Arc};

use actix_web::{
    dev::RequestHead,
    http::{StatusCode, header::HeaderName},
    web::Bytes,
};

use super::Gateway;
use crate::{
    error::GatewayError,
    ownership::{self, AskMlflow, Claim, Clearance, Ownership, OwnershipError, Reserved, Target, Unanswered},
    policy::{
        Grant,
        body::{BodyError, CheckedBody},
    },
    proxy::Proxy,
    routing::{Body, Kind, Named},
    settings::{Mode, Policy},
    vocabulary::RouteClass,
};

/// Asks MLflow for the gateway, as forwarded requests do.
#[derive(Debug, Clone)]
pub(super) struct Asker(pub(super) Rc<Proxy>);

impl AskMlflow for Asker {
    async fn get(
        &self,
        path: String,
        workspace: Option<Arc<str>>,
        most: usize,
    ) -> Result<(StatusCode, Bytes), Unanswered> {
        let answer = self.0.get(&path, workspace.as_deref(), most).await;
        answer.map_err(|error| Unanswered::Unreached(error.to_string()))
    }
}

/// What a change names, and whose that is, as far as it is known: for its record.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// `None`: they were not read, or cannot be.
    pub(super) subjects: Option<Vec<Named>>,
    pub(super) targets: Vec<Target>,
}

impl Gateway {
    /// As [`clear`], with what this worker has.
    pub(super) async fn clear(
        &self,
        policy: &Policy,
        grant: &Grant,
        head: &RequestHead,
        checked: &mut CheckedBody,
        found: &mut Found,
    ) -> Result<Clearance, GatewayError> {
        let asker = Asker(Rc::clone(&self.proxy));
        clear(&self.shared.ownership, &asker, policy, grant, head, checked, found).await
    }
}

/// Judges a change, and writes into a create who makes it.
///
/// # Errors
/// Something that the key may not change, or that MLflow does not tell the owner of.
pub(crate) async fn clear<M: AskMlflow>(
    ownership: &Ownership,
    mlflow: &M,
    policy: &Policy,
    grant: &Grant,
    head: &RequestHead,
    checked: &mut CheckedBody,
    found: &mut Found,
) -> Result<Clearance, GatewayError> {
    if !grant.is_judged() {
        return Ok(Clearance::default());
    }
    let (route, principal) = (grant.route(), grant.principal());
    found.subjects = match route.rule().body {
        Body::GraphQl if checked.class != Some(RouteClass::Write) => return Ok(Clearance::default()),
        Body::GraphQl => Some(vec![mutation()]),
        _ if checked.subjects.is_some() => checked.subjects.take(),
        _ => route.subjects(head.headers(), checked.value.as_ref()).map_err(OwnershipError::from)?,
    };
    let reserved = checked.value.as_ref().map_or(Reserved::None, |body| Reserved::None.in_body(body));
    let claim = Claim {
        principal,
        is_administrator: grant.is_administrator(),
        policy,
        workspace: workspace(grant, head),
        subjects: found.subjects.as_deref(),
        reserved: reserved.in_path(route.path()),
    };
    let clearance = ownership.clear(mlflow, route.rule(), &claim, &mut found.targets).await?;
    if let (Some(stamp), Some(value)) = (route.rule().stamp, &mut checked.value)
        && policy.ownership != Mode::Off
    {
        ownership::stamp(stamp, principal, value).map_err(BodyError::Ambiguous)?;
        let stamped = checked.value.take();
        stamped.iter().for_each(|value| checked.rewrite(value));
        checked.value = stamped;
    }
    Ok(clearance)
}

fn mutation() -> Named {
    Named { kind: Kind::Mutation, field: "query".to_owned(), id: String::new(), is_listed: false }
}

/// The workspace that MLflow will read: the key's, or that of the request's own header.
fn workspace(grant: &Grant, head: &RequestHead) -> Option<Arc<str>> {
    const WORKSPACE: HeaderName = HeaderName::from_static("x-mlflow-workspace");
    match &grant.principal().workspace {
        Some(workspace) => Some(workspace.as_str().into()),
        None => Some(head.headers().get(WORKSPACE)?.to_str().ok()?.into()),
    }
}
