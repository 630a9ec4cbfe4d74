//! What MLflow said of things: where they belong, which mostly never changes, and whose that is, which is asked again after a
//! while. That MLflow has no such thing is not remembered: it may be made a moment later.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use quick_cache::{Weighter, sync::Cache};

use super::{changes::Changes, lookups::Question};

/// Bytes of an entry beside its texts.
const FRAME: u64 = 160;
/// For so long a change by another instance, or past the gateway, may go unseen.
pub(super) const FRESH: Duration = Duration::from_secs(5);
/// After so long what is used is asked for again, while the answer that is known is still good.
const AGING: Duration = Duration::from_secs(4);

/// A question in a workspace: the same id in another one is another thing. `None`: the request names no workspace.
pub(super) type Of<Q> = (Option<Arc<str>>, Q);

#[derive(Debug)]
pub(super) struct Memory<Q: Question> {
    answers: Cache<Of<Q>, Remembered<Q::Answer>, ByWeight>,
    changes: Arc<Changes>,
}

#[derive(Debug)]
struct Remembered<A> {
    answer: Arc<A>,
    asked: Instant,
}

/// An answer that is good.
#[derive(Debug)]
pub(super) struct Known<A> {
    pub(super) answer: Arc<A>,
    /// Whether it is time to ask again.
    pub(super) is_aging: bool,
}

impl<Q: Question> Memory<Q> {
    pub(super) fn new(changes: Arc<Changes>) -> Self {
        Self { answers: Cache::with_weighter(Q::ENTRIES, Q::ROOM, ByWeight), changes }
    }

    pub(super) fn get(&self, question: &Of<Q>) -> Option<Known<Q::Answer>> {
        let Remembered { answer, asked } = self.answers.get(question)?;
        if !question.1.may_change() {
            return Some(Known { answer, is_aging: false });
        }
        let age = asked.elapsed();
        let is_good = age < FRESH && !self.is_void(question, asked);
        is_good.then(|| Known { answer, is_aging: age >= AGING })
    }

    /// Whether the answer to a question that was asked at `asked` tells what was before a change.
    pub(super) fn is_void(&self, (_, question): &Of<Q>, asked: Instant) -> bool {
        let (kind, id) = question.name();
        question.may_change() && self.changes.any_since(kind, id, asked)
    }

    pub(super) fn remember(&self, question: Of<Q>, answer: Arc<Q::Answer>, asked: Instant) {
        self.answers.insert(question, Remembered { answer, asked });
    }
}

impl<A> Clone for Remembered<A> {
    fn clone(&self) -> Self {
        Self { answer: Arc::clone(&self.answer), asked: self.asked }
    }
}

/// Weighs entries by their texts.
#[derive(Debug, Clone)]
struct ByWeight;

impl<Q: Question> Weighter<Of<Q>, Remembered<Q::Answer>> for ByWeight {
    fn weight(&self, (workspace, question): &Of<Q>, remembered: &Remembered<Q::Answer>) -> u64 {
        let texts = workspace.as_deref().map_or(0, str::len) + question.name().1.len();
        FRAME + texts as u64 + Q::weight(&remembered.answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ownership::home::{Home, Item},
        routing::Kind,
    };

    fn memory() -> (Memory<Item>, Arc<Changes>) {
        let changes = Arc::new(Changes::new());
        (Memory::new(Arc::clone(&changes)), changes)
    }

    fn question(kind: Kind, id: &str) -> Of<Item> {
        (None, Item { kind, id: id.to_owned() })
    }

    fn home(experiment: &str) -> Arc<Home> {
        Arc::new(Home { experiments: vec![experiment.to_owned()], location: None })
    }

    #[test]
    fn what_may_change_is_remembered_for_seconds_and_what_never_does_for_ever() {
        let long_ago = Instant::now().checked_sub(FRESH).unwrap();
        for (kind, expected) in [
            (Kind::Run, true),
            (Kind::LoggedModel, true),
            (Kind::Issue, true),
            (Kind::LabelSchema, true),
            (Kind::ReviewQueue, true),
            (Kind::Trace, false),
            (Kind::Dataset, false),
        ] {
            let (memory, _) = memory();
            let question = question(kind, "a");
            memory.remember(question.clone(), home("1"), Instant::now());
            assert!(memory.get(&question).is_some_and(|known| !known.is_aging), "{kind:?}");
            memory.remember(question.clone(), home("1"), long_ago);
            assert_eq!(memory.get(&question).is_some(), expected, "{kind:?}");
        }
    }

    #[test]
    fn shortly_before_its_end_an_answer_is_good_and_asked_for_again() {
        let (memory, _) = memory();
        let question = question(Kind::Trace, "tr-1");
        memory.remember(question.clone(), home("1"), Instant::now().checked_sub(AGING).unwrap());
        assert!(memory.get(&question).is_some_and(|known| known.is_aging));
    }

    #[test]
    fn an_answer_from_before_a_change_is_forgotten_in_every_workspace_and_not_learned_later() {
        let (memory, changes) = memory();
        let question = question(Kind::Dataset, "d-1");
        let in_default = (Some("default".into()), question.1.clone());
        let asked = Instant::now();
        for question in [&question, &in_default] {
            memory.remember(question.clone(), home("1"), asked);
            assert!(memory.get(question).is_some());
        }
        changes.note(Kind::Dataset, "d-1");
        for question in [&question, &in_default] {
            assert!(memory.get(question).is_none() && memory.is_void(question, asked));
            memory.remember(question.clone(), home("1"), asked);
            assert!(memory.get(question).is_none());
            memory.remember(question.clone(), home("2"), Instant::now());
            assert!(memory.get(question).is_some());
        }
    }

    #[test]
    fn what_never_changes_is_void_by_no_message() {
        let (memory, changes) = memory();
        let asked = Instant::now();
        changes.note(Kind::Run, "a");
        assert!(!memory.is_void(&question(Kind::Run, "a"), asked));
    }

    #[test]
    fn the_room_bounds_it_by_weight() {
        let (memory, _) = memory();
        let location = "x".repeat(64 * 1024);
        for number in 0..1_000 {
            let home = Home { experiments: vec!["1".to_owned()], location: Some(location.clone()) };
            memory.remember(question(Kind::Run, &number.to_string()), Arc::new(home), Instant::now());
        }
        let most = Item::ROOM as usize / location.len();
        assert!((1..=most).contains(&memory.answers.len()), "{}", memory.answers.len());
    }
}
