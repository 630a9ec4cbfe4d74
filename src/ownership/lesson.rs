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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        auth::Principal,
        ownership::{Reported, Reserved},
        routing::RouteTable,
        settings::Settings,
    };

    /// The rows that teach, where a request names these; of those for programs.
    fn teaching(named: &[(Kind, &str)]) -> BTreeSet<String> {
        let url = ("HOKUSAI__MLFLOW__URL".to_owned(), "http://mlflow".to_owned());
        let policy = Settings::load(None, [url]).unwrap().policy;
        let named = named.iter().map(|&(kind, id)| {
            let (field, id) = (String::new(), id.to_owned());
            Named { kind, field, id, is_listed: false }
        });
        let named: Vec<_> = named.collect();
        let principal = Principal::default();
        let table = RouteTable::open(None).unwrap();
        let lessons = table.rules().iter().filter_map(|rule| {
            let claim = Claim {
                rule,
                principal: &principal,
                is_administrator: false,
                policy: &policy,
                workspace: Some("team".into()),
                named: Ok(Some(&named)),
                reserved: Reserved::None,
                reported: Reported::default(),
            };
            Some((rule, Lesson::of(&claim)?))
        });
        let lessons = lessons.inspect(|(_, lesson)| assert_eq!(lesson.workspace.as_deref(), Some("team")));
        let lessons = lessons
            .filter(|(rule, _)| rule.pattern.starts_with("/api/") || rule.pattern.contains("promptlab"));
        lessons.map(|(rule, _)| format!("{} {}", rule.method, rule.pattern)).collect()
    }

    #[test]
    fn what_makes_a_thing_teaches_where_it_belongs_and_nothing_else_does() {
        let one = teaching(&[(Kind::Experiment, "1"), (Kind::Trace, "tr-1")]);
        let starting = "POST /api/3.0/mlflow/traces";
        let made = [
            "POST /ajax-api/2.0/mlflow/runs/create-promptlab-run",
            "POST /api/2.0/mlflow/logged-models",
            "POST /api/2.0/mlflow/runs/create",
            "POST /api/3.0/mlflow/datasets/create",
            "POST /api/3.0/mlflow/issues",
            "POST /api/3.0/mlflow/label-schemas/create",
            "POST /api/3.0/mlflow/review-queues/create",
        ];
        let made: BTreeSet<_> = made.map(str::to_owned).into();
        assert_eq!(one, made.iter().cloned().chain([starting.to_owned()]).collect());
        for unclear in [
            &[(Kind::Experiment, "1")][..],
            &[(Kind::Experiment, "1"), (Kind::Trace, "tr-1"), (Kind::Trace, "tr-2")],
            &[(Kind::Experiment, "1"), (Kind::Experiment, "2"), (Kind::Trace, "tr-1")],
        ] {
            assert_eq!(teaching(unclear), made, "{unclear:?}");
        }
    }
}
