//! The part of the walk behind the permission, for `explain`: what a request with this body changes, and whose that is. Nothing is
//! forwarded.

use std::{rc::Rc, sync::Arc};

use actix_web::{
    dev::{Payload, RequestHead},
    web::Bytes,
};
use futures_util::{StreamExt as _, stream};

use super::{
    ownership::{Asker, Findings, OwnershipCheck},
    records,
};
use crate::{
    audit::About,
    error::GatewayError,
    ownership::Ownership,
    policy::{self, BodyMemory, Grant, body::CheckedBody},
    proxy::Proxy,
    resources::Resources,
    routing::{Rule, Subjects},
    settings::Settings,
    stall_budget::StallBudget,
    upstream::UpstreamPool,
    vocabulary::RouteClass,
};

/// What is known of a request that was not sent.
#[derive(Debug)]
pub(crate) struct Preview {
    /// The class that the body gives it, if another than the route's.
    pub(crate) class: Option<RouteClass>,
    pub(crate) about: About,
    pub(crate) outcome: Result<(), GatewayError>,
}

/// Whether only a body names all that a request changes.
pub(crate) fn needs_body(rule: &Rule) -> bool {
    rule.subjects.as_ref().is_some_and(Subjects::are_in_body)
}

/// Reads the body as a request's, and asks MLflow whose the things are that it names, where a request would.
pub(crate) async fn preview(
    settings: &Settings,
    resources: &Resources,
    grant: &Grant,
    head: &RequestHead,
    body: Option<Bytes>,
) -> Preview {
    let mut findings = Findings::default();
    let is_unnamed = body.is_none() && needs_body(grant.route().rule());
    let checked = match body {
        Some(body) => read(settings, grant, head, body).await,
        None => Ok(CheckedBody::unread(Payload::None)),
    };
    let mut checked = match checked {
        Ok(checked) => checked,
        Err(error) => {
            let about = records::about(head.headers(), grant.route(), &findings, None);
            return Preview { class: None, about, outcome: Err(error) };
        }
    };
    let outcome = if is_unnamed {
        Ok(())
    } else {
        let upstreams = UpstreamPool::new(&settings.mlflow);
        let proxy = Proxy::new(settings, &upstreams, resources.mlflow_tls.as_ref());
        let ownership = &Ownership::new(resources.metrics.clone(), None);
        let mlflow = &Asker(Rc::new(proxy), Arc::clone(grant.principal()));
        let check = OwnershipCheck { ownership, mlflow, policy: &settings.policy, grant, head };
        match check.run(&mut checked, &mut findings).await {
            Ok(_) => mlflow.0.look_up(grant, &checked.models).await.map_err(GatewayError::from),
            Err(error) => Err(error),
        }
    };
    let about = records::about(head.headers(), grant.route(), &findings, checked.value.as_ref());
    Preview { class: checked.class, about, outcome }
}

async fn read(
    settings: &Settings,
    grant: &Grant,
    head: &RequestHead,
    body: Bytes,
) -> Result<CheckedBody, GatewayError> {
    let server = &settings.server;
    let stall_budget = StallBudget::new(server.body_idle_timeout, server.min_body_rate.get());
    let memory = BodyMemory::new(settings.mlflow.queue_timeout);
    let payload = Payload::Stream { payload: stream::iter([Ok(body)]).boxed_local() };
    Ok(policy::body::check(&settings.policy, grant, head, payload, None, stall_budget, &memory).await?)
}
