//! A fake MLflow with experiments, runs and the like, which keeps the tags that it is told, and gateways in front of it. The key
//! of a user is the user's name.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{
    Gateway, GatewayBuilder, Response, Server, ask,
    server::{Answer, Recorded},
};

const OWNER: &str = "hokusai.owner";

/// Takes the place of MLflow's answer to a request.
type Script = Box<dyn Fn(&Recorded) -> Option<Answer> + Send>;

#[derive(Default)]
pub(super) struct State {
    /// Tags by the ids of experiments.
    pub experiments: BTreeMap<String, BTreeMap<String, String>>,
    /// Experiments by the last part of the path that asks for a thing in them.
    pub homes: BTreeMap<String, String>,
    script: Option<Script>,
}

pub(super) struct Stage {
    pub mlflow: Server,
    pub auth: Server,
    pub state: Arc<Mutex<State>>,
}

impl Stage {
    /// Experiment 1 is ada's with the run `a`, 2 is bob's with `b`.
    pub async fn set() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let playing = Arc::clone(&state);
        let mlflow = Server::start(move |request| playing.lock().unwrap().answer(request)).await;
        let auth = Server::start(|request| {
            let user = request.header("authorization").unwrap().strip_prefix("Bearer ").unwrap();
            let answer = json!({"is_valid": true, "user_id": user, "key_id": user, "is_admin": user == "admin",
                "scopes": ["mlflow:read", "mlflow:write", "mlflow:registry_write"]});
            Answer::ok(&answer.to_string())
        })
        .await;
        let stage = Self { mlflow, auth, state };
        for (experiment, owner, run) in [("1", "ada", "a"), ("2", "bob", "b")] {
            stage.own(experiment, owner);
            stage.put(run, experiment);
        }
        stage
    }

    /// Past every gateway.
    pub fn own(&self, experiment: &str, owner: &str) {
        let tags = BTreeMap::from([(OWNER.to_owned(), owner.to_owned())]);
        self.state.lock().unwrap().experiments.insert(experiment.to_owned(), tags);
    }

    pub fn put(&self, id: &str, experiment: &str) {
        self.state.lock().unwrap().homes.insert(id.to_owned(), experiment.to_owned());
    }

    /// From now on `script` answers, where it does.
    pub fn answer(&self, script: impl Fn(&Recorded) -> Option<Answer> + Send + 'static) {
        self.state.lock().unwrap().script = Some(Box::new(script));
    }

    pub async fn gateway(&self, settings: &[(&str, &str)]) -> Gateway {
        let builder = GatewayBuilder::default()
            .set("POLICY__OWNERSHIP", "enforce")
            .set("AUTH__SERVICE__URL", &self.auth.url())
            .set("AUTH__PEPPER", "a pepper of the fleet's");
        let builder = settings.iter().fold(builder, |builder, (name, value)| builder.set(name, value));
        builder.start(&self.mlflow).await
    }

    /// What reached MLflow of this kind: the gateway's questions are the GETs.
    pub fn reached(&self, method: &str, part: &str) -> Vec<Recorded> {
        let mut requests = self.mlflow.requests();
        requests.retain(|request| request.line.starts_with(method) && request.target().contains(part));
        requests
    }

    pub fn asked(&self, part: &str) -> usize {
        self.reached("GET ", part).len()
    }
}

impl State {
    fn answer(&mut self, request: &Recorded) -> Answer {
        let (path, query) = request.target().split_once('?').unwrap_or((request.target(), ""));
        if let Some(scripted) = self.script.as_ref().and_then(|script| script(request)) {
            return scripted;
        }
        if request.line.starts_with("GET ") {
            return self.said(path, query);
        }
        if path.ends_with("/experiments/set-experiment-tag") {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            let text = |name: &str| body[name].as_str().unwrap().to_owned();
            let tags = self.experiments.entry(text("experiment_id")).or_default();
            tags.insert(text("key"), text("value"));
        }
        Answer::ok(&made(path).to_string())
    }

