//! Where a thing that has no owner of its own belongs: its experiment, by what MLflow answers.

use serde_json::{Map, Value};

use super::{encoded, lookups::Question, pick::pick};
use crate::routing::Kind;

/// A thing that belongs to an experiment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    pub(crate) id: String,
}

/// The home of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Home {
    /// The ids of its experiments: one, but for datasets, which have any number.
    pub(crate) experiments: Vec<String>,
    /// Where its artifacts are, as MLflow writes it: `mlflow-artifacts:/1/…`.
    pub(crate) location: Option<String>,
}

/// How MLflow is asked for an item: the path below its REST prefix before the id and behind it, the object of the answer that
/// names the experiment, and the field of that object with the id.
struct Form {
    before: &'static str,
    behind: &'static str,
    at: &'static [&'static str],
    id: &'static str,
}

impl Form {
    /// `None`: MLflow has no experiment for it.
    const fn of(kind: Kind) -> Option<Self> {
        let (before, behind, at, id): (_, _, &[&str], _) = match kind {
            Kind::Run => ("/2.0/mlflow/runs/get?run_id=", "", &["run", "info"], "run_id"),
            // One that is deleted can still be changed.
            Kind::LoggedModel => {
                ("/2.0/mlflow/logged-models/", "?allow_deleted=true", &["model", "info"], "model_id")
            }
            // Version 2 of this question is the one that every version of MLflow answers, and without assessments.
            Kind::Trace => ("/2.0/mlflow/traces/", "/info", &["trace_info"], "request_id"),
            Kind::Dataset => ("/3.0/mlflow/datasets/", "/experiment-ids", &["dataset"], "dataset_id"),
            Kind::Issue => ("/3.0/mlflow/issues/", "", &["issue"], "issue_id"),
            Kind::LabelSchema => {
                ("/3.0/mlflow/label-schemas/get?schema_id=", "", &["label_schema"], "schema_id")
            }
            Kind::ReviewQueue => {
                ("/3.0/mlflow/review-queues/get?queue_id=", "", &["review_queue"], "queue_id")
            }
            _ => return None,
        };
        Some(Self { before, behind, at, id })
    }
}

impl Question for Item {
    type Answer = Home;

    /// The experiment is at the beginning of an answer; a run's may go on for long.
    const LONGEST: usize = 256 * 1024;
    const ROOM: u64 = 32 * 1024 * 1024;
    const ENTRIES: usize = 100_000;

    fn name(&self) -> (Kind, &str) {
        (self.kind, &self.id)
    }

    fn path(&self) -> Option<String> {
        let Form { before, behind, .. } = Form::of(self.kind)?;
        Some(format!("{before}{}{behind}", encoded(&self.id)))
    }

    /// MLflow before 3.18 moves a trace that is started again in another experiment.
    fn may_change(&self) -> bool {
        matches!(self.kind, Kind::Dataset | Kind::Trace)
    }

    fn read(&self, answer: &[u8]) -> Option<Home> {
        if self.kind == Kind::Dataset {
            // An answer without the field has none: MLflow leaves out what is empty.
            let fields = serde_json::from_slice::<Map<String, Value>>(answer).ok()?;
            return Home::of_dataset(fields.get("experiment_ids"));
        }
        let (id, home) = Home::made(self.kind, answer)?;
        // Some databases take one case for the other.
        id.eq_ignore_ascii_case(&self.id).then_some(home)
    }

    fn weight(home: &Home) -> u64 {
        let experiments: usize = home.experiments.iter().map(|id| 24 + id.len()).sum();
        (experiments + home.location.as_deref().map_or(0, str::len)) as u64
    }
}

impl Home {
    /// The id and the home of a thing of this kind, in MLflow's answer to a question for it, or to its making.
    pub(super) fn made(kind: Kind, answer: &[u8]) -> Option<(String, Self)> {
        if let Some(started) = Self::of_started_trace(kind, answer) {
            return Some(started);
        }
        let Form { at, id, .. } = Form::of(kind)?;
        let object = pick(answer, at)?;
        let text = |name: &str| object[name].as_str().map(str::to_owned);
        let home = if kind == Kind::Dataset {
            Self::of_dataset(object.get("experiment_ids"))?
        } else {
            Self { experiments: vec![experiment(&object["experiment_id"])?], location: text("artifact_uri") }
        };
        Some((text(id)?, home))
    }

    /// A trace is answered for otherwise when it is made. The answer can be long, and begins with this.
    fn of_started_trace(kind: Kind, answer: &[u8]) -> Option<(String, Self)> {
        const INFO: [&str; 2] = ["trace", "trace_info"];
        if kind != Kind::Trace {
            return None;
        }
        let at = |rest: &[&str]| pick(answer, &[&INFO, rest].concat());
        let id = at(&["trace_id"])?.as_str()?.to_owned();
        let place = experiment(&at(&["trace_location", "mlflow_experiment", "experiment_id"])?)?;
        Some((id, Self { experiments: vec![place], location: None }))
    }

