//! Where a thing that has no owner of its own belongs: its experiment, by what MLflow answers.

use serde_json::Value;

use super::{encoded, pick::pick};
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

impl Home {
    pub(super) fn weight(&self) -> u64 {
        let experiments: usize = self.experiments.iter().map(|id| 24 + id.len()).sum();
        (experiments + self.location.as_deref().map_or(0, str::len)) as u64
    }
}

/// How MLflow is asked for an item: the path below its REST prefix before the id and behind it, and the object of the answer
/// that names the experiment.
struct Question {
    before: &'static str,
    behind: &'static str,
    at: &'static [&'static str],
}

impl Question {
    /// `None`: MLflow has no experiment for it.
    const fn about(kind: Kind) -> Option<Self> {
        let (before, behind, at): (_, _, &[&str]) = match kind {
            Kind::Run => ("/2.0/mlflow/runs/get?run_id=", "", &["run", "info"]),
            // One that is deleted can still be changed.
            Kind::LoggedModel => ("/2.0/mlflow/logged-models/", "?allow_deleted=true", &["model", "info"]),
            Kind::Trace => ("/3.0/mlflow/traces/", "", &["trace", "trace_info"]),
            Kind::Dataset => ("/3.0/mlflow/datasets/", "/experiment-ids", &[]),
            Kind::Issue => ("/3.0/mlflow/issues/", "", &["issue"]),
            Kind::LabelSchema => ("/3.0/mlflow/label-schemas/get?schema_id=", "", &["label_schema"]),
            Kind::ReviewQueue => ("/3.0/mlflow/review-queues/get?queue_id=", "", &["review_queue"]),
            _ => return None,
        };
        Some(Self { before, behind, at })
    }
}

impl Item {
    /// The path that asks MLflow for it, below the REST prefix.
    pub(super) fn path(&self) -> Option<String> {
        let Question { before, behind, .. } = Question::about(self.kind)?;
        Some(format!("{before}{}{behind}", encoded(&self.id)))
    }

    /// Whether its home can change. MLflow before 3.18 moves a trace that is started again in another experiment.
    pub(super) fn moves(&self) -> bool {
        matches!(self.kind, Kind::Dataset | Kind::Trace)
    }

    /// The home in MLflow's answer; `None`: the answer does not say it.
    pub(super) fn home(&self, answer: &[u8]) -> Option<Home> {
        let Question { at, .. } = Question::about(self.kind)?;
        if self.kind == Kind::Dataset {
            let ids = pick(answer, &["experiment_ids"]).unwrap_or_else(|| Value::Array(Vec::new()));
            let ids = ids.as_array()?.iter().map(|id| id.as_str().map(str::to_owned));
            return Some(Home { experiments: ids.collect::<Option<_>>()?, location: None });
        }
        let info = pick(answer, at)?;
        let text = |name: &str| info[name].as_str().map(str::to_owned);
        let experiment = match self.kind {
            Kind::Trace => {
                info.pointer("/trace_location/mlflow_experiment/experiment_id")?.as_str()?.to_owned()
            }
            _ => text("experiment_id")?,
        };
        Some(Home { experiments: vec![experiment], location: text("artifact_uri") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(kind: Kind) -> Item {
        Item { kind, id: "a/b?c".to_owned() }
    }

    #[test]
    fn an_id_is_one_segment_or_one_value_of_the_question() {
        for (kind, path) in [
            (Kind::Run, "/2.0/mlflow/runs/get?run_id=a%2Fb%3Fc"),
            (Kind::LoggedModel, "/2.0/mlflow/logged-models/a%2Fb%3Fc?allow_deleted=true"),
            (Kind::Dataset, "/3.0/mlflow/datasets/a%2Fb%3Fc/experiment-ids"),
        ] {
            assert_eq!(item(kind).path().as_deref(), Some(path));
        }
    }

    #[test]
    fn a_home_is_read_from_mlflows_answer() {
        for (kind, answer, experiments, location) in [
            (
                Kind::Run,
                r#"{"run": {"info": {"run_id": "r", "experiment_id": "7", "artifact_uri": "mlflow-artifacts:/7/r/artifacts"}, "data": {"#,
                Some(vec!["7"]),
                Some("mlflow-artifacts:/7/r/artifacts"),
            ),
            (
                Kind::Trace,
                r#"{"trace": {"trace_info": {"trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "3"}}}}}"#,
                Some(vec!["3"]),
                None,
            ),
            (Kind::Dataset, r#"{"experiment_ids": ["1", "2"]}"#, Some(vec!["1", "2"]), None),
            (Kind::Dataset, "{}", Some(vec![]), None),
            (Kind::Dataset, r#"{"experiment_ids": "1"}"#, None, None),
            (Kind::Run, "{}", None, None),
            (Kind::Run, r#"{"run": {"info": {"experiment_id": 7}}}"#, None, None),
        ] {
            let home = item(kind).home(answer.as_bytes());
            let found =
                home.as_ref().map(|home| home.experiments.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(found, experiments, "{answer}");
            assert_eq!(home.and_then(|home| home.location).as_deref(), location, "{answer}");
        }
    }
}
