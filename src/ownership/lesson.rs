//! What the making of a thing teaches: where it belongs. So MLflow is not asked for a run that was just made here.
//!
//! Experiments and models are not learned: whose they are is MLflow's to say, and it is asked again after seconds anyway.

use std::{sync::Arc, time::Instant};

use super::{
    home::{Home, Item},
    judge::{Claim, Ownership},
};
use crate::routing::Kind;

/// What MLflow's answer will tell.
#[derive(Debug)]
pub(crate) struct Lesson {
    workspace: Option<Arc<str>>,
    kind: Kind,
}

impl Lesson {
    /// Bytes of an answer that are read.
    pub(crate) const MAX: usize = 64 * 1024;

    pub(super) fn of(claim: &Claim<'_>) -> Option<Self> {
        Some(Self { workspace: claim.workspace.clone(), kind: claim.rule.makes? })
    }
}

impl Ownership {
    /// Remembers what an answer with status 200 says, whose head came at `answered`: a client may take long to read the rest, and
    /// meanwhile others change what it tells. What the request says is not what MLflow made: it may have read less of it.
    pub(crate) fn learn(&self, lesson: &Lesson, answer: &[u8], answered: Instant) {
        let Some((id, home)) = Home::made(lesson.kind, answer) else { return };
        let item = (lesson.workspace.clone(), Item { kind: lesson.kind, id });
        self.lookups.homes.memory.remember(item, Arc::new(home), answered);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        auth::Principal,
        ownership::{Reported, Reserved},
        routing::RouteTable,
        settings::Settings,
        telemetry::Metrics,
    };

    #[test]
    fn what_makes_a_thing_teaches_where_it_belongs_and_nothing_else_does() {
        let url = ("HOKUSAI__MLFLOW__URL".to_owned(), "http://mlflow".to_owned());
        let policy = Settings::load(None, [url]).unwrap().policy;
        let principal = Principal::default();
        let table = RouteTable::open(None).unwrap();
        let lessons = table.rules().iter().filter_map(|rule| {
            let claim = Claim {
                rule,
                principal: &principal,
                is_administrator: false,
                policy: &policy,
                workspace: Some("team".into()),
                named: Ok(None),
                reserved: Reserved::None,
                reported: Reported::default(),
            };
            Some((rule, Lesson::of(&claim)?))
        });
        let lessons = lessons.inspect(|(_, lesson)| assert_eq!(lesson.workspace.as_deref(), Some("team")));
        // Of twins, the one for programs.
        let lessons = lessons
            .filter(|(rule, _)| rule.pattern.starts_with("/api/") || rule.pattern.contains("promptlab"));
        let teaching: BTreeSet<_> =
            lessons.map(|(rule, _)| format!("{} {}", rule.method, rule.pattern)).collect();
        let expected = [
            "POST /ajax-api/2.0/mlflow/runs/create-promptlab-run",
            "POST /api/2.0/mlflow/logged-models",
            "POST /api/2.0/mlflow/runs/create",
            "POST /api/3.0/mlflow/datasets/create",
            "POST /api/3.0/mlflow/issues",
            "POST /api/3.0/mlflow/label-schemas/create",
            "POST /api/3.0/mlflow/review-queues/create",
            "POST /api/3.0/mlflow/traces",
        ];
        assert_eq!(teaching, expected.map(str::to_owned).into());
    }

    #[test]
    fn what_was_changed_while_an_answer_was_read_is_not_learned() {
        let ownership = Ownership::new(Metrics::new().unwrap(), None);
        let item = || (None, Item { kind: Kind::Dataset, id: "d-1".to_owned() });
        let answer = br#"{"dataset": {"dataset_id": "d-1", "experiment_ids": ["1"]}}"#;
        let lesson = Lesson { workspace: None, kind: Kind::Dataset };
        let early = Instant::now();
        ownership.learn(&lesson, answer, early);
        assert!(ownership.lookups.homes.memory.get(&item()).is_some());
        ownership.lookups.changes.note(Kind::Dataset, "d-1");
        ownership.learn(&lesson, answer, early);
        assert!(ownership.lookups.homes.memory.get(&item()).is_none());
        ownership.learn(&lesson, answer, Instant::now());
        assert!(ownership.lookups.homes.memory.get(&item()).is_some());
    }
}
