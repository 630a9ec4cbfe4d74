//! A key changes nothing outside its fence, in whatever mode the gateway is.

mod bodies;
mod edges;

use hokusai_gateway::auth::{key::Environment, key_file::edit::NewKey};
use serde_json::{Value, json};

use crate::support::{
    Gateway, GatewayBuilder, Response, Server, ask,
    server::{Answer, Recorded},
};

const RUN: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const OTHERS_RUN: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// An MLflow with a model, an experiment and a run inside the fence `acme-*`, `acme/*`, and with others outside.
async fn mlflow() -> Server {
    Server::start(|request| match request.target().split_once('?') {
        Some((path, query)) if request.line.starts_with("GET ") && path.ends_with("/get") => {
            let (_, value) = url::form_urlencoded::parse(query.as_bytes()).next().unwrap();
            thing(&value).map_or_else(missing, |thing| Answer::ok(&thing.to_string()))
        }
        _ => Answer::ok("{}"),
    })
    .await
}

/// Everything is Ada's, so that no owner is in the way of her key.
fn thing(asked: &str) -> Option<Value> {
    let tags = json!([{"key": "hokusai.owner", "value": "ada"}]);
    let model = |name: &str| json!({"registered_model": {"name": name, "tags": tags}});
    let experiment = |id: &str, name: &str| {
        let location = format!("mlflow-artifacts:/{id}");
        json!({"experiment": {"experiment_id": id, "name": name, "artifact_location": location, "tags": tags}})
    };
    let run = |experiment: &str, id: &str| {
        let uri = format!("mlflow-artifacts:/{experiment}/{id}/artifacts");
        json!({"run": {"info": {"run_id": id, "experiment_id": experiment, "artifact_uri": uri}}})
    };
    Some(match asked {
        "acme-churn" | "bob-churn" | "acme-*" => model(asked),
        // A database that compares without case has it in another spelling.
        "acme-folded" => model("Acme-Folded"),
        "1" => experiment("1", "acme/churn"),
        "2" => experiment("2", "bob/churn"),
        RUN => run("1", RUN),
        OTHERS_RUN => run("2", OTHERS_RUN),
        _ => return None,
    })
}

fn missing() -> Answer {
    Answer::json(404, r#"{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such thing"}"#)
}

fn key(scopes: &[&str], models: Option<&[&str]>, experiments: Option<&[&str]>) -> NewKey {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    NewKey {
        scopes: Some(texts(scopes)),
        models: models.map(texts),
        experiments: experiments.map(texts),
        ..NewKey::of("ada", Environment::Test)
    }
}

const USER: &[&str] = &["mlflow:read", "mlflow:write", "mlflow:delete"];
const ACME: (Option<&[&str]>, Option<&[&str]>) = (Some(&["acme-*"]), Some(&["acme/*"]));

async fn fenced(mlflow: &Server, (models, experiments): (Option<&[&str]>, Option<&[&str]>)) -> Gateway {
    GatewayBuilder::default().key(key(USER, models, experiments)).start(mlflow).await
}

/// A change of a thing of this kind. `PUT` and `DELETE` of an artifact are written as its path.
type Change<'a> = (&'a str, Value);

async fn send(gateway: &Gateway, (target, body): &Change<'_>) -> Response {
    let (method, path) = target.split_once(' ').unwrap_or(("POST", target));
    let root = if path.starts_with('/') { "" } else { "/api/2.0/mlflow/" };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let rest = format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    ask(gateway.address, gateway.request(method, &format!("{root}{path}"), &rest)).await
}

/// The changes that came to MLflow: the gateway's own questions are GETs.
fn changes(mlflow: &Server) -> Vec<Recorded> {
    let mut requests = mlflow.requests();
    requests.retain(|request| !request.line.starts_with("GET "));
    requests
}

