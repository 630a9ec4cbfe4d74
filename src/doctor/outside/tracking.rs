//! Experiments and runs: written, and read back.

use jiff::Timestamp;
use serde_json::{Value, json};

use awc::http::Method;

use super::{
    Deployment,
    expectation::{expect, expect_text, not_mlflows, text_at},
    made::Made,
};
use crate::{
    code::Code,
    doctor::{Fault, Finding, Journal, Response, passed},
    http_client::host_of,
};

/// A run, for the checks of its artifacts.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) id: String,
    /// The address of its artifacts, in MLflow's words.
    pub(super) uri: String,
    /// The path of its artifacts below the root of the artifact store.
    pub(super) artifacts: String,
}

const METRIC: [f64; 3] = [0.75, 0.5, 0.25];

impl Deployment {
    pub(super) async fn tracking(&self, journal: &mut Journal, made: &mut Made) -> Option<Run> {
        let name = made.name.clone();
        made.experiment = true;
        let experiment = journal.check("experiment", self.experiment(&name)).await;
        let Some(experiment) = experiment else {
            journal.skip("run", "there is no experiment");
            return None;
        };
        let run = journal.check("run", self.run(&experiment)).await;
        let Some(run) = run else {
            journal.skip("params", "there is no run");
            return None;
        };
        made.run = Some(run.clone());
        journal.check("params", self.params(&run)).await;
        journal.check("metrics", self.metrics(&run)).await;
        Some(run)
    }

