//! An MLflow with things of ada's, of bob's, to whose experiment carol may write, and of nobody's.

use std::{cell::Cell, rc::Rc, sync::Arc, time::Duration};

use actix_rt::time::sleep;
use actix_web::{http::StatusCode, web::Bytes};
use serde_json::{Value, json};

use crate::ownership::{AskMlflow, Unanswered};

/// Runs of ada's and of bob's.
pub(super) const MINE: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub(super) const HIS: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
/// One of ada's with a place of its own for its files, in a folder that could be a run's.
pub(super) const APART: &str = "cccccccccccccccccccccccccccccccc";
pub(super) const FOLDER: &str = "dddddddddddddddddddddddddddddddd";
/// One of ada's in an experiment with a place of its own.
pub(super) const SHARED: &str = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";
/// One in an experiment that MLflow does not have.
pub(super) const LOST: &str = "ffffffffffffffffffffffffffffffff";
/// The one workspace in which things are asked for.
pub(super) const WORKSPACE: &str = "team";

#[derive(Clone, Default)]
pub(super) struct Fake(Rc<Counts>);

#[derive(Default)]
struct Counts {
    /// How long each answer takes.
    pause: Duration,
    asked: Cell<usize>,
    at_once: Cell<usize>,
    most_at_once: Cell<usize>,
}

impl Fake {
    pub(super) fn slow(pause: Duration) -> Self {
        Self(Rc::new(Counts { pause, ..Counts::default() }))
    }

    pub(super) fn asked(&self) -> usize {
        self.0.asked.get()
    }

    pub(super) fn most_at_once(&self) -> usize {
        self.0.most_at_once.get()
    }
}

impl AskMlflow for Fake {
    async fn get(
        &self,
        path: String,
        workspace: Option<Arc<str>>,
        _: usize,
    ) -> Result<(StatusCode, Bytes), Unanswered> {
        assert_eq!(workspace.as_deref(), Some(WORKSPACE));
        let Counts { pause, asked, at_once, most_at_once } = &*self.0;
        asked.set(asked.get() + 1);
        at_once.set(at_once.get() + 1);
        most_at_once.set(most_at_once.get().max(at_once.get()));
        sleep(*pause).await;
        at_once.set(at_once.get() - 1);
        let (status, answer) = answer(&path).unwrap_or_else(|| error(404, "RESOURCE_DOES_NOT_EXIST"));
        Ok((StatusCode::from_u16(status).unwrap(), answer.to_string().into()))
    }
}

fn answer(path: &str) -> Option<(u16, Value)> {
    let (_, question) = path.split_once("/mlflow/")?;
    let (what, id) = question.rsplit_once('=').or_else(|| question.split_once('/'))?;
    let tag = |key: &str, value: &str| json!({"key": key, "value": value});
    let owned = |owner: &str| json!([tag("hokusai.owner", owner)]);
    let experiment = |name: &str, tags: Value| {
        let folder = if id == "4" { "shared/four" } else { id };
        let location = format!("mlflow-artifacts:/{folder}");
        json!({"experiment": {"experiment_id": id, "name": name, "artifact_location": location, "tags": tags}})
    };
    let model = |tags: Value| json!({"registered_model": {"name": id, "tags": tags}});
    let run = |experiment: &str, location: Option<&str>| json!({"run": {"info": {"run_id": id, "experiment_id": experiment, "artifact_uri": location}}});
    let found = match (what, id) {
        (_, "odd" | "acme-odd" | "7") => return Some(error(400, "INVALID_PARAMETER_VALUE")),
        (_, "8") => return Some(error(500, "INTERNAL_ERROR")),
        ("experiments/get?experiment_id", "1" | "4") => experiment("acme/a", owned("ada")),
        ("experiments/get?experiment_id", "2") => {
            experiment("bob/b", json!([tag("hokusai.owner", "bob"), tag("hokusai.writers", "carol")]))
        }
        ("experiments/get?experiment_id", "3") => experiment("free", json!([])),
        ("experiments/get?experiment_id", id) if id.len() > 2 => experiment("acme/more", owned("ada")),
        ("registered-models/get?name", "acme-m") => model(owned("ada")),
        ("registered-models/get?name", "bob-m") => model(owned("bob")),
        ("registered-models/get?name", "acme-free") => model(json!([])),
        ("runs/get?run_id", MINE) => run("1", None),
        ("runs/get?run_id", HIS) => run("2", Some(&format!("mlflow-artifacts:/2/{HIS}/artifacts"))),
        ("runs/get?run_id", APART) => {
            run("1", Some(&format!("mlflow-artifacts:/{FOLDER}/{APART}/artifacts")))
        }
        ("runs/get?run_id", SHARED) => run("4", None),
        ("runs/get?run_id", LOST) => run("9", None),
        ("datasets", "none/experiment-ids") => json!({}),
        ("datasets", "gone/experiment-ids") => json!({"experiment_ids": ["9"]}),
        ("datasets", "mine/experiment-ids") => json!({"experiment_ids": ["1", "9"]}),
        ("datasets", "one/experiment-ids") => json!({"experiment_ids": ["1"]}),
        ("datasets", "two/experiment-ids") => json!({"experiment_ids": ["1", "4"]}),
        ("datasets", "both/experiment-ids") => json!({"experiment_ids": ["1", "2"]}),
        ("datasets", "long/experiment-ids") => json!({"experiment_ids": numbers(40)}),
        ("datasets", "too-long/experiment-ids") => json!({"experiment_ids": numbers(513)}),
        _ => return None,
    };
    Some((200, found))
}

fn error(status: u16, code: &str) -> (u16, Value) {
    (status, json!({"error_code": code}))
}

/// The ids of as many experiments of ada's.
pub(super) fn numbers(count: usize) -> Vec<String> {
    (1000..1000 + count).map(|number| number.to_string()).collect()
}