fn inside() -> Vec<Change<'static>> {
    vec![
        ("registered-models/create", json!({"name": "acme-new"})),
        ("registered-models/set-tag", json!({"name": "acme-churn", "key": "a", "value": "b"})),
        ("PATCH registered-models/update", json!({"name": "acme-churn", "description": "b"})),
        ("registered-models/rename", json!({"name": "acme-churn", "new_name": "acme-other"})),
        ("DELETE registered-models/delete", json!({"name": "acme-churn"})),
        ("registered-models/alias", json!({"name": "acme-churn", "alias": "a", "version": "1"})),
        ("model-versions/create", json!({"name": "acme-churn", "source": "runs:/a/m"})),
        ("experiments/create", json!({"name": "acme/new"})),
        ("experiments/set-experiment-tag", json!({"experiment_id": "1", "key": "a", "value": "b"})),
        ("experiments/update", json!({"experiment_id": "1", "new_name": "acme/other"})),
        ("experiments/delete", json!({"experiment_id": "1"})),
        ("runs/create", json!({"experiment_id": "1"})),
        ("runs/log-metric", json!({"run_id": RUN, "key": "a", "value": 1, "timestamp": 1})),
        ("logged-models", json!({"experiment_id": "1"})),
        (
            "PUT /api/2.0/mlflow-artifacts/artifacts/1/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/artifacts/x",
            Value::Null,
        ),
    ]
}

/// With what the message says.
fn outside() -> Vec<(Change<'static>, &'static str)> {
    const MODEL: &str = "the model \"bob-churn\" is outside this API key's fence: acme-*";
    const EXPERIMENT: &str = "the experiment \"bob/churn\" is outside this API key's fence: acme/*";
    const NO_NAME: &str = "is outside this API key's fence, which has experiments and models only";
    vec![
        (("registered-models/create", json!({"name": "bob-churn"})), MODEL),
        (("registered-models/create", json!({"name": "ACME-new"})), "the model \"ACME-new\" is outside"),
        (("registered-models/create", json!({"name": " acme-new"})), "the model \" acme-new\" is outside"),
        (("registered-models/create", json!({"name": "acme/new"})), "the model \"acme/new\" is outside"),
        (("registered-models/set-tag", json!({"name": "bob-churn", "key": "a", "value": "b"})), MODEL),
        (
            ("registered-models/set-tag", json!({"name": "acme-folded", "key": "a", "value": "b"})),
            "Acme-Folded",
        ),
        (("PATCH registered-models/update", json!({"name": "bob-churn", "description": "b"})), MODEL),
        (("registered-models/rename", json!({"name": "acme-churn", "new_name": "bob-churn"})), MODEL),
        (("registered-models/rename", json!({"name": "acme-churn", "newName": "bob-churn"})), MODEL),
        (("registered-models/rename", json!({"name": "bob-churn", "new_name": "acme-other"})), MODEL),
        (("DELETE registered-models/delete", json!({"name": "bob-churn"})), MODEL),
        (("registered-models/alias", json!({"name": "bob-churn", "alias": "a", "version": "1"})), MODEL),
        (("model-versions/create", json!({"name": "bob-churn", "source": "runs:/a/m"})), MODEL),
        (("experiments/create", json!({"name": "bob/churn"})), EXPERIMENT),
        (
            ("experiments/create", json!({"name": "acme/new", "artifact_location": "mlflow-artifacts:/2"})),
            NO_NAME,
        ),
        (
            ("experiments/set-experiment-tag", json!({"experiment_id": "2", "key": "a", "value": "b"})),
            EXPERIMENT,
        ),
        (("experiments/update", json!({"experiment_id": "1", "new_name": "bob/churn"})), EXPERIMENT),
        (("experiments/update", json!({"experimentId": "1", "newName": "bob/churn"})), EXPERIMENT),
        (("experiments/update", json!({"experiment_id": "2", "new_name": "acme/other"})), EXPERIMENT),
        (("experiments/delete", json!({"experiment_id": "2"})), EXPERIMENT),
        (("runs/create", json!({"experiment_id": "2"})), EXPERIMENT),
        (
            ("runs/log-metric", json!({"run_id": OTHERS_RUN, "key": "a", "value": 1, "timestamp": 1})),
            EXPERIMENT,
        ),
        (("logged-models", json!({"experiment_id": "2"})), EXPERIMENT),
        (
            (
                "PUT /api/2.0/mlflow-artifacts/artifacts/2/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb/artifacts/x",
                Value::Null,
            ),
            EXPERIMENT,
        ),
        (started(&json!({"assessments": [{"assessment_id": "a-1"}]})), "may not have ids or overrides"),
        (
            started(&json!({"tags": {"mlflow.trace.archiveLocation": "file:///x"}})),
            "it deletes what is there",
        ),
        (("PUT /api/2.0/mlflow-artifacts/artifacts/acme/x", Value::Null), NO_NAME),
        (("/api/3.0/mlflow/mcp-servers", json!({"name": "acme-/x"})), NO_NAME),
        (("/api/3.0/mlflow/skills/acme-x/tags", json!({"key": "a", "value": "b"})), NO_NAME),
        (("/graphql", json!({"query": "mutation { testMutation(input: {}) { __typename } }"})), NO_NAME),
    ]
}

