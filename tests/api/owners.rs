//! `owners` at a server that stands for the gateway and MLflow: what it asks for, what it changes, and what it says if that fails.
//! That MLflow does so is in tests/e2e/test_owners.py.

mod asking;
mod failing;
mod setting;

use std::process::Output;

use serde_json::{Value, json};

use crate::support::{
    Server,
    process::command,
    server::{Answer, Recorded},
};

const KEY: &str = "hk_test_OBVIOUSLYnotAkeyOBVIOUSLY0000000";

/// Runs `owners` with the key while the servers of the test go on.
async fn owners(arguments: &[&str], url: &str) -> Output {
    let arguments: Vec<String> =
        arguments.iter().chain(&["--url", url]).map(|&argument| argument.to_owned()).collect();
    let running = actix_web::web::block(move || {
        let folder = tempfile::tempdir().unwrap();
        command(folder.path()).arg("owners").args(arguments).env("HOKUSAI_API_KEY", KEY).output().unwrap()
    });
    running.await.unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn body(request: &Recorded) -> Value {
    serde_json::from_slice(&request.body).unwrap_or_default()
}

fn tagged(mut thing: Value, owner: Option<&str>, writers: Option<&str>) -> Value {
    let tag = |key: &str, value: Option<&str>| value.map(|value| json!({ "key": key, "value": value }));
    let tags = [tag("hokusai.owner", owner), tag("hokusai.writers", writers)];
    thing["tags"] = tags.into_iter().flatten().collect();
    thing
}

fn experiment(id: usize, name: &str, owner: Option<&str>) -> Value {
    let thing = json!({ "experiment_id": id.to_string(), "name": name, "lifecycle_stage": "active" });
    tagged(thing, owner, None)
}

/// MLflow with these experiments and no models, which sets tags as `set` says.
async fn with_experiments(
    experiments: Vec<Value>,
    set: impl Fn(&Value) -> Answer + Send + Sync + 'static,
) -> Server {
    Server::start_asked(move |request| match request.target().split('?').next().unwrap() {
        "/api/mlflow/api/3.0/mlflow/server-info" => Answer::ok(r#"{"workspaces_enabled": false}"#),
        "/api/mlflow/api/2.0/mlflow/experiments/search" => page(&experiments, &body(request)),
        "/api/mlflow/api/2.0/mlflow/registered-models/search" => Answer::ok("{}"),
        path if path.ends_with("tag") => set(&body(request)),
        path => Answer::json(404, &format!(r#"{{"error_code": "ENDPOINT_NOT_FOUND", "message": "{path}"}}"#)),
    })
    .await
}

/// As MLflow cuts them: the token says where the next page begins.
fn page(experiments: &[Value], asked: &Value) -> Answer {
    let from: usize = asked["page_token"].as_str().map_or(0, |token| token.parse().unwrap());
    let to = experiments.len().min(from + asked["max_results"].as_u64().unwrap() as usize);
    let mut answer = json!({});
    if from < to {
        answer["experiments"] = experiments[from..to].into();
    }
    if to < experiments.len() {
        answer["next_page_token"] = to.to_string().into();
    }
    Answer::ok(&answer.to_string())
}

fn tags_set(server: &Server) -> Vec<Value> {
    server.requests().iter().filter(|request| request.target().ends_with("tag")).map(body).collect()
}
