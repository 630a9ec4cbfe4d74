//! What a request names, as far as fences and owners go.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    home::{Home, Item},
    judge::{AT_ONCE, Claim, Ownership, OwnershipError},
    location,
    lookups::{AskMlflow, Found},
    thing::{Container, Thing, ThingKind},
    verdict::{NotOwner, OutsideFence, Refusal},
};
use crate::{
    auth::Fence,
    routing::{Kind, MAX_NAMED, Named, SubjectError},
    settings::Unowned,
};

#[derive(Debug)]
pub(crate) enum Target {
    Thing(Arc<Thing>),
    /// It is to be made under this name; or MLflow has none of this name.
    New(ThingKind, String),
    /// It has no owner, and is in nothing that has one.
    Ownerless(Kind),
    /// MLflow has no such thing: the 404 is its own to give.
    Nothing,
}

impl Ownership {
    /// Looks up what a subject of a request is or belongs to.
    pub(super) async fn targets<M: AskMlflow>(
        &self,
        mlflow: &M,
        claim: &Claim<'_>,
        subject: &Named,
    ) -> Result<Vec<Target>, OwnershipError> {
        let id = subject.id.clone();
        let targets = match subject.kind {
            Kind::ExperimentName => vec![Target::New(ThingKind::Experiment, id)],
            Kind::ModelName => vec![Target::New(ThingKind::Model, id)],
            Kind::Experiment => vec![self.container(mlflow, claim, Container::Experiment(id)).await?],
            Kind::Model => vec![self.container(mlflow, claim, Container::Model(id)).await?],
            Kind::Artifact => self.artifact(mlflow, claim, &id).await?,
            Kind::Location | Kind::McpServer | Kind::Mutation | Kind::Skill => {
                vec![Target::Ownerless(subject.kind)]
            }
            kind => {
                let item = (claim.workspace.clone(), Item { kind, id });
                match self.lookups.home(mlflow, &item).await? {
                    Found::It(home) => self.experiments(mlflow, claim, kind, &home).await?,
                    Found::Nothing => vec![Target::Nothing],
                    Found::NotAnId => return Err(OwnershipError::NotAnId(kind.word())),
                }
            }
        };
        if subject.is_listed && targets.iter().any(|target| matches!(target, Target::Nothing)) {
            return Err(OwnershipError::Unknown(subject.kind.word()));
        }
        Ok(targets)
    }

    async fn container<M: AskMlflow>(
        &self,
        mlflow: &M,
        claim: &Claim<'_>,
        container: Container,
    ) -> Result<Target, OwnershipError> {
        let container = (claim.workspace.clone(), container);
        let found = self.lookups.thing(mlflow, &container).await?;
        Ok(match (found, container.1) {
            (Found::It(thing), _) => Target::Thing(thing),
            (Found::Nothing | Found::NotAnId, Container::Model(name)) => Target::New(ThingKind::Model, name),
            (Found::Nothing, Container::Experiment(_)) => Target::Nothing,
            (Found::NotAnId, Container::Experiment(_)) => return Err(OwnershipError::NotAnId("experiment")),
        })
    }

    async fn experiments<M: AskMlflow>(
        &self,
        mlflow: &M,
        claim: &Claim<'_>,
        kind: Kind,
        home: &Home,
    ) -> Result<Vec<Target>, OwnershipError> {
        if home.experiments.len() > MAX_NAMED {
            return Err(SubjectError::TooMany.into());
        }
        let ids = home.experiments.iter().cloned();
        let lookups = ids.map(|id| self.container(mlflow, claim, Container::Experiment(id)));
        let mut targets: Vec<Target> = stream::iter(lookups).buffered(AT_ONCE).try_collect().await?;
        if kind == Kind::Dataset {
            // MLflow takes ids of nothing for a dataset's experiments.
            targets.retain(|target| !matches!(target, Target::Nothing));
            if targets.is_empty() {
                targets.push(Target::Ownerless(kind));
            }
        }
        Ok(targets)
    }