/// A new trace inside the fence, with more about it.
fn started(more: &Value) -> Change<'static> {
    let place = json!({"mlflow_experiment": {"experiment_id": "1"}});
    let mut info = json!({"trace_id": format!("tr-{RUN}"), "trace_location": place});
    info.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ("/api/3.0/mlflow/traces", json!({"trace": {"trace_info": info}}))
}

async fn must_be_fenced(gateway: &Gateway, mlflow: &Server, of: &str) {
    for (change, told) in outside() {
        let before = changes(mlflow).len();
        let response = send(gateway, &change).await;
        assert_eq!(response.status, 403, "{of}: {change:?}: {}", response.text());
        assert_eq!(response.reason(), "outside_fence", "{of}: {change:?}");
        let message = response.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(told), "{of}: {change:?}: {message}");
        assert_eq!(changes(mlflow).len(), before, "{of}: {change:?} came to MLflow");
    }
    for change in inside() {
        let response = send(gateway, &change).await;
        assert_eq!(response.status, 200, "{of}: {change:?}: {}", response.text());
    }
}

#[actix_web::test]
async fn a_fence_holds_in_every_mode() {
    let mlflow = mlflow().await;
    for ownership in ["off", "report", "enforce"] {
        for mode in ["off", "report", "enforce"] {
            let gateway = GatewayBuilder::default()
                .key(key(USER, ACME.0, ACME.1))
                .set("POLICY__OWNERSHIP", ownership)
                .set("POLICY__MODE", mode)
                .start(&mlflow)
                .await;
            must_be_fenced(&gateway, &mlflow, &format!("ownership {ownership}, policy {mode}")).await;
        }
    }
}

#[actix_web::test]
async fn a_fence_holds_for_administrators() {
    let mlflow = mlflow().await;
    for ownership in ["off", "enforce"] {
        let gateway = GatewayBuilder::default()
            .key(key(&["mlflow:admin"], ACME.0, ACME.1))
            .set("POLICY__OWNERSHIP", ownership)
            .start(&mlflow)
            .await;
        must_be_fenced(&gateway, &mlflow, &format!("an administrator, ownership {ownership}")).await;
    }
}

