//! What the making of a thing teaches: where it belongs. So MLflow is not asked for a run that was just made here.
//!
//! Experiments and models are not learned: whose they are is MLflow's to say, and it is asked again after seconds anyway.

use std::{sync::Arc, time::Instant};

use super::{
    home::{Home, Item},
    judge::{Claim, Ownership},
};
use crate::routing::{Kind, Named};

/// What is known when MLflow has answered with 200.
#[derive(Debug)]
pub(crate) struct Lesson {
    workspace: Option<Arc<str>>,
    taught: Taught,
}

#[derive(Debug)]
enum Taught {
    /// By the answer.
    Made(Kind),
    /// By the request.
    Started(Item, Arc<Home>),
}

impl Lesson {
    /// Bytes of an answer that are read.
    pub(crate) const MAX: usize = 64 * 1024;

    pub(super) fn of(claim: &Claim<'_>) -> Option<Self> {
        let taught = match claim.rule.makes? {
            // The request says all of it, and the answer can be long.
            Kind::Trace => started(claim)?,
            kind => Taught::Made(kind),
        };
        Some(Self { workspace: claim.workspace.clone(), taught })
    }
}

fn started(claim: &Claim<'_>) -> Option<Taught> {
    let named = claim.named.ok()??;
    let id = |kind: Kind| {
        let mut of_kind = named.iter().filter(|named| named.kind == kind);
        of_kind.next().map(|Named { id, .. }| id.clone()).filter(|_| of_kind.next().is_none())
    };
    let item = Item { kind: Kind::Trace, id: id(Kind::Trace)? };
    let home = Home { experiments: vec![id(Kind::Experiment)?], location: None };
    Some(Taught::Started(item, Arc::new(home)))
}

impl Ownership {
    /// Remembers what an answer with status 200 says.
    pub(crate) fn learn(&self, lesson: &Lesson, answer: &[u8]) {
        let (item, home) = match &lesson.taught {
            Taught::Started(item, home) => (item.clone(), Arc::clone(home)),
            Taught::Made(kind) => {
                let Some((id, home)) = Home::made(*kind, answer) else { return };
                (Item { kind: *kind, id }, Arc::new(home))
            }
        };
        self.lookups.homes.memory.remember((lesson.workspace.clone(), item), home, Instant::now());
    }
}
