//! The decision about a request: each thing that it names is looked up and judged.

use std::{
    cell::{Cell, OnceCell},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout_at};

use super::{
    inquiry::{Inquiry, at_once},
    lookups::{AskMlflow, Lookups, Unanswered},
    reserved::Reserved,
    target::Target,
    thing::ThingKind,
    verdict::Refusal,
    wording::missing,
};
use crate::{
    auth::Principal,
    policy,
    redis::Redis,
    routing::{Kind, Named, Rule, SubjectError},
    settings::{Mode, Policy},
    telemetry::Metrics,
};

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
    pub(crate) rule: &'a Rule,
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
    pub(crate) reported: Reported,
}

/// Why a request would have been refused: the first reason, and how many more there are.
#[derive(Debug, Default)]
pub(crate) struct Reported {
    first: OnceCell<OwnershipError>,
    others: Cell<usize>,
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
    /// The kind of the thing, and how many bytes its name may have.
    #[error("the name of the {} is longer than {} bytes: use a shorter one", .0.replace('_', " "), .1)]
    TooLong(&'static str, usize),
    /// MLflow has none of this id, or of this name. Its own words.
    #[error("{}", missing(*.0, .1))]
    Missing(ThingKind, String),
    #[error("the request names a {} that MLflow does not have: leave it out", .0.replace('_', " "))]
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
        if !claim.principal.fence.is_open()
            && claim.reserved.reaches_others()
            && let Some(refusal) = Refusal::of_reserved(claim.reserved)
        {
            return Err(Refusal::BeyondFence(Box::new(refusal)).into());
        }
        let refusal = claim.is_for_administrators();
        let reserved = refusal.map_or(Ok(()), |refusal| claim.settle(refusal, true));
        // Looked up all the same: the record of the attempt has the owner.
        let each = self.judge_each(mlflow, claim, judged).await;
        reserved.and(each)
    }

    async fn judge_each<M: AskMlflow>(
        &self,
        mlflow: &M,
        claim: &Claim<'_>,
        judged: &mut Vec<Target>,
    ) -> Result<(), OwnershipError> {
        let fence = &claim.principal.fence;
        let may_report = fence.is_open();
        let named = match claim.named {
            Err(error) => return claim.settle(error.clone(), may_report),
            Ok(_) if !claim.judges_owners() && fence.is_open() => return Ok(()),
            Ok(None) if !fence.is_open() => return Err(Refusal::RouteOutsideFence.into()),
            Ok(None) => return claim.settle(Refusal::NoSubject, true),
            Ok(Some(named)) => named,
        };
        if claim.makes_a_dataset_in_nothing() {
            judged.push(Target::Ownerless(Kind::Dataset));
            claim.judge(&judged[judged.len() - 1..])?;
        }
        let inquiry = Inquiry { lookups: &self.lookups, mlflow, claim };
        let lookups = named.iter().map(|named| inquiry.targets(named));
        let mut lookups = pin!(at_once(lookups));
        let deadline = Instant::now() + DEADLINE;
        loop {
            let targets = match timeout_at(deadline, lookups.next()).await {
                Ok(None) => return claim.must_exist(judged),
                Ok(Some(Ok(targets))) => targets,
                Ok(Some(Err(error))) => {
                    claim.settle(error, may_report)?;
                    continue;
                }
                Err(_) => return claim.settle(Unanswered::Late, may_report),
            };
            let first = judged.len();
            judged.extend(targets);
            claim.judge(&judged[first..])?;
        }
    }
}

impl Claim<'_> {
    /// What the request sets or deletes that its user may not, whoever owns the things.
    fn is_for_administrators(&self) -> Option<Refusal> {
        match self.policy.ownership {
            _ if self.is_administrator => None,
            Mode::Off => Refusal::unasked(self.reserved),
            _ => Refusal::of_reserved(self.reserved),
        }
    }

    fn makes_a_dataset_in_nothing(&self) -> bool {
        self.rule.makes == Some(Kind::Dataset) && matches!(self.named, Ok(Some([])))
    }

    /// Whether it takes a dataset out of an experiment.
    pub(super) fn takes_out_of(&self, experiment: &str) -> bool {
        let is_named = |named: &Named| named.kind == Kind::Experiment && named.id == experiment;
        let named = self.named.ok().flatten().unwrap_or_default();
        self.rule.pattern.ends_with("/remove-experiments") && named.iter().any(is_named)
    }

    fn judge(&self, targets: &[Target]) -> Result<(), OwnershipError> {
        for target in targets {
            target.must_be_inside(&self.principal.fence)?;
            if self.judges_owners()
                && let Err(refusal) = self.owns(target)
            {
                self.settle(refusal, true)?;
            }
        }
        Ok(())
    }

    /// Whoever makes it meanwhile would find the change in it: its name is known, or its number is the next one.
    fn must_exist(&self, targets: &[Target]) -> Result<(), OwnershipError> {
        let missing = targets.iter().find_map(|target| match target {
            Target::Missing(kind, id) => Some(OwnershipError::Missing(*kind, id.clone())),
            _ => None,
        });
        missing.filter(|_| self.is_definite(self.principal.fence.is_open())).map_or(Ok(()), Err)
    }

    fn owns(&self, target: &Target) -> Result<(), Refusal> {
        let user = self.principal.user_id.as_deref();
        match self.reserved {
            Reserved::Writers => target.must_be_owned_by(user),
            _ => target.must_be_writable_by(user, self.policy.unowned),
        }
    }

    /// Whether a refusal counts, and is not only reported. Whose a thing is nobody else says in any mode: `enforce` would believe it
    /// later.
    fn is_definite(&self, may_report: bool) -> bool {
        self.policy.ownership == Mode::Enforce || !may_report || self.reserved.says_whose()
    }

    /// Refuses, or notes it to be reported where the mode says so.
    fn settle(&self, error: impl Into<OwnershipError>, may_report: bool) -> Result<(), OwnershipError> {
        let error = error.into();
        if self.is_definite(may_report) {
            return Err(error);
        }
        if self.reported.first.set(error).is_err() {
            self.reported.others.update(|others| others + 1);
        }
        Ok(())
    }

    /// One line for a request, however many things it names.
    pub(super) fn report(&self) {
        let Reported { first, others } = &self.reported;
        if let Some(first) = first.get() {
            policy::tell_of_ownership(self.principal, first, others.get());
        }
    }
}

#[cfg(test)]
mod tests;