    /// A call of MLflow's REST API, with the key.
    pub(super) async fn call(&self, method: Method, path: &str, body: &Value) -> Result<Response, String> {
        let target = format!("{}/api/2.0/mlflow/{path}", self.mount);
        let headers = [("authorization", &*self.authorization), ("content-type", "application/json")];
        if method == Method::GET {
            return self.site.get(&target, &headers[..1]).await;
        }
        self.site.send(method, &target, &headers, body.to_string()).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Result<Response, Fault> {
        expect(self.call(Method::POST, path, &body).await, 200)
    }

    pub(super) async fn read(&self, path: &str) -> Result<Response, Fault> {
        expect(self.call(Method::GET, path, &Value::Null).await, 200)
    }

    async fn experiment(&self, name: &str) -> Finding<String> {
        let tags = json!([{ "key": "made_by", "value": "hokusai-gateway doctor" }]);
        let created = self.post("experiments/create", json!({ "name": name, "tags": tags })).await?;
        let id = text_at(&created, "/experiment_id")?;
        let found = self.read(&format!("experiments/get-by-name?experiment_name={name}")).await?;
        expect_text(&found, "/experiment/experiment_id", &id, "another experiment")?;
        let filter = json!({ "filter": format!("name = '{name}'"), "max_results": 5 });
        let searched = self.post("experiments/search", filter).await?;
        expect_text(&searched, "/experiments/0/experiment_id", &id, "another experiment")?;
        Ok((id.clone(), format!("{name} created, read and found ({id})")))
    }

    async fn run(&self, experiment: &str) -> Finding<Run> {
        let now = Timestamp::now().as_millisecond();
        let body = json!({ "experiment_id": experiment, "start_time": now, "run_name": "doctor" });
        let created = self.post("runs/create", body).await?;
        let id = text_at(&created, "/run/info/run_id")?;
        let uri = text_at(&created, "/run/info/artifact_uri")?;
        let elsewhere = |place: String, cause: &str| {
            let what = format!("the run's artifacts are at {uri}{place}");
            let fix = "mlflow server --serve-artifacts --artifacts-destination s3://…, without --default-artifact-root";
            Fault::new(Code::DirectArtifacts, what, cause, fix)
        };
        if let Some(host) = authority_of(&uri).filter(|host| *host != host_of(&self.url)) {
            let cause = "MLflow was started with a --default-artifact-root of its own";
            return Err(elsewhere(format!(": clients would use {host} for them"), cause));
        }
        let path = store_path(&uri).ok_or_else(|| {
            let cause = "MLflow was started with --no-serve-artifacts or a --default-artifact-root of its own: clients use \
                         the store themselves, for which they have no credentials";
            elsewhere(", outside of the gateway".to_owned(), cause)
        })?;
        let finished = json!({ "run_id": id, "status": "FINISHED", "end_time": now });
        self.post("runs/update", finished).await?;
        Ok((Run { artifacts: path, uri, id: id.clone() }, format!("{id} created and finished")))
    }

    async fn params(&self, run: &Run) -> Finding {
        let value = "a+b %20 / é";
        self.post("runs/log-parameter", json!({ "run_id": run.id, "key": "note", "value": value })).await?;
        let params = json!([{ "key": "alpha", "value": "0.5" }]);
        self.post("runs/log-batch", json!({ "run_id": run.id, "params": params })).await?;
        let answer = self.read(&format!("runs/get?run_id={}", run.id)).await?;
        let read = answer.json();
        let params = read.pointer("/run/data/params").and_then(Value::as_array).cloned().unwrap_or_default();
        let has = |key: &str, value: &str| {
            params.iter().any(|param| param["key"] == key && param["value"] == value)
        };
        if has("note", value) && has("alpha", "0.5") {
            passed("logged one by one and as a batch, and read back")
        } else {
            Err(not_mlflows(&answer, "other parameters than were logged"))
        }
    }

    async fn metrics(&self, run: &Run) -> Finding {
        let now = Timestamp::now().as_millisecond();
        for (step, value) in METRIC.iter().enumerate() {
            let body =
                json!({ "run_id": run.id, "key": "loss", "value": value, "timestamp": now, "step": step });
            self.post("runs/log-metric", body).await?;
        }
        let answer = self.read(&format!("metrics/get-history?run_id={}&metric_key=loss", run.id)).await?;
        let history = answer.json();
        let history = history["metrics"].as_array().cloned().unwrap_or_default();
        let values: Vec<f64> = history.iter().filter_map(|point| point["value"].as_f64()).collect();
        if values == METRIC {
            passed(format!("{} steps logged and read back", METRIC.len()))
        } else {
            Err(not_mlflows(&answer, "other metrics than were logged"))
        }
    }
}

/// The path of an artifact's address below the root of the store, if MLflow serves it.
pub(super) fn store_path(uri: &str) -> Option<String> {
    let rest = uri.strip_prefix("mlflow-artifacts:")?;
    // With an authority (mlflow-artifacts://host/…) or without.
    let path = rest.strip_prefix("//").map_or(Some(rest), |rest| rest.find('/').map(|at| &rest[at..]))?;
    Some(path.trim_matches('/').to_owned())
}

/// The host and port in such an address, if it has them.
fn authority_of(uri: &str) -> Option<&str> {
    let rest = uri.strip_prefix("mlflow-artifacts://")?;
    rest.split('/').next().filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{authority_of, store_path};

    #[test]
    fn an_address_of_another_server_is_recognised() {
        assert_eq!(authority_of("mlflow-artifacts://host:5000/1/a"), Some("host:5000"));
        assert_eq!(authority_of("mlflow-artifacts:///1/a"), None);
        assert_eq!(authority_of("mlflow-artifacts:/1/a"), None);
    }

    #[test]
    fn only_an_address_that_mlflow_serves_has_a_path() {
        for (uri, path) in [
            ("mlflow-artifacts:/1/a/artifacts", Some("1/a/artifacts")),
            ("mlflow-artifacts://host:5000/1/a/artifacts/", Some("1/a/artifacts")),
            ("mlflow-artifacts:/workspaces/w/1/a/artifacts", Some("workspaces/w/1/a/artifacts")),
            ("s3://bucket/1/a/artifacts", None),
            ("/mlruns/1/a/artifacts", None),
        ] {
            assert_eq!(store_path(uri).as_deref(), path, "{uri}");
        }
    }
}
