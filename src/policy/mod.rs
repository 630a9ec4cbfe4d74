//! The fifth step: whether this principal may use this route.
//!
//! Nothing here is cached: every request is decided anew, by the route's class and the key's [`scopes`]. If the decision depends
//! on the body, that is read first ([`body`]).

pub(crate) mod body;
mod body_memory;
mod collation;
mod direct_upload;
mod graphql;
mod json;
pub mod scopes;
mod tags;
mod workspace;

use std::{fmt, sync::Arc};

use jiff::Timestamp;

use crate::{
    auth::Principal,
    routing::{Body, Parameter, Reach, Route, Rule, Subjects, Tagging},
    settings::{Mode, Policy, Promotion, Scope},
    vocabulary::RouteClass,
};
pub use body::BodyError;
pub(crate) use body::SpansBody;
pub(crate) use body_memory::BodyMemory;
pub use body_memory::BodyMemoryFull;
pub(crate) use collation::Name;
use scopes::Classes;
pub(crate) use workspace::ModelReferences;
pub use workspace::WorkspaceViolation;

/// The permission to forward one request along one route. Only [`authorize`] makes one.
#[derive(Debug, Clone)]
pub struct Grant {
    principal: Arc<Principal>,
    route: Route,
    may_read: bool,
    may_administer: bool,
    is_administrator: bool,
    is_judged: bool,
    only_reports: bool,
}

impl Grant {
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    pub fn route(&self) -> &Route {
        &self.route
    }

    /// Whether the principal may read what is called what, and whose it is.
    pub(crate) fn may_read(&self) -> bool {
        self.may_read
    }

    /// Whether the principal may see what only administrators may.
    pub(crate) fn may_administer(&self) -> bool {
        self.may_administer
    }

    /// Whether its scopes make it an administrator, whatever the mode of the policy is.
    pub(crate) fn is_administrator(&self) -> bool {
        self.is_administrator
    }

    /// Whether it matters whose the things are that the request names.
    pub(crate) fn is_judged(&self) -> bool {
        self.is_judged
    }

    /// Whether that refuses nothing, and is only told.
    pub(crate) fn only_reports(&self) -> bool {
        self.only_reports
    }

    /// Whether the request may be refused for that: one of an administrator without a fence may not.
    pub(crate) fn may_be_refused(&self) -> bool {
        self.is_judged && !(self.is_administrator && self.principal.fence.is_open())
    }
}

/// Why a principal may not use a route.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("the key expired at {0}")]
    Expired(Timestamp),
    #[error(transparent)]
    Scope(#[from] Box<MissingScope>),
    #[error(transparent)]
    Workspace(#[from] WorkspaceViolation),
}

/// A route that none of a key's scopes allows. Its Display tells the owner of the key which scope is missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct MissingScope {
    rule: Rule,
    /// The class of the request, which may depend on its body.
    class: RouteClass,
    /// The protected tag that it changes.
    tag: Option<&'static str>,
    /// `None`: the default scopes.
    held: Option<Vec<String>>,
    promotion: Promotion,
}

impl fmt::Display for MissingScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule { method, pattern, .. } = &self.rule;
        let wanted = scopes::that_allow(self.class, self.promotion);
        let wanted: Vec<_> = wanted.into_iter().map(Scope::word).collect();
        write!(f, "this API key may not {method} {pattern}")?;
        if let Some(tag) = self.tag {
            write!(f, " for the protected tag {tag}")?;
        }
        write!(f, ": it needs the scope {}, and has ", wanted.join(" or "))?;
        match self.held.as_deref() {
            None => f.write_str("the default ones"),
            Some([]) => f.write_str("none"),
            Some(held) => f.write_str(&held.join(", ")),
        }
    }
}

