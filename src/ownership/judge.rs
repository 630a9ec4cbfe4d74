//! The decision about a request: each thing that it names is looked up and judged.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, timeout_at};

use super::{
    inquiry::Inquiry,
    lookups::{AskMlflow, Lookups, Unanswered},
    reserved::Reserved,
    target::Target,
    verdict::Refusal,
};
use crate::{
    auth::Principal,
    policy,
    redis::Redis,
    routing::{Named, SubjectError},
    settings::{Mode, Policy},
    telemetry::Metrics,
};

/// Things that are looked up at once for one request.
pub(super) const AT_ONCE: usize = 8;
/// The longest that a request waits for all of them.
const DEADLINE: Duration = Duration::from_secs(10);

/// Judges changes; shared by all workers.
#[derive(Debug)]
pub(crate) struct Ownership {
    pub(super) lookups: Lookups,
    /// The way to the other instances.
    pub(super) redis: Option<Redis>,
}

/// A change that somebody asks for.
#[derive(Debug)]
pub(crate) struct Claim<'a> {
    pub(crate) principal: &'a Principal,
    /// By its scopes, whatever the mode of the policy is.
    pub(crate) is_administrator: bool,
    pub(crate) policy: &'a Policy,
    /// The workspace that MLflow will read in the request.
    pub(crate) workspace: Option<Arc<str>>,
    /// `None`: the table of routes does not say what the route changes.
    pub(crate) named: Result<Option<&'a [Named]>, &'a SubjectError>,
    /// What the request sets or deletes that is not everybody's.
    pub(crate) reserved: Reserved,
}

/// Why a change is not forwarded.
#[derive(Debug, thiserror::Error)]
pub enum OwnershipError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the request {0}")]
    Unnamed(#[from] SubjectError),
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    /// The kind of the thing.
    #[error("MLflow accepts no such id of the {}: check it", .0.replace('_', " "))]
    NotAnId(&'static str),
    #[error("the request lists a {} that MLflow does not have: leave it out", .0.replace('_', " "))]
    Unknown(&'static str),
}

impl Claim<'_> {
    fn judges_owners(&self) -> bool {
        self.policy.ownership != Mode::Off && !self.is_administrator
    }
}

impl Ownership {
    pub(crate) fn new(metrics: Metrics, redis: Option<Redis>) -> Self {
        Self { lookups: Lookups::new(metrics), redis }
    }

    /// Judges every thing that a request names, and adds it to `judged`.
    ///
    /// # Errors
    /// The first that may not be changed, or of which MLflow does not say whose it is.
    pub(super) async fn judge<M: AskMlflow>(
        &self,
        mlflow: &M,
        claim: &Claim<'_>,
        judged: &mut Vec<Target>,
    ) -> Result<(), OwnershipError> {
        let (fence, judges_owners) = (&claim.principal.fence, claim.judges_owners());
        let may_report = fence.is_open();
        let named = match claim.named {
            Err(error) => return claim.settle(error.clone(), may_report),
            Ok(_) if !judges_owners && fence.is_open() => return Ok(()),
            Ok(None) if !fence.is_open() => return Err(Refusal::RouteOutsideFence.into()),
            Ok(None) => return claim.settle(Refusal::NoSubject, true),
            // A dataset in no experiment.
            Ok(Some([])) if judges_owners && claim.reserved != Reserved::None => {
                return claim.settle(Refusal::Reserved, true);
            }
            Ok(Some(named)) => named,
        };
        if judges_owners && let Some(refusal) = Refusal::of_reserved(claim.reserved) {
            claim.settle(refusal, true)?;
        }
        let inquiry = Inquiry { lookups: &self.lookups, mlflow, workspace: claim.workspace.as_ref() };
        let lookups = named.iter().map(|named| inquiry.targets(named));
        let mut lookups = pin!(stream::iter(lookups).buffered(AT_ONCE));
        let deadline = Instant::now() + DEADLINE;
        loop {
            let targets = match timeout_at(deadline, lookups.next()).await {
                Ok(None) => return Ok(()),
                Ok(Some(Ok(targets))) => targets,
                Ok(Some(Err(error))) => {
                    claim.settle(error, may_report)?;
                    continue;
                }
                Err(_) => return claim.settle(Unanswered::Late, may_report),
            };
            let first = judged.len();
            judged.extend(targets);
            for target in &judged[first..] {
                target.must_be_inside(fence)?;
                if judges_owners && let Err(refusal) = claim.owns(target) {
                    claim.settle(refusal, true)?;
                }
            }
        }
    }
}

impl Claim<'_> {
    fn owns(&self, target: &Target) -> Result<(), Refusal> {
        let user = self.principal.user_id.as_deref();
        match self.reserved {
            Reserved::Writers => target.must_be_owned_by(user),
            _ => target.must_be_writable_by(user, self.policy.unowned),
        }
    }

    /// Refuses, or only reports it where the mode says so.
    fn settle(&self, error: impl Into<OwnershipError>, may_report: bool) -> Result<(), OwnershipError> {
        let error = error.into();
        if self.policy.ownership == Mode::Enforce || !may_report {
            return Err(error);
        }
        policy::tell_of_ownership(self.principal, &error);
        Ok(())
    }
}
