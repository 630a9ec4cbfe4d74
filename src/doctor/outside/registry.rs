//! A model: registered, with a version, found again, and its files read through the registry.

use serde_json::json;

use super::{
    Deployment,
    artifacts::{MODEL, MODEL_FILE},
    expectation::{expect_text, not_mlflows, text_at},
    made::Made,
    tracking::{Run, store_path},
};
use crate::doctor::{Finding, Journal, passed};

impl Deployment {
    pub(super) async fn registry(&self, journal: &mut Journal, made: &mut Made, run: &Run) {
        let name = made.name.clone();
        made.model = true;
        if journal.check("model registered", self.register(&name)).await.is_none() {
            journal.skip("model version", "no model was registered");
            return;
        }
        let Some(version) = journal.check("model version", self.create_version(&name, run)).await else {
            journal.skip("model read back", "the model has no version");
            return;
        };
        journal.check("model found", self.find(&name, &version)).await;
        journal.check("model read back", self.read_back(&name, &version)).await;
    }

    async fn register(&self, name: &str) -> Finding {
        let answer = self.post("registered-models/create", json!({ "name": name })).await?;
        expect_text(&answer, "/registered_model/name", name, "another name")?;
        passed(name.to_owned())
    }

    async fn create_version(&self, name: &str, run: &Run) -> Finding<String> {
        let body = json!({ "name": name, "source": format!("{}/{MODEL}", run.uri), "run_id": run.id });
        let answer = self.post("model-versions/create", body).await?;
        let version = text_at(&answer, "/model_version/version")?;
        expect_text(&answer, "/model_version/status", "READY", "a version that is not READY")?;
        Ok((version.clone(), format!("version {version}, ready")))
    }

    async fn find(&self, name: &str, version: &str) -> Finding {
        // MLflow's client writes the filter into the query like this.
        let models = self.read(&format!("registered-models/search?filter=name%3D%27{name}%27")).await?;
        expect_text(&models, "/registered_models/0/name", name, "another model")?;
        let versions = self.read(&format!("model-versions/search?filter=name%3D%27{name}%27")).await?;
        expect_text(&versions, "/model_versions/0/version", version, "another version")?;
        passed("by its name, with its version")
    }

    async fn read_back(&self, name: &str, version: &str) -> Finding {
        let target = format!("model-versions/get-download-uri?name={name}&version={version}");
        let answer = self.read(&target).await?;
        let uri = text_at(&answer, "/artifact_uri")?;
        let path =
            store_path(&uri).ok_or_else(|| not_mlflows(&answer, "an address outside of the gateway"))?;
        let ((), digest) = self.download(&format!("{path}/MLmodel"), MODEL_FILE).await?;
        passed(format!("MLmodel, {digest}"))
    }
}
