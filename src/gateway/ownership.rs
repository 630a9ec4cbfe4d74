//! Whose the things are that a request changes: asked between the body and the audit record.

use std::{rc::Rc, sync::Arc};

use actix_web::{
    dev::RequestHead,
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
    web::Bytes,
};

use crate::{
    auth::Principal,
    error::GatewayError,
    ownership::{
        self, AskMlflow, Claim, Clearance, Ownership, OwnershipError, Refusal, Reported, Reserved, Spans,
        Target, Unanswered,
    },
    policy::{
        self, Grant,
        body::{BodyError, CheckedBody},
    },
    proxy::{self, Proxy, ProxyError},
    routing::{Body, Kind, Named, SubjectError},
    settings::{Mode, Policy},
    vocabulary::RouteClass,
};

/// Asks MLflow for the gateway, as forwarded requests of this key do.
#[derive(Debug, Clone)]
pub(super) struct Asker(pub(super) Rc<Proxy>, pub(super) Arc<Principal>);

impl AskMlflow for Asker {
    async fn get(
        &self,
        path: String,
        workspace: Option<Arc<str>>,
        most: usize,
    ) -> Result<(StatusCode, Bytes), Unanswered> {
        let answer = self.0.get(&path, workspace.as_deref(), &self.1, most).await;
        answer.map_err(|error| match error {
            ProxyError::Busy | ProxyError::Ejected | ProxyError::Internal(_) => {
                Unanswered::NotAsked(error.to_string())
            }
            error => Unanswered::Unreached(error.to_string()),
        })
    }
}

/// What a change names, and whose that is, as far as it is known: for its record.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// `None`: the names were not read, or cannot be.
    pub(super) named: Option<Vec<Named>>,
    pub(super) targets: Vec<Target>,
    /// What it sets or deletes that is not everybody's.
    reserved: Reserved,
}

/// What is asked about one request: whose the things are that it changes.
pub(super) struct OwnershipCheck<'a> {
    pub(super) ownership: &'a Ownership,
    pub(super) mlflow: &'a Asker,
    pub(super) policy: &'a Policy,
    pub(super) grant: &'a Grant,
    pub(super) head: &'a RequestHead,
}

