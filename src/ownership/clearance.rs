//! What was found about a change, for what comes behind it: the audit, the memory, and the other instances.

use super::{
    Lesson, OwnershipError, fleet,
    judge::{Claim, Ownership},
    lookups::AskMlflow,
    target::Target,
};
use crate::routing::Kind;

/// The permission to change what a request names.
#[derive(Debug, Default)]
pub(crate) struct Clearance {
    /// What becomes untrue of that which is remembered, by kind and id.
    pub(crate) changes: Vec<(Kind, String)>,
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
        claim: &Claim<'_>,
        judged: &mut Vec<Target>,
    ) -> Result<Clearance, OwnershipError> {
        let judgement = self.judge(mlflow, claim, judged).await;
        claim.report();
        judgement?;
        let changes = changes(claim);
        changes.iter().for_each(|(kind, id)| self.lookups.changes.note(*kind, id));
        Ok(Clearance { changes, lesson: Lesson::of(claim) })
    }

    /// Forgets it once more when what is returned is dropped, here and in other instances: until MLflow has answered, it may have told
    /// what was before.
    pub(crate) fn forget_at_the_end(&self, changes: Vec<(Kind, String)>) -> Changing<'_> {
        Changing { ownership: self, changes }
    }
}

/// A change that MLflow is about to make, whether its answer is waited for or not.
#[must_use]
pub(crate) struct Changing<'a> {
    ownership: &'a Ownership,
    changes: Vec<(Kind, String)>,
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        let Ownership { lookups, redis } = self.ownership;
        for (kind, id) in &self.changes {
            lookups.changes.note(*kind, id);
            redis.iter().for_each(|redis| fleet::tell(redis, *kind, id));
        }
    }
}

/// What is not as it was: the name or the tags of an experiment or a model, and what a dataset or a trace belongs to. Not that in
/// which something is made.
fn changes(claim: &Claim<'_>) -> Vec<(Kind, String)> {
    let Some(altered) = claim.rule.alters else { return Vec::new() };
    let is_altered = |kind: Kind| kind == altered || (kind, altered) == (Kind::ModelName, Kind::Model);
    let named = claim.named.ok().flatten().unwrap_or_default().iter();
    named.filter(|named| is_altered(named.kind)).map(|named| (altered, named.id.clone())).collect()
}