/// An administrator's key changes what is neither a model nor an experiment, and nothing that may change models past its fence.
#[actix_web::test]
async fn what_a_request_does_not_name_is_outside() {
    let mlflow = mlflow().await;
    let gateway = GatewayBuilder::default().key(key(&["mlflow:admin"], ACME.0, ACME.1)).start(&mlflow).await;
    for change in [
        ("/ajax-api/3.0/jobs/", json!({"job_name": "a", "params": {}})),
        ("/ajax-api/3.0/mlflow/demo/generate", json!({})),
        ("/ajax-api/3.0/mlflow/assistant/message", json!({"message": "a"})),
        ("/api/3.0/mlflow/gateway/endpoints/create", json!({"name": "a"})),
        ("/api/3.0/mlflow/prompt-optimization/jobs", json!({"experiment_id": "1"})),
        ("DELETE /api/3.0/mlflow/prompt-optimization/jobs/a", Value::Null),
        ("DELETE /api/3.0/mlflow/workspaces/team-a", Value::Null),
    ] {
        let response = send(&gateway, &change).await;
        assert_eq!((response.status, &*response.reason()), (403, "outside_fence"), "{change:?}");
        assert!(response.text().contains("without naming it is outside"), "{}", response.text());
    }
    assert!(changes(&mlflow).is_empty());
    for change in [
        ("/api/2.0/mlflow/webhooks", json!({"name": "a"})),
        ("/api/3.0/mlflow/gateway/secrets/create", json!({"secret_name": "a"})),
    ] {
        assert_eq!(send(&gateway, &change).await.status, 200, "{change:?}");
    }
}

#[actix_web::test]
async fn a_key_without_a_fence_changes_everything() {
    let mlflow = mlflow().await;
    let gateway = fenced(&mlflow, (None, None)).await;
    for change in inside().into_iter().chain(outside().into_iter().map(|(change, _)| change)) {
        assert_eq!(send(&gateway, &change).await.status, 200, "{change:?}");
    }
}

#[actix_web::test]
async fn nothing_passes_while_mlflow_does_not_say_what_a_thing_is_called() {
    let mlflow = Server::start(|request| {
        if request.line.starts_with("GET ") { Answer::json(500, "{}") } else { Answer::ok("{}") }
    })
    .await;
    let gateway = fenced(&mlflow, ACME).await;
    let response = send(&gateway, &("runs/create", json!({"experiment_id": "1"}))).await;
    assert_eq!((response.status, &*response.reason()), (503, "upstream_unavailable"));
    assert!(response.header("retry-after").is_some());
    assert!(changes(&mlflow).is_empty());
}

#[actix_web::test]
async fn the_auth_services_fence_holds_and_one_that_cannot_be_read_is_no_verdict() {
    let mlflow = mlflow().await;
    let model = ("registered-models/create", json!({"name": "bob-x"}));
    for (fields, status, reason) in [
        (r#""models": ["acme-*"]"#, 403, "outside_fence"),
        (r#""models": []"#, 403, "outside_fence"),
        (r#""models": ["bob-*"]"#, 200, ""),
        (r#""models": null"#, 200, ""),
        (r#""models": "bob-*""#, 503, "auth_unavailable"),
        (r#""models": ["bob-*", "["]"#, 503, "auth_unavailable"),
        (r#""models": ["bob-*", null]"#, 503, "auth_unavailable"),
        (r#""experiments": {"all": true}"#, 503, "auth_unavailable"),
    ] {
        let answer = format!(
            r#"{{"is_valid": true, "user_id": "ada", "key_id": "k-1", "scopes": ["mlflow:write"], {fields}}}"#
        );
        let auth = Server::start(move |_| Answer::ok(&answer)).await;
        let gateway = GatewayBuilder::default().set("AUTH__SERVICE__URL", &auth.url()).start(&mlflow).await;
        let before = changes(&mlflow).len();
        // From the answer, and from the memory.
        for _ in 0..2 {
            let response = send(&gateway, &model).await;
            assert_eq!(response.status, status, "{fields}: {}", response.text());
            assert!(status == 200 || response.reason() == reason, "{fields}: {}", response.text());
        }
        assert_eq!(changes(&mlflow).len() - before, if status == 200 { 2 } else { 0 }, "{fields}");
    }
}