    /// Whose an artifact of the store is: of the first in its path that MLflow knows and that has its place there.
    async fn artifact<M: AskMlflow>(
        &self,
        mlflow: &M,
        claim: &Claim<'_>,
        path: &str,
    ) -> Result<Vec<Target>, OwnershipError> {
        let workspace = claim.workspace.as_deref();
        for item in location::items(path) {
            let kind = item.kind;
            let Found::It(home) = self.lookups.home(mlflow, &(claim.workspace.clone(), item)).await? else {
                continue;
            };
            let targets = self.experiments(mlflow, claim, kind, &home).await?;
            let location = home.location.as_deref().or_else(|| targets.first()?.location());
            if location.is_some_and(|location| location::is_below(path, location, workspace)) {
                return Ok(targets);
            }
        }
        if let Some(id) = location::experiment(path, workspace) {
            let target = self.container(mlflow, claim, Container::Experiment(id.to_owned())).await?;
            if target.location().is_some_and(|location| location::is_below(path, location, workspace)) {
                return Ok(vec![target]);
            }
        }
        Ok(vec![Target::Ownerless(Kind::Artifact)])
    }
}

impl Target {
    /// The user who owns it.
    pub(crate) fn owner(&self) -> Option<&str> {
        match self {
            Self::Thing(thing) => thing.owner.as_deref(),
            Self::New(..) | Self::Ownerless(_) | Self::Nothing => None,
        }
    }

    /// Where an experiment's artifacts are.
    fn location(&self) -> Option<&str> {
        match self {
            Self::Thing(thing) => thing.location.as_deref(),
            _ => None,
        }
    }

    pub(super) fn must_be_inside(&self, fence: &Fence) -> Result<(), Refusal> {
        let (kind, name) = match self {
            Self::Thing(thing) => (thing.kind, &thing.name),
            Self::New(kind, name) => (*kind, name),
            Self::Ownerless(_) if fence.is_open() => return Ok(()),
            Self::Ownerless(kind) => return Err(Refusal::OutsideAnyFence(*kind)),
            Self::Nothing => return Ok(()),
        };
        let globs = match kind {
            ThingKind::Experiment => &fence.experiments,
            ThingKind::Model => &fence.models,
        };
        match globs {
            Some(globs) if !globs.fit(name) => Err(Refusal::OutsideFence(OutsideFence {
                kind,
                name: name.clone(),
                patterns: globs.patterns().to_vec(),
            })),
            _ => Ok(()),
        }
    }

    /// Whether the user may change what is in it.
    pub(super) fn must_be_writable_by(&self, user: Option<&str>, unowned: Unowned) -> Result<(), Refusal> {
        match self {
            Self::Nothing => Ok(()),
            Self::New(..) if user.is_some() => Ok(()),
            Self::New(kind, _) => Err(Refusal::NoUser(*kind)),
            Self::Ownerless(Kind::Dataset) if unowned == Unowned::Open => Ok(()),
            Self::Ownerless(kind) => Err(Refusal::Ownerless(*kind)),
            Self::Thing(thing) if thing.owner.is_none() && unowned == Unowned::Open => Ok(()),
            Self::Thing(thing) if user.is_some_and(|user| thing.is_writable_by(user)) => Ok(()),
            Self::Thing(thing) => Err(not_owner(thing, user)),
        }
    }

    /// Whether it is the user's own, so that he may share it.
    pub(super) fn must_be_owned_by(&self, user: Option<&str>) -> Result<(), Refusal> {
        match self {
            Self::Thing(thing) if user.is_some() && thing.owner.as_deref() == user => Ok(()),
            Self::Thing(thing) => Err(not_owner(thing, user)),
            Self::Nothing => Ok(()),
            Self::New(..) | Self::Ownerless(_) => Err(Refusal::Reserved),
        }
    }
}

fn not_owner(thing: &Thing, user: Option<&str>) -> Refusal {
    Refusal::NotOwner(NotOwner {
        kind: thing.kind,
        name: thing.name.clone(),
        owner: thing.owner.clone(),
        user: user.map(str::to_owned),
    })
}
