//! Looks up what a request names: what it is, or what it belongs to.

use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};

use super::{
    home::{Home, Item},
    judge::{Claim, OwnershipError},
    location,
    lookups::{AskMlflow, Found, Lookups, Outcome},
    target::Target,
    thing::{Container, ThingKind},
};
use crate::routing::{BodyCheck, Kind, MAX_NAMED, Named, SubjectError};

/// Things that are looked up at once for one request.
const AT_ONCE: usize = 8;

/// Bytes of the longest name of an experiment in MLflow: 500 characters (mlflow/utils/validation.py).
const MAX_EXPERIMENT_NAME: usize = 2000;
/// Likewise of a model, whose column has 256 characters (mlflow/store/model_registry/dbmodels/models.py). SQLite keeps longer ones; but a
/// server refuses a target that is too long in words of its own, so MLflow cannot be asked for them.
const MAX_NAME: usize = 1024;

/// The look-ups for one request.
pub(super) struct Inquiry<'a, M> {
    pub(super) lookups: &'a Lookups,
    pub(super) mlflow: &'a M,
    pub(super) claim: &'a Claim<'a>,
}

impl<M: AskMlflow> Inquiry<'_, M> {
    pub(super) async fn targets(&self, named: &Named) -> Result<Vec<Target>, OwnershipError> {
        let kind = named.kind;
        let longest = match kind {
            Kind::ExperimentName => MAX_EXPERIMENT_NAME,
            // Places, not names.
            Kind::Artifact | Kind::Location => usize::MAX,
            _ => MAX_NAME,
        };
        if named.id.len() > longest {
            return Err(OwnershipError::TooLong(kind.word(), longest));
        }
        let id = &named.id;
        let targets = match kind {
            Kind::ExperimentName => vec![Target::New(ThingKind::Experiment, id.clone())],
            Kind::ModelName => vec![Target::New(ThingKind::Model, id.clone())],
            Kind::Experiment => vec![self.experiment(id).await?],
            Kind::Model => vec![self.model(id).await?],
            Kind::Artifact => self.artifact(id).await?,
            Kind::Location | Kind::McpServer | Kind::Mutation | Kind::Server | Kind::Skill => {
                vec![Target::Ownerless(kind)]
            }
            kind => match self.home(Item { kind, id: id.clone() }).await? {
                Found::It(home) => self.experiments(kind, &home).await?,
                Found::Nothing => vec![Target::Nothing],
                Found::NotAnId => return Err(OwnershipError::NotAnId(kind.word())),
            },
        };
        // MLflow writes a metric to a model that it does not look up: one that is not found may be in another workspace.
        let is_not_looked_up = kind == Kind::LoggedModel && self.claim.rule.check == Some(BodyCheck::Models);
        if (named.is_listed || is_not_looked_up) && targets.iter().any(Target::is_missing) {
            return Err(OwnershipError::Unknown(kind.word()));
        }
        Ok(targets)
    }

    async fn home(&self, item: Item) -> Outcome<Home> {
        self.lookups.home(self.mlflow, &(self.claim.workspace.clone(), item)).await
    }

    async fn experiment(&self, id: &str) -> Result<Target, OwnershipError> {
        let container = (self.claim.workspace.clone(), Container::Experiment(id.to_owned()));
        match self.lookups.thing(self.mlflow, &container).await? {
            Found::It(thing) => Ok(Target::Thing(thing)),
            Found::Nothing => Ok(Target::Missing(ThingKind::Experiment, id.to_owned())),
            Found::NotAnId => Err(OwnershipError::NotAnId(Kind::Experiment.word())),
        }
    }

    async fn model(&self, name: &str) -> Result<Target, OwnershipError> {
        let container = (self.claim.workspace.clone(), Container::Model(name.to_owned()));
        Ok(match self.lookups.thing(self.mlflow, &container).await? {
            Found::It(thing) => Target::Thing(thing),
            Found::Nothing | Found::NotAnId => Target::Missing(ThingKind::Model, name.to_owned()),
        })
    }

    /// The experiments of a home.
    async fn experiments(&self, kind: Kind, home: &Home) -> Result<Vec<Target>, OwnershipError> {
        if home.experiments.len() > MAX_NAMED {
            return Err(SubjectError::TooMany.into());
        }
        let lookups = home.experiments.iter().map(|id| self.experiment(id));
        let mut targets: Vec<Target> = at_once(lookups).try_collect().await?;
        if kind == Kind::Dataset {
            // MLflow takes ids of nothing for a dataset's experiments. One that is in nothing afterwards is as good as made there.
            let mut found = home.experiments.iter().zip(&targets).filter(|(_, target)| !target.is_missing());
            let stays_in_one = found.any(|(id, _)| !self.claim.takes_out_of(id));
            targets.retain(|target| !target.is_missing());
            if !stays_in_one {
                targets.insert(0, Target::Ownerless(kind));
            }
        }
        Ok(targets)
    }

    /// Whose an artifact of the store is: of the first in its path that MLflow knows and that has its place there.
    async fn artifact(&self, path: &str) -> Result<Vec<Target>, OwnershipError> {
        let workspace = self.claim.workspace.as_deref();
        let is_below = |location: &str| location::is_below(path, location, workspace);
        for item in location::items(path) {
            let kind = item.kind;
            let Found::It(home) = self.home(item).await? else { continue };
            let targets = self.experiments(kind, &home).await?;
            if home.location.as_deref().or_else(|| targets.first()?.location()).is_some_and(is_below) {
                return Ok(targets);
            }
        }
        if let Some(id) = location::experiment(path, workspace) {
            let target = self.experiment(id).await?;
            if target.location().is_some_and(is_below) {
                return Ok(vec![target]);
            }
        }
        Ok(vec![Target::Ownerless(Kind::Artifact)])
    }
}

/// Some at once, and what they find in their order. One alone, as most requests have, needs no queue.
pub(super) fn at_once<L: Future>(lookups: impl ExactSizeIterator<Item = L>) -> impl Stream<Item = L::Output> {
    match lookups.len() {
        0 | 1 => stream::iter(lookups).then(|lookup| lookup).left_stream(),
        _ => stream::iter(lookups).buffered(AT_ONCE).right_stream(),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use actix_rt::task::yield_now;

    use super::*;

    #[actix_rt::test]
    async fn so_many_are_looked_up_at_once_and_found_in_their_order() {
        for (count, most) in [(0, 0), (1, 1), (2, 2), (AT_ONCE, AT_ONCE), (3 * AT_ONCE, AT_ONCE)] {
            let (under_way, seen) = (Cell::new(0), Cell::new(0));
            let lookup = |number: usize| {
                let (under_way, seen) = (&under_way, &seen);
                async move {
                    under_way.set(under_way.get() + 1);
                    seen.set(seen.get().max(under_way.get()));
                    // The first ones take longest.
                    for _ in number..count {
                        yield_now().await;
                    }
                    under_way.set(under_way.get() - 1);
                    number
                }
            };
            let found: Vec<_> = at_once((0..count).map(lookup)).collect().await;
            assert_eq!((found, seen.get()), ((0..count).collect(), most));
        }
    }
}
