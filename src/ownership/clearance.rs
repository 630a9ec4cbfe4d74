//! What was found about a change, for what comes behind it: the audit, and the memory.

use std::sync::Arc;

use super::{
    Lesson, OwnershipError,
    judge::{Claim, Ownership},
    lookups::AskMlflow,
    memory::Of,
    target::Target,
    thing::Container,
};
use crate::routing::{Kind, Named, Rule};

/// The permission to change what a request names.
#[derive(Debug, Default)]
pub(crate) struct Clearance {
    /// The experiments and models that the request itself changes, so that what is known of them is void.
    changes: Vec<Of<Container>>,
    /// What MLflow's answer will tell.
    pub(crate) lesson: Option<Lesson>,
}

impl Ownership {
    /// Judges a change, and forgets what it makes untrue. What was judged is added to `judged`: nothing where nobody's rights
    /// depend on it, and not all of it where it is refused.
    ///
    /// # Errors
    /// As `judge`.
    pub(crate) async fn clear<M: AskMlflow>(
        &self,
        mlflow: &M,
        rule: &Rule,
        claim: &Claim<'_>,
        judged: &mut Vec<Target>,
    ) -> Result<Clearance, OwnershipError> {
        self.judge(mlflow, claim, judged).await?;
        let changes = changes(rule, claim);
        let clearance = Clearance { changes, lesson: Lesson::of(rule, claim) };
        self.forget(&clearance);
        Ok(clearance)
    }

    /// Again when MLflow has answered: until then, it may have told what was before.
    pub(crate) fn forget(&self, clearance: &Clearance) {
        clearance.changes.iter().for_each(|container| self.lookups.memory.forget_thing(container));
    }
}

/// The experiments and models whose names or tags may change: not those in which something is made.
fn changes(rule: &Rule, claim: &Claim<'_>) -> Vec<Of<Container>> {
    let themselves = ["/mlflow/experiments/", "/mlflow/registered-models/"];
    if !themselves.iter().any(|path| rule.pattern.contains(path)) {
        return Vec::new();
    }
    let container = |Named { kind, id, .. }: &Named| match kind {
        Kind::Experiment => Some(Container::Experiment(id.clone())),
        Kind::Model | Kind::ModelName => Some(Container::Model(id.clone())),
        _ => None,
    };
    let named = claim.subjects.unwrap_or_default().iter().filter_map(container);
    named.map(|container| (claim.workspace.as_ref().map(Arc::clone), container)).collect()
}