/// The requirements of a row of MLflow's that an operator's row in its place drops.
pub fn loosened(known: &Rule, rule: &Rule, promotion: Promotion) -> Vec<String> {
    let allowing = |rule: &Rule| scopes::that_allow(rule.class, promotion);
    let mut lost = Vec::new();
    if allowing(rule).iter().any(|scope| !allowing(known).contains(scope)) {
        lost.push(format!("the class {} for {}", known.class.word(), rule.class.word()));
    }
    if known.reach != Reach::Workspace && rule.reach != known.reach {
        lost.push(format!("`{}`", known.reach.word()));
    }
    if known.body != Body::Any && rule.body != known.body {
        lost.push(format!("body={}", known.body.word()));
    }
    let check = known.check.filter(|_| rule.check != known.check);
    lost.extend(check.map(|check| format!("checks={}", check.word())));
    let answer = known.answer.filter(|_| rule.answer != known.answer);
    lost.extend(answer.map(|answer| format!("answer={}", answer.word())));
    let stamp = known.stamp.filter(|_| rule.stamp != known.stamp);
    lost.extend(stamp.map(|stamp| format!("stamps={}", stamp.word())));
    let is_named = |subjects: &&Subjects| rule.subjects.as_ref().is_some_and(|own| own.include(subjects));
    let subjects = known.subjects.as_ref().filter(|subjects| !is_named(subjects));
    lost.extend(subjects.map(|subjects| format!("the subject {}", subjects.words())));
    lost.extend(known.tagging.filter(|_| rule.tagging != known.tagging).map(Tagging::words));
    let artifact = known.artifact.as_ref().filter(|_| rule.artifact != known.artifact);
    lost.extend(artifact.map(|artifact| format!("artifact={}", artifact.words())));
    let named = |rule: &Rule| rule.parameters.iter().map(Parameter::words).collect::<Vec<_>>();
    if !known.parameters.is_empty() && named(rule) != named(known) {
        lost.push(named(known).join(" "));
    }
    lost
}

/// # Errors
/// Why the request is denied.
pub fn authorize(policy: &Policy, principal: Arc<Principal>, route: Route) -> Result<Grant, Denied> {
    authorize_at(Timestamp::now(), policy, principal, route)
}

/// # Errors
/// The key has expired.
pub(crate) fn must_be_in_force(now: Timestamp, principal: &Principal) -> Result<(), Denied> {
    match principal.expires_at.filter(|at| *at <= now) {
        Some(at) => Err(Denied::Expired(at)),
        None => Ok(()),
    }
}

fn authorize_at(
    now: Timestamp,
    policy: &Policy,
    principal: Arc<Principal>,
    route: Route,
) -> Result<Grant, Denied> {
    must_be_in_force(now, &principal)?;
    if let Some(workspace) = &principal.workspace {
        workspace::check_route(workspace, &route)?;
    }
    let allowed = allow(policy, &principal, route.rule(), route.class(), None)?;
    let is_administrator = allowed.contains(RouteClass::Admin);
    let may_read = policy.mode != Mode::Enforce || allowed.contains(RouteClass::Read);
    let may_administer = policy.mode != Mode::Enforce || is_administrator;
    let is_judged = policy.ownership != Mode::Off || !principal.fence.is_open();
    let is_judged = is_judged && (route.rule().changes() || route.rule().body == Body::GraphQl);
    let only_reports = policy.ownership != Mode::Enforce && principal.fence.is_open();
    Ok(Grant { principal, route, may_read, may_administer, is_administrator, is_judged, only_reports })
}

/// The classes that the principal's scopes allow, if `class` is one of them or the mode does not enforce scopes.
fn allow(
    policy: &Policy,
    principal: &Principal,
    rule: &Rule,
    class: RouteClass,
    tag: Option<&'static str>,
) -> Result<Classes, Box<MissingScope>> {
    let allowed = allowed_to(policy, principal);
    if policy.mode == Mode::Off || allowed.contains(class) {
        return Ok(allowed);
    }
    let (held, promotion) = (principal.scopes.clone(), policy.promotion);
    let missing = MissingScope { rule: rule.clone(), class, tag, held, promotion };
    if policy.mode == Mode::Enforce {
        return Err(Box::new(missing));
    }
    tracing::info!(
        key_id = principal.key_id,
        user_id = principal.user_id,
        denied = %missing,
        "the policy would have denied this"
    );
    Ok(allowed)
}

/// Tells of a change that ownership would refuse, where it only reports: why, and how many more reasons there are.
pub(crate) fn tell_of_ownership(principal: &Principal, denied: &dyn fmt::Display, others: usize) {
    let Principal { key_id, user_id, .. } = principal;
    let others = (others > 0).then_some(others);
    tracing::info!(key_id, user_id, %denied, others, "ownership would have denied this");
}

fn allowed_to(policy: &Policy, principal: &Principal) -> Classes {
    if principal.is_admin {
        scopes::allowed_by(Scope::Admin, policy.promotion)
    } else {
        scopes::allowed_to(principal.scopes.as_deref(), policy)
    }
}

/// The classes of routes that a principal may use.
pub(crate) fn classes_of(policy: &Policy, principal: &Principal) -> Vec<RouteClass> {
    let allowed = allowed_to(policy, principal);
    let may = |class: &RouteClass| policy.mode != Mode::Enforce || allowed.contains(*class);
    RouteClass::ALL.into_iter().filter(may).collect()
}

#[cfg(test)]
mod tests;
