//! What MLflow's answer to a create teaches: where the new thing belongs. So a run is not asked for that was just made here.

use std::{sync::Arc, time::Instant};

use super::{
    home::Item,
    judge::{Claim, Ownership},
    pick::pick,
};
use crate::routing::{Kind, Rule, Stamp};

/// The answer to a create, to be read as it passes.
#[derive(Debug)]
pub(crate) struct Lesson {
    workspace: Option<Arc<str>>,
    kind: Kind,
}

impl Lesson {
    /// Bytes of an answer that are read.
    pub(crate) const MAX: usize = 64 * 1024;

    pub(super) fn of(rule: &Rule, claim: &Claim<'_>) -> Option<Self> {
        let kind = match rule.stamp? {
            Stamp::Run => Kind::Run,
            Stamp::Author if rule.pattern.ends_with("/logged-models") => Kind::LoggedModel,
            Stamp::Author | Stamp::Owner => return None,
        };
        Some(Self { workspace: claim.workspace.clone(), kind })
    }
}

impl Ownership {
    /// Remembers what an answer with status 200 says.
    pub(crate) fn learn(&self, lesson: &Lesson, answer: &[u8]) {
        let id = match lesson.kind {
            Kind::Run => pick(answer, &["run", "info", "run_id"]),
            _ => pick(answer, &["model", "info", "model_id"]),
        };
        let Some(id) = id.as_ref().and_then(|id| id.as_str()) else { return };
        let item = Item { kind: lesson.kind, id: id.to_owned() };
        if let Some(home) = item.home(answer) {
            self.lookups.memory.remember_home(
                (lesson.workspace.clone(), item),
                Arc::new(home),
                Instant::now(),
            );
        }
    }
}
