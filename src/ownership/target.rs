//! What a request names, as far as fences and owners go.

use std::sync::Arc;

use super::{
    thing::{Thing, ThingKind},
    verdict::{NotOwner, OutsideFence, Refusal},
};
use crate::{auth::Fence, routing::Kind, settings::Unowned};

#[derive(Debug)]
pub(crate) enum Target {
    Thing(Arc<Thing>),
    /// It is to be made under this name.
    New(ThingKind, String),
    /// MLflow has no experiment of this id, or no model of this name. Others may make it at any moment.
    Missing(ThingKind, String),
    /// It has no owner, and is in nothing that has one.
    Ownerless(Kind),
    /// MLflow has no such run or the like: the 404 is its own to give, for such ids are random.
    Nothing,
}

impl Target {
    /// The user who owns it.
    pub(crate) fn owner(&self) -> Option<&str> {
        match self {
            Self::Thing(thing) => thing.owner.as_deref(),
            Self::New(..) | Self::Missing(..) | Self::Ownerless(_) | Self::Nothing => None,
        }
    }

    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Missing(..) | Self::Nothing)
    }

    /// Where an experiment's artifacts are.
    pub(super) fn location(&self) -> Option<&str> {
        match self {
            Self::Thing(thing) => thing.location.as_deref(),
            _ => None,
        }
    }

    pub(super) fn must_be_inside(&self, fence: &Fence) -> Result<(), Refusal> {
        let (kind, name) = match self {
            Self::Thing(thing) => (thing.kind, &thing.name),
            Self::New(kind, name) | Self::Missing(kind @ ThingKind::Model, name) => (*kind, name),
            Self::Ownerless(_) if fence.is_open() => return Ok(()),
            Self::Ownerless(kind) => return Err(Refusal::OutsideAnyFence(*kind)),
            // It has no name that could be outside.
            Self::Missing(..) | Self::Nothing => return Ok(()),
        };
        let globs = match kind {
            ThingKind::Experiment => &fence.experiments,
            ThingKind::Model => &fence.models,
        };
        match globs {
            Some(globs) if !globs.fit(name) => Err(Refusal::OutsideFence(OutsideFence {
                kind,
                name: Some(name.clone()),
                patterns: globs.patterns().to_vec(),
            })),
            _ => Ok(()),
        }
    }

    /// Whether the user may change what is in it.
    pub(super) fn must_be_writable_by(&self, user: Option<&str>, unowned: Unowned) -> Result<(), Refusal> {
        match self {
            Self::Missing(..) | Self::Nothing => Ok(()),
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
            Self::Missing(..) | Self::Nothing => Ok(()),
            Self::New(..) | Self::Ownerless(_) => Err(Refusal::Reserved),
        }
    }
}

fn not_owner(thing: &Thing, user: Option<&str>) -> Refusal {
    Refusal::NotOwner(NotOwner {
        kind: thing.kind,
        name: Some(thing.name.clone()),
        owner: thing.owner.clone(),
        user: user.map(str::to_owned),
    })
}
