//! What `owners set` does with a thing: whatever is there already stays, unless it is to be replaced.

use std::collections::BTreeSet;

use super::walk::Found;
use crate::ownership::{OWNER_TAG, Thing, WRITERS_TAG};

/// What things are to have.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) owner: String,
    /// `None`: whatever they have.
    pub(super) writers: Option<Vec<String>>,
    /// Whether another owner, and other writers, are replaced.
    pub(super) replace: bool,
}

/// What becomes of a thing. Nothing at all: it is as wanted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) owner: bool,
    pub(super) writers: bool,
    pub(super) kept: Option<Kept>,
}

/// Why something is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// It belongs to another user.
    Owner,
    /// It has other writers.
    Writers,
    /// MLflow changes no tags of a deleted experiment.
    Deleted,
}

impl Wanted {
    pub(super) fn plan(&self, found: &Found) -> Plan {
        let Thing { owner, writers, .. } = &found.thing;
        let is_owner = owner.as_deref() == Some(&*self.owner);
        let has_writers = self.writers.as_ref().is_none_or(|wanted| as_set(wanted) == as_set(writers));
        if is_owner && has_writers {
            return Plan::default();
        }
        if found.is_deleted {
            return Plan { kept: Some(Kept::Deleted), ..Plan::default() };
        }
        if !is_owner && owner.is_some() && !self.replace {
            return Plan { kept: Some(Kept::Owner), ..Plan::default() };
        }
        let keeps_writers = !has_writers && !writers.is_empty() && !self.replace;
        Plan {
            owner: !is_owner,
            writers: !has_writers && !keeps_writers,
            kept: keeps_writers.then_some(Kept::Writers),
        }
    }

    /// The tags of a plan. The writers come first: they lose no access when the owner shuts out everybody else.
    pub(super) fn tags(&self, plan: &Plan) -> Vec<(&'static str, String)> {
        let writers = plan.writers.then(|| (WRITERS_TAG, self.listed_writers()));
        let owner = plan.owner.then(|| (OWNER_TAG, self.owner.clone()));
        writers.into_iter().chain(owner).collect()
    }

    /// What a plan changes, for a person.
    pub(super) fn describe(&self, plan: &Plan, found: &Found) -> String {
        let Thing { owner, writers, .. } = &found.thing;
        let instead = |before: Option<String>| {
            before.map_or_else(String::new, |before| format!(" instead of {}", before.escape_debug()))
        };
        let mut parts = Vec::new();
        if plan.owner {
            parts.push(format!("owner {}{}", self.owner.escape_debug(), instead(owner.clone())));
        }
        let before = (!writers.is_empty()).then(|| writers.join(","));
        if plan.writers {
            parts.push(format!("writers {}{}", shown(&self.listed_writers()), instead(before)));
        } else if plan.owner
            && let Some(before) = before
        {
            parts.push(format!("writers stay {}", before.escape_debug()));
        }
        parts.join(", ")
    }

    /// Why a plan keeps something, for a person.
    pub(super) fn explain(&self, kept: Kept, found: &Found) -> String {
        let Thing { owner, writers, .. } = &found.thing;
        match kept {
            Kept::Owner => {
                let owner = owner.as_deref().unwrap_or_default().escape_debug();
                format!("belongs to {owner}; --replace gives it to {}", self.owner.escape_debug())
            }
            Kept::Writers => format!(
                "has the writers {}; --replace makes that {}",
                writers.join(",").escape_debug(),
                shown(&self.listed_writers())
            ),
            Kept::Deleted => "is deleted, and MLflow changes no tags of it: restore it first".to_owned(),
        }
    }

    fn listed_writers(&self) -> String {
        self.writers.as_deref().unwrap_or_default().join(",")
    }
}

fn as_set(writers: &[String]) -> BTreeSet<&str> {
    writers.iter().map(String::as_str).collect()
}

