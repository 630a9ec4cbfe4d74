//! What the checks made, and its removal in every case.

use awc::{body, http::Method};
use rand::distr::{Alphanumeric, SampleString as _};
use serde_json::{Value, json};

use super::{Deployment, expectation::unexpected, tracking::Run};
use crate::{
    code::Code,
    doctor::{Fault, Finding, Journal, Response, passed},
};

/// Everything has one name, so that it can be found even if the answer to its creation was lost.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) name: String,
    /// Whether they may exist: their creation was requested.
    pub(super) experiment: bool,
    pub(super) model: bool,
    pub(super) run: Option<Run>,
}

impl Default for Made {
    fn default() -> Self {
        let unique = Alphanumeric.sample_string(&mut rand::rng(), 10);
        let name = format!("hokusai-doctor-{}", unique.to_lowercase());
        Self { name, experiment: false, model: false, run: None }
    }
}

impl Deployment {
    pub(super) async fn clean_up(&self, journal: &mut Journal, made: &Made) {
        if !made.experiment {
            return;
        }
        journal.check("clean-up", self.remove(made)).await;
    }

    /// Removes the model, the artifacts, the run and the experiment. MLflow keeps deleted runs and experiments until `mlflow gc`.
    async fn remove(&self, made: &Made) -> Finding {
        let Made { name, model, run, .. } = made;
        let mut left = Vec::new();
        let mut note = |what: &str, removal: Result<(), Fault>| {
            if let Err(fault) = removal {
                left.push(format!("{what} ({})", fault.what));
            }
        };
        if *model {
            note(&format!("registered model {name}"), self.unregister(name).await);
        }
        if let Some(Run { id, artifacts, .. }) = run {
            let answer = self.store(Method::DELETE, artifacts, body::None::new()).await;
            note(&format!("artifacts {artifacts}"), gone(answer));
            let answer = self.call(Method::POST, "runs/delete", &json!({ "run_id": id })).await;
            note(&format!("run {id}"), gone(answer));
        }
        note(&format!("experiment {name}"), self.delete_experiment(name).await);
        if left.is_empty() {
            let found =
                "everything that was made is removed (MLflow keeps experiment and run until `mlflow gc`)";
            return passed(found);
        }
        Err(Fault::new(
            Code::NotCleanedUp,
            format!("left behind: {}", left.join(", ")),
            "the deployment failed meanwhile, or no longer answers",
            "delete them by hand when it answers again: everything has this one name",
        ))
    }

    async fn unregister(&self, name: &str) -> Result<(), Fault> {
        gone(self.call(Method::DELETE, "registered-models/delete", &json!({ "name": name })).await)?;
        let target = format!("registered-models/get?name={name}");
        match self.call(Method::GET, &target, &Value::Null).await {
            Ok(answer) if answer.status.as_u16() == 404 && !answer.is_from_gateway() => Ok(()),
            answer => Err(failure(answer, 404)),
        }
    }

    async fn delete_experiment(&self, name: &str) -> Result<(), Fault> {
        let target = format!("experiments/get-by-name?experiment_name={name}");
        match self.call(Method::GET, &target, &Value::Null).await {
            Ok(answer) if answer.status.as_u16() == 404 && !answer.is_from_gateway() => Ok(()),
            Ok(answer) if answer.status.as_u16() == 200 => {
                let id = answer.json()["experiment"]["experiment_id"].clone();
                gone(self.call(Method::POST, "experiments/delete", &json!({ "experiment_id": id })).await)
            }
            answer => Err(failure(answer, 200)),
        }
    }
}

/// Whether the answer to a deletion says that the object is gone, or was never there.
fn gone(answer: Result<Response, String>) -> Result<(), Fault> {
    match answer {
        Ok(answer) if answer.status.as_u16() == 200 => Ok(()),
        Ok(answer) if answer.status.as_u16() == 404 && !answer.is_from_gateway() => Ok(()),
        answer => Err(failure(answer, 200)),
    }
}

fn failure(answer: Result<Response, String>, wanted: u16) -> Fault {
    match answer {
        Ok(answer) => unexpected(&answer, wanted),
        Err(error) => Fault::new(Code::GatewaySilent, error, "", ""),
    }
}