    fn said(&self, path: &str, query: &str) -> Answer {
        let id = query.split_once('=').map_or(path, |(_, id)| id).trim_end_matches("/info");
        let id = id.rsplit('/').find(|part| *part != "experiment-ids").unwrap();
        let id = if path.contains("/logged-models/") { path.rsplit('/').next().unwrap() } else { id };
        let answer = match (self.experiments.get(id), self.homes.get(id)) {
            (Some(tags), _) if path.ends_with("/experiments/get") => {
                let tags: Vec<_> =
                    tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
                json!({"experiment": {"experiment_id": id, "name": format!("e/{id}"), "tags": tags}})
            }
            (_, Some(home)) if path.contains("/runs/") => {
                json!({"run": {"info": {"run_id": id, "experiment_id": home}}})
            }
            (_, Some(home)) if path.contains("/logged-models/") => {
                json!({"model": {"info": {"model_id": id, "experiment_id": home}}})
            }
            (_, Some(home)) if path.contains("/2.0/mlflow/traces/") => {
                json!({"trace_info": {"request_id": id, "experiment_id": home}})
            }
            _ => return Answer::json(404, r#"{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}"#),
        };
        Answer::ok(&answer.to_string())
    }
}

/// What MLflow answers when something is made in experiment 1.
fn made(path: &str) -> Value {
    match path.rsplit("/mlflow/").next().unwrap() {
        "runs/create" => json!({"run": {"info": {"run_id": "new", "experiment_id": "1"}}}),
        "logged-models" => json!({"model": {"info": {"model_id": "m-new", "experiment_id": "1"}}}),
        "datasets/create" => json!({"dataset": {"dataset_id": "d-new", "experiment_ids": ["1"]}}),
        "issues" => json!({"issue": {"issue_id": "i-new", "experiment_id": "1"}}),
        "label-schemas/create" => json!({"label_schema": {"schema_id": "s-new", "experiment_id": "1"}}),
        "review-queues/create" => json!({"review_queue": {"queue_id": "q-new", "experiment_id": "1"}}),
        "traces" => {
            let place = json!({"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "1"}});
            json!({"trace": {"trace_info": {"trace_id": "tr-new", "trace_location": place}}})
        }
        _ => json!({}),
    }
}

/// A request of a user's with JSON.
pub(super) async fn send(gateway: &Gateway, user: &str, line: &str, body: &Value) -> Response {
    send_with(gateway, user, line, "", body).await
}

pub(super) async fn send_with(
    gateway: &Gateway,
    user: &str,
    line: &str,
    headers: &str,
    body: &Value,
) -> Response {
    ask(gateway.address, request(user, line, headers, body)).await
}

pub(super) fn request(user: &str, line: &str, headers: &str, body: &Value) -> String {
    let (method, path) = line.split_once(' ').unwrap();
    let body = body.to_string();
    format!(
        "{method} /api/{path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {user}\r\ncontent-type: application/json\r\n\
         {headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Logs a metric of a run.
pub(super) async fn log(gateway: &Gateway, user: &str, run: &str) -> Response {
    send(gateway, user, "POST 2.0/mlflow/runs/log-metric", &json!({"run_id": run, "key": "k", "value": 1}))
        .await
}

pub(super) const SET_TAG: &str = "POST 2.0/mlflow/experiments/set-experiment-tag";

/// What gives an experiment to another.
pub(super) fn gift(experiment: &str, owner: &str) -> Value {
    json!({"experiment_id": experiment, "key": OWNER, "value": owner})
}

/// Gives an experiment to another, as an administrator.
pub(super) async fn give(gateway: &Gateway, experiment: &str, owner: &str) {
    let given = send(gateway, "admin", SET_TAG, &gift(experiment, owner)).await;
    assert_eq!(given.status, 200, "{given:?}");
}

/// Whether MLflow could not say whose it is, and the client is told when to come back.
pub(super) fn is_unknown(response: &Response) -> bool {
    response.status == 503
        && response.reason() == "upstream_unavailable"
        && response.header("retry-after").is_some()
        && response.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
        && response.json()["message"]
            == "MLflow does not say at the moment whose this is: nothing was changed, try again"
}

/// After a while.
pub(super) fn late(answer: &str) -> Answer {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        answer.len()
    );
    Answer::After(Duration::from_millis(100), format!("{head}{answer}").into_bytes())
}