fn shown(writers: &str) -> String {
    if writers.is_empty() { "nobody".to_owned() } else { writers.escape_debug().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::owners::walk::Listing, ownership::ThingKind};

    fn found(owner: Option<&str>, writers: &[&str], is_deleted: bool) -> Found {
        let thing = Thing {
            kind: ThingKind::Experiment,
            name: "acme/churn".to_owned(),
            location: None,
            owner: owner.map(str::to_owned),
            writers: writers.iter().map(|&writer| writer.to_owned()).collect(),
        };
        Found { listing: Listing::Experiments, workspace: None, id: Some("7".to_owned()), is_deleted, thing }
    }

    fn wanted(writers: Option<&[&str]>, replace: bool) -> Wanted {
        let writers = writers.map(|list| list.iter().map(|&writer| writer.to_owned()).collect());
        Wanted { owner: "acme".to_owned(), writers, replace }
    }

    #[test]
    fn what_is_there_stays_unless_it_is_to_be_replaced() {
        let plan = |owner, writers, kept| Plan { owner, writers, kept };
        let bob = Some(&["bob"][..]);
        for (owner, writers, asked, replace, expected) in [
            (None, &[][..], None, false, plan(true, false, None)),
            (None, &[], bob, false, plan(true, true, None)),
            (None, &["eve"], None, false, plan(true, false, None)),
            (None, &["eve"], bob, false, plan(true, false, Some(Kept::Writers))),
            (None, &["eve"], bob, true, plan(true, true, None)),
            (Some("acme"), &[], None, false, plan(false, false, None)),
            (Some("acme"), &[], bob, false, plan(false, true, None)),
            (Some("acme"), &["eve"], None, true, plan(false, false, None)),
            (Some("acme"), &["eve"], bob, false, plan(false, false, Some(Kept::Writers))),
            (Some("acme"), &["bob", "bob"], bob, false, plan(false, false, None)),
            (Some("acme"), &["eve"], Some(&[][..]), true, plan(false, true, None)),
            (Some("dave"), &[], None, false, plan(false, false, Some(Kept::Owner))),
            (Some("dave"), &[], bob, false, plan(false, false, Some(Kept::Owner))),
            (Some("dave"), &["eve"], None, true, plan(true, false, None)),
            (Some("ACME"), &[], None, false, plan(false, false, Some(Kept::Owner))),
        ] {
            let planned = wanted(asked, replace).plan(&found(owner, writers, false));
            assert_eq!(planned, expected, "{owner:?} {writers:?} {asked:?} {replace}");
        }
    }

    #[test]
    fn a_deleted_experiment_is_left_unless_it_is_as_wanted() {
        let deleted = Plan { kept: Some(Kept::Deleted), ..Plan::default() };
        assert_eq!(wanted(None, true).plan(&found(None, &[], true)), deleted);
        assert_eq!(wanted(None, true).plan(&found(Some("dave"), &[], true)), deleted);
        assert_eq!(wanted(None, true).plan(&found(Some("acme"), &[], true)), Plan::default());
    }

    #[test]
    fn the_writers_are_set_before_the_owner() {
        let wanted = wanted(Some(&["bob", "carol"]), true);
        let plan = wanted.plan(&found(Some("dave"), &["eve"], false));
        let expected = [(WRITERS_TAG, "bob,carol".to_owned()), (OWNER_TAG, "acme".to_owned())];
        assert_eq!(wanted.tags(&plan), expected);
    }

    #[test]
    fn a_person_is_told_what_was_there_and_what_stays() {
        for (owner, writers, asked, expected) in [
            (None, &[][..], None, "owner acme"),
            (Some("dave"), &["eve"], None, "owner acme instead of dave, writers stay eve"),
            (
                Some("dave"),
                &["eve"],
                Some(&["bob"][..]),
                "owner acme instead of dave, writers bob instead of eve",
            ),
            (
                Some("acme"),
                &["eve", "\u{1b}[31m"],
                Some(&[][..]),
                "writers nobody instead of eve,\\u{1b}[31m",
            ),
        ] {
            let (wanted, found) = (wanted(asked, true), found(owner, writers, false));
            assert_eq!(wanted.describe(&wanted.plan(&found), &found), expected);
        }
    }
}
