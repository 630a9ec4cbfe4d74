//! Whether a user may change a thing: first the fence of the key, then the owner of the thing.

use std::fmt;

use super::thing::ThingKind;
use crate::routing::Kind;

/// A change that the key may not make. Its Display is for the owner of the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    OutsideFence(OutsideFence),
    #[error("{} is outside this API key's fence, which has names of experiments and models only", .0.phrase())]
    OutsideAnyFence(Kind),
    #[error(transparent)]
    NotOwner(NotOwner),
    #[error("{} has no owner: it is for administrators", .0.phrase())]
    Ownerless(Kind),
    #[error("this API key has no user, who would own the new {}", .0.word())]
    NoUser(ThingKind),
    #[error("the table of routes does not say what this route changes: it is for administrators")]
    NoSubject,
    #[error(
        "names that begin with hokusai. are the gateway's: an administrator changes them, and hokusai.writers the owner"
    )]
    Reserved,
}

impl Refusal {
    pub fn is_of_fence(&self) -> bool {
        matches!(self, Self::OutsideFence(_) | Self::OutsideAnyFence(_))
    }
}

/// A name that none of the key's patterns fits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {} {name:?} is outside this API key's fence: {}", kind.word(), listed(patterns))]
pub struct OutsideFence {
    pub(super) kind: ThingKind,
    pub(super) name: String,
    pub(super) patterns: Vec<String>,
}

/// A thing of another user's, or of nobody's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct NotOwner {
    pub(super) kind: ThingKind,
    pub(super) name: String,
    /// `None`: nobody owns it.
    pub(super) owner: Option<String>,
    /// `None`: the key has no user.
    pub(super) user: Option<String>,
}

impl fmt::Display for NotOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = (self.kind.word(), &self.name);
        match &self.owner {
            Some(owner) => write!(f, "the {kind} {name:?} belongs to {owner}")?,
            None => write!(f, "the {kind} {name:?} belongs to nobody")?,
        }
        match &self.user {
            Some(user) => write!(f, "; this API key is {user}'s")?,
            None => f.write_str("; this API key has no user")?,
        }
        match self.owner {
            Some(_) => write!(f, ": ask for hokusai.writers, or use {} of your own", self.kind.phrase()),
            None => f.write_str(": ask an administrator to set hokusai.owner"),
        }
    }
}

fn listed(patterns: &[String]) -> String {
    if patterns.is_empty() { "it may change none".to_owned() } else { patterns.join(", ") }
}
