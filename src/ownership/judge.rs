//! The decision about a request: each thing that it names is looked up and judged.

use std::sync::Arc;

use super::{
    lookups::{AskMlflow, Lookups, Unanswered},
    reserved::Reserved,
    target::Target,
    verdict::Refusal,
};
use crate::{
    auth::Principal,
    routing::{Named, SubjectError},
    settings::{Mode, Policy},
    telemetry::Metrics,
};

/// Judges changes; shared by all workers.
#[derive(Debug)]
pub(crate) struct Ownership {
    pub(super) lookups: Lookups,
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
    pub(crate) subjects: Option<&'a [Named]>,
    /// The gateway's own names that the request sets or deletes.
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
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self { lookups: Lookups::new(metrics) }
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
        if !claim.judges_owners() && claim.principal.fence.is_open() {
            return Ok(());
        }
        let Some(subjects) = claim.subjects else {
            claim.settle(Refusal::NoSubject, claim.principal.fence.is_open())?;
            return Ok(());
        };
        for subject in subjects {
            let targets = match self.targets(mlflow, claim, subject).await {
                Err(OwnershipError::Unanswered(error)) if claim.only_reports() => {
                    tracing::info!(%error, "ownership could not be judged");
                    continue;
                }
                targets => targets?,
            };
            let first = judged.len();
            judged.extend(targets);
            for target in &judged[first..] {
                target.must_be_inside(&claim.principal.fence)?;
                if claim.judges_owners()
                    && let Err(refusal) = claim.owns(target)
                {
                    claim.settle(refusal, true)?;
                }
            }
        }
        Ok(())
    }
}

impl Claim<'_> {
    /// Whether nothing is refused.
    fn only_reports(&self) -> bool {
        self.policy.ownership != Mode::Enforce && self.principal.fence.is_open()
    }

    fn owns(&self, target: &Target) -> Result<(), Refusal> {
        let user = self.principal.user_id.as_deref();
        match self.reserved {
            Reserved::None => target.must_be_writable_by(user, self.policy.unowned),
            Reserved::Writers => target.must_be_owned_by(user),
            Reserved::Any => Err(Refusal::Reserved),
        }
    }

    /// Refuses, or only reports it where the mode says so.
    fn settle(&self, refusal: Refusal, may_report: bool) -> Result<(), Refusal> {
        if self.policy.ownership == Mode::Enforce || !may_report {
            return Err(refusal);
        }
        let Principal { key_id, user_id, .. } = self.principal;
        tracing::info!(key_id, user_id, denied = %refusal, "ownership would have denied this");
        Ok(())
    }
}
