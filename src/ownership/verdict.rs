//! Whether a user may change a thing: first the fence of the key, then the owner of the thing. The refusals say what to do, for
//! MLflow's client prints them to whoever has the key.

use std::fmt;

use super::{
    reserved::Reserved,
    thing::ThingKind,
    wording::{listed, ownerless, shown, subject, thing},
};
use crate::routing::Kind;

/// A change that the key may not make. Its Display is for the owner of the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    OutsideFence(OutsideFence),
    #[error("{} is outside this API key's fence, which has experiments and models only: use a key without a fence", subject(*.0))]
    OutsideAnyFence(Kind),
    #[error(
        "the gateway does not know what this request changes: it is outside any fence; use a key without one"
    )]
    RouteOutsideFence,
    #[error(transparent)]
    NotOwner(NotOwner),
    #[error("{}", ownerless(*.0))]
    Ownerless(Kind),
    #[error("this API key has no user, who would own the new {}: use a key of a user", .0.word())]
    NoUser(ThingKind),
    #[error("the gateway does not know what this request changes: only an administrator may send it")]
    NoSubject,
    #[error(
        "tags that begin with hokusai. are the gateway's: an administrator may change them, and the owner hokusai.writers"
    )]
    Reserved,
    #[error(
        "the tag mlflow.user of a run or a dataset names the user of the API key that made it: an administrator changes it"
    )]
    Author,
    #[error(
        "the assessments of a new trace may not have ids or overrides: by them, MLflow changes those of other traces"
    )]
    Assessments,
    #[error("the tag mlflow.trace.archiveLocation is MLflow's own: it deletes what is there, with the trace")]
    Archive,
    /// What would be refused to whoever does not own it, to a key with a fence.
    #[error(transparent)]
    BeyondFence(Box<Self>),
}

impl Refusal {
    /// For what is reserved to administrators, whoever owns the things.
    pub(super) const fn of_reserved(reserved: Reserved) -> Option<Self> {
        match reserved {
            // The owner may.
            Reserved::None | Reserved::Writers => None,
            Reserved::Author => Some(Self::Author),
            Reserved::Assessments => Some(Self::Assessments),
            Reserved::Archive => Some(Self::Archive),
            Reserved::Own | Reserved::Owner => Some(Self::Reserved),
        }
    }

    /// Where nobody is asked who owns a thing: then nobody but an administrator says it.
    pub(crate) fn unasked(reserved: Reserved) -> Option<Self> {
        reserved.says_whose().then_some(Self::Reserved)
    }

    /// For a key that may not read: MLflow would tell it neither the name of a thing nor whose it is.
    pub(crate) fn without_names(self) -> Self {
        match self {
            Self::OutsideFence(refusal) => Self::OutsideFence(OutsideFence { name: None, ..refusal }),
            Self::NotOwner(refusal) => Self::NotOwner(NotOwner { name: None, ..refusal }),
            other => other,
        }
    }

    pub fn is_of_fence(&self) -> bool {
        matches!(
            self,
            Self::OutsideFence(_) | Self::OutsideAnyFence(_) | Self::RouteOutsideFence | Self::BeyondFence(_)
        )
    }
}

/// A name that none of the key's patterns fits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} is outside this API key's fence: {}; use a name that fits, or another key",
    thing(*kind, name.as_deref()), listed(patterns)
)]
pub struct OutsideFence {
    pub(super) kind: ThingKind,
    /// `None`: not for this key.
    pub(super) name: Option<String>,
    pub(super) patterns: Vec<String>,
}

/// A thing of another user's, or of nobody's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct NotOwner {
    pub(super) kind: ThingKind,
    /// `None`: not for this key, and so is the owner's.
    pub(super) name: Option<String>,
    /// `None`: nobody owns it.
    pub(super) owner: Option<String>,
    /// `None`: the key has no user.
    pub(super) user: Option<String>,
}