    fn of_dataset(ids: Option<&Value>) -> Option<Self> {
        let ids = ids.map_or(Some(&[][..]), |ids| ids.as_array().map(Vec::as_slice))?;
        Some(Self { experiments: ids.iter().map(experiment).collect::<Option<_>>()?, location: None })
    }
}

/// An experiment's id as MLflow writes it. Some answers repeat that of the request.
fn experiment(id: &Value) -> Option<String> {
    id.as_str().filter(|id| Kind::Experiment.may_be(id)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(kind: Kind, id: &str) -> Item {
        Item { kind, id: id.to_owned() }
    }

    #[test]
    fn an_id_is_one_segment_or_one_value_of_the_question() {
        for (kind, path) in [
            (Kind::Run, "/2.0/mlflow/runs/get?run_id=a%2Fb%3Fc"),
            (Kind::LoggedModel, "/2.0/mlflow/logged-models/a%2Fb%3Fc?allow_deleted=true"),
            (Kind::Trace, "/2.0/mlflow/traces/a%2Fb%3Fc/info"),
            (Kind::Dataset, "/3.0/mlflow/datasets/a%2Fb%3Fc/experiment-ids"),
            (Kind::Issue, "/3.0/mlflow/issues/a%2Fb%3Fc"),
            (Kind::LabelSchema, "/3.0/mlflow/label-schemas/get?schema_id=a%2Fb%3Fc"),
            (Kind::ReviewQueue, "/3.0/mlflow/review-queues/get?queue_id=a%2Fb%3Fc"),
        ] {
            assert_eq!(item(kind, "a/b?c").path().as_deref(), Some(path));
        }
    }

    #[test]
    fn a_home_is_read_from_mlflows_answer() {
        for (kind, answer, experiments, location) in [
            (
                Kind::Run,
                r#"{"run": {"info": {"run_id": "a", "experiment_id": "7", "artifact_uri": "mlflow-artifacts:/7/a/artifacts"}, "data": {"#,
                vec!["7"],
                Some("mlflow-artifacts:/7/a/artifacts"),
            ),
            (Kind::Trace, r#"{"trace_info": {"request_id": "A", "experiment_id": "3"}}"#, vec!["3"], None),
            (Kind::Issue, r#"{"issue": {"issue_id": "a", "experiment_id": "0"}}"#, vec!["0"], None),
            (Kind::Dataset, r#"{"experiment_ids": ["1", "2"]}"#, vec!["1", "2"], None),
            (Kind::Dataset, "{}", vec![], None),
        ] {
            let home = item(kind, "a").read(answer.as_bytes()).unwrap_or_else(|| panic!("{answer}"));
            assert_eq!((home.experiments, home.location.as_deref()), (texts(&experiments), location));
        }
    }

    #[test]
    fn an_answer_that_does_not_say_it_is_none() {
        for (kind, answer) in [
            (Kind::Run, "{}"),
            (Kind::Run, "<html>"),
            (Kind::Run, r#"{"run": {"info": {"run_id": "a", "experiment_id": 7}}}"#),
            (Kind::Run, r#"{"run": {"info": {"run_id": "a", "experiment_id": " 2"}}}"#),
            (Kind::Run, r#"{"run": {"info": {"run_id": "a", "experiment_id": "02"}}}"#),
            (Kind::Run, r#"{"run": {"info": {"run_id": "b", "experiment_id": "2"}}}"#),
            (Kind::Run, r#"{"run": {"info": {"experiment_id": "2"}}}"#),
            (Kind::Run, r#"{"run": {"info": {"run_id": "a", "experiment_id": "2"#),
            (Kind::Dataset, r#"{"experiment_ids": "1"}"#),
            (Kind::Dataset, r#"{"experiment_ids": ["1", 2]}"#),
            (Kind::Dataset, r#"{"experiment_ids": ["1""#),
            (Kind::Dataset, "[]"),
        ] {
            assert_eq!(item(kind, "a").read(answer.as_bytes()), None, "{answer}");
        }
    }

    #[test]
    fn what_a_create_answers_says_the_home_of_the_new_thing() {
        for (kind, answer, id, experiments) in [
            (
                Kind::LoggedModel,
                r#"{"model": {"info": {"model_id": "m-1", "experiment_id": "7"}}}"#,
                "m-1",
                vec!["7"],
            ),
            (
                Kind::Dataset,
                r#"{"dataset": {"dataset_id": "d-1", "experiment_ids": ["1"]}}"#,
                "d-1",
                vec!["1"],
            ),
            (
                Kind::ReviewQueue,
                r#"{"review_queue": {"queue_id": "q", "experiment_id": "7"}}"#,
                "q",
                vec!["7"],
            ),
            (
                Kind::Trace,
                r#"{"trace": {"trace_info": {"trace_id": "tr-1", "trace_location": {"mlflow_experiment": {"experiment_id": "7"}}, "#,
                "tr-1",
                vec!["7"],
            ),
        ] {
            let (made, home) = Home::made(kind, answer.as_bytes()).unwrap();
            assert_eq!((&*made, home.experiments), (id, texts(&experiments)));
        }
    }

    fn texts(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|&id| id.to_owned()).collect()
    }
}