impl OwnershipCheck<'_> {
    /// Judges a change, and writes into a create who makes it. Both stand first in what is sent on.
    ///
    /// # Errors
    /// Something that the key may not change, or that MLflow does not tell the owner of.
    pub(super) async fn run(
        &self,
        checked: &mut CheckedBody,
        findings: &mut Findings,
    ) -> Result<Clearance, GatewayError> {
        let grant = self.grant;
        let is_query = grant.route().rule().body == Body::GraphQl && checked.class != Some(RouteClass::Write);
        if !grant.is_judged() || is_query {
            return self.says_not_whose(checked).map(|()| Clearance::default());
        }
        match self.clear(checked, findings).await {
            Err(error) if grant.only_reports() && !findings.reserved.says_whose() => {
                policy::tell_of_ownership(grant.principal(), &error, 0);
                Ok(Clearance::default())
            }
            cleared => cleared,
        }
    }

    /// Where nothing is judged: only an administrator says whose a thing is. A tag that is planted there would be an owner as soon as
    /// ownership is on.
    ///
    /// # Errors
    /// A body that says it.
    fn says_not_whose(&self, checked: &CheckedBody) -> Result<(), GatewayError> {
        let (route, body) = (self.grant.route(), checked.value.as_ref());
        if self.grant.is_administrator() || !Reserved::may_say_whose(route.rule()) {
            return Ok(());
        }
        let reserved =
            Reserved::in_request(route.rule(), route.path(), body, None).map_err(BodyError::Ambiguous)?;
        Refusal::unasked(reserved).map_or(Ok(()), |refusal| Err(OwnershipError::from(refusal).into()))
    }

    async fn clear(
        &self,
        checked: &mut CheckedBody,
        findings: &mut Findings,
    ) -> Result<Clearance, GatewayError> {
        let read = self.names(checked);
        let unreadable = read.as_ref().err().cloned();
        findings.named = read.ok().flatten();
        // A create is stamped whatever else is wrong with it: where ownership only reports, it goes on.
        let reserved = self.reserved(checked, findings).map(|reserved| findings.reserved = reserved);
        let written = self.write(checked, findings);
        checked.shrink();
        let ((), ()) = (reserved?, written?);
        let claim = Claim {
            rule: self.grant.route().rule(),
            principal: self.grant.principal(),
            is_administrator: self.grant.is_administrator(),
            policy: self.policy,
            workspace: self.workspace()?,
            named: unreadable.as_ref().map_or(Ok(findings.named.as_deref()), Err),
            reserved: findings.reserved,
            reported: Reported::default(),
        };
        let cleared = self.ownership.clear(self.mlflow, &claim, &mut findings.targets).await;
        Ok(cleared.map_err(|error| match error {
            OwnershipError::Refused(refusal) if !self.grant.may_read() => refusal.without_names().into(),
            error => error,
        })?)
    }

    /// Reads what a request changes.
    fn names(&self, checked: &mut CheckedBody) -> Result<Option<Vec<Named>>, SubjectError> {
        let route = self.grant.route();
        match route.rule().body {
            Body::GraphQl => Ok(Some(vec![mutation()])),
            _ if checked.glanced.is_some() => Ok(checked.glanced.take()),
            _ => route.subjects(self.head.headers(), checked.value.as_ref()),
        }
    }

    /// Reads what of it is not everybody's to change, and the traces of spans.
    fn reserved(&self, checked: &mut CheckedBody, findings: &mut Findings) -> Result<Reserved, BodyError> {
        if !self.grant.may_be_refused() {
            return Ok(Reserved::None);
        }
        let (route, body) = (self.grant.route(), checked.value.as_ref());
        let user = self.grant.principal().user_id.as_deref();
        let reserved = Reserved::in_request(route.rule(), route.path(), body, user);
        let mut reserved = reserved.map_err(BodyError::Ambiguous)?;
        if let Some(spans) = checked.spans.take() {
            let spans = Spans::read(&spans).map_err(BodyError::Ambiguous)?;
            findings.named.iter_mut().for_each(|named| named.extend(spans.traces()));
            reserved = reserved.max(spans.reserved);
        }
        Ok(reserved)
    }

    /// Writes the body anew, if it must be another.
    fn write(&self, checked: &mut CheckedBody, findings: &Findings) -> Result<(), BodyError> {
        let (grant, rule) = (self.grant, self.grant.route().rule());
        let Some(value) = &mut checked.value else { return Ok(()) };
        let stamp = rule.stamp.filter(|_| self.policy.ownership != Mode::Off);
        if let Some(stamp) = stamp {
            ownership::stamp(stamp, grant.principal(), grant.is_administrator(), value)
                .map_err(BodyError::Ambiguous)?;
        }
        let counts = !grant.only_reports() || findings.reserved.says_whose();
        let must_be_read = stamp.is_some() || (grant.may_be_refused() && counts);
        let is_moved = must_be_read && ownership::put_foremost(rule.subjects.as_ref(), stamp, value);
        if stamp.is_some() || is_moved {
            checked.rewrite();
        }
        Ok(())
    }

    /// The workspace that MLflow will read: the key's, or that of the request's own header.
    ///
    /// # Errors
    /// Two headers, or one that `Connection` names, which does not reach MLflow: what is looked up in one workspace could be changed
    /// in another.
    fn workspace(&self) -> Result<Option<Arc<str>>, OwnershipError> {
        const WORKSPACE: HeaderName = HeaderName::from_static("x-mlflow-workspace");
        if let Some(workspace) = &self.grant.principal().workspace {
            return Ok(Some(workspace.as_str().into()));
        }
        let headers = self.head.headers();
        let mut values = headers.get_all(WORKSPACE).map(HeaderValue::to_str);
        let is_dropped = proxy::is_named_by_connection(&WORKSPACE, headers);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(Ok(workspace)), None) if !is_dropped => Ok(Some(workspace.into())),
            _ => Err(SubjectError::Ambiguous(WORKSPACE.to_string()).into()),
        }
    }
}

fn mutation() -> Named {
    Named { kind: Kind::Mutation, field: "query".to_owned(), id: String::new(), is_listed: false }
}