impl fmt::Display for NotOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = match (self.owner.as_deref(), &self.name) {
            (None, _) => "nobody".to_owned(),
            (Some(_), None) => "another user".to_owned(),
            (Some(owner), Some(_)) => shown(owner),
        };
        write!(f, "{} belongs to {owner}; this API key ", thing(self.kind, self.name.as_deref()))?;
        match self.user.as_deref().map(shown) {
            Some(user) => write!(f, "is {user}'s")?,
            None => f.write_str("has no user")?,
        }
        match (&self.owner, &self.user) {
            (Some(_), Some(_)) => {
                write!(f, ": ask for hokusai.writers, or use {} of your own", self.kind.phrase())
            }
            (Some(_), None) => f.write_str(": use a key of a user"),
            (None, _) => f.write_str(": ask an administrator to set hokusai.owner"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ownership::wording::LONGEST;

    fn not_owner(owner: Option<&str>, user: Option<&str>, name: &str) -> String {
        let [owner, user] = [owner, user].map(|user| user.map(str::to_owned));
        NotOwner { kind: ThingKind::Experiment, name: Some(name.to_owned()), owner, user }.to_string()
    }

    #[test]
    fn a_refusal_says_whose_it_is_and_what_to_do() {
        for (owner, user, told) in [
            (
                Some("acme"),
                Some("bob"),
                "the experiment \"acme/churn\" belongs to acme; this API key is bob's: ask for hokusai.writers, or use an \
                 experiment of your own",
            ),
            (
                Some("acme"),
                None,
                "the experiment \"acme/churn\" belongs to acme; this API key has no user: use a key of a user",
            ),
            (
                None,
                Some("bob"),
                "the experiment \"acme/churn\" belongs to nobody; this API key is bob's: ask an administrator to set \
                 hokusai.owner",
            ),
        ] {
            assert_eq!(not_owner(owner, user, "acme/churn"), told);
        }
    }

    #[test]
    fn names_of_others_are_told_without_keys_in_one_line_and_cut() {
        let key = format!("hk_test_{}", "0".repeat(33));
        for (name, told) in [
            (key, "hk_test_…".to_owned()),
            ("a\nb\u{202e}\"c\"".to_owned(), "a\\nb\\u{202e}\\\"c\\\"".to_owned()),
            ("é".repeat(LONGEST), "é".repeat(LONGEST)),
            ("é".repeat(5_000), format!("{}…", "é".repeat(LONGEST))),
        ] {
            assert_eq!(shown(&name), told);
            let message = not_owner(Some(&name), Some("bob"), &name);
            assert_eq!(message.matches(&told).count(), 2, "{message}");
        }
    }

    #[test]
    fn a_key_that_may_not_read_is_told_neither_names_nor_owners() {
        let owner = |owner: Option<&str>| {
            let [owner, user] = [owner, Some("bob")].map(|user| user.map(str::to_owned));
            Refusal::NotOwner(NotOwner {
                kind: ThingKind::Model,
                name: Some("secret".to_owned()),
                owner,
                user,
            })
        };
        let (kind, name, patterns) =
            (ThingKind::Experiment, Some("secret".to_owned()), vec!["acme/*".to_owned()]);
        for (refusal, told) in [
            (owner(Some("acme")), "this model belongs to another user; this API key is bob's"),
            (owner(None), "this model belongs to nobody; this API key is bob's"),
            (
                Refusal::OutsideFence(OutsideFence { kind, name, patterns }),
                "this experiment is outside this API key's fence: acme/*;",
            ),
        ] {
            let message = refusal.without_names().to_string();
            assert!(message.starts_with(told) && !message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn a_fence_is_told_by_its_first_patterns() {
        let told = |patterns: usize| {
            let patterns = (0..patterns).map(|number| format!("p{number}-*")).collect();
            OutsideFence { kind: ThingKind::Model, name: Some("m".to_owned()), patterns }.to_string()
        };
        assert_eq!(
            told(2),
            "the model \"m\" is outside this API key's fence: p0-*, p1-*; use a name that fits, or another key"
        );
        assert!(told(0).contains("fence: it may change none;"));
        assert!(told(12).contains("p9-* and 2 more;"), "{}", told(12));
    }

    #[test]
    fn what_has_no_owner_is_named_and_so_is_what_to_do() {
        for kind in [
            Kind::Artifact,
            Kind::Dataset,
            Kind::Location,
            Kind::McpServer,
            Kind::Mutation,
            Kind::Server,
            Kind::Skill,
        ] {
            let (ownerless, fenced) =
                (Refusal::Ownerless(kind).to_string(), Refusal::OutsideAnyFence(kind).to_string());
            assert!(!ownerless.contains('_') || kind == Kind::Location, "{ownerless}");
            assert!(fenced.ends_with("use a key without a fence"), "{fenced}");
        }
        assert_eq!(
            Refusal::Ownerless(Kind::Location).to_string(),
            "artifact_location, the place of an experiment's artifacts, is chosen by administrators: leave it out"
        );
    }
}
