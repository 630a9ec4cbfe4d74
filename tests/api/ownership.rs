//! Whose a thing is, asked of MLflow: what the questions carry, how many there are, and that nothing passes without an answer.

mod administrators;
mod bounds;
mod fleet;
mod learning;
mod lists;
mod missing;
mod silence;
mod stage;
mod workspaces;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{client::Connection, eventually, metric, server::Answer};
use stage::{SET_TAG, Stage, gift, give, late, log, request, send, send_with};

#[actix_web::test]
async fn a_question_has_the_gateways_credential_the_requests_workspace_and_nothing_of_the_clients() {
    let stage = Stage::set().await;
    let gateway = stage.gateway(&[("MLFLOW__AUTH", "bearer"), ("MLFLOW__TOKEN", "of-the-gateway")]).await;
    let headers = "x-mlflow-workspace: team-a\r\ncookie: c=1\r\nx-mine: 1\r\nuser-agent: me\r\ntraceparent: \
                   00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
    let body = json!({"run_id": "a", "key": "k", "value": 1});
    let logged = send_with(&gateway, "ada", "POST 2.0/mlflow/runs/log-metric", headers, &body).await;
    assert_eq!(logged.status, 200);
    let questions = stage.reached("GET ", "");
    assert_eq!(questions.len(), 2, "{questions:?}");
    for question in questions {
        assert_eq!(question.header("authorization"), Some("Bearer of-the-gateway"));
        assert_eq!(question.all("x-mlflow-workspace").collect::<Vec<_>>(), ["team-a"]);
        assert!(question.body.is_empty());
        for (name, value) in &question.headers {
            let name = name.to_ascii_lowercase();
            let known =
                ["host", "authorization", "via", "date", "x-mlflow-workspace", "accept", "accept-encoding"];
            assert!(known.contains(&&*name), "{name}: {value}");
        }
    }
}

#[actix_web::test]
async fn many_changes_at_once_ask_once() {
    let stage = Stage::set().await;
    stage.answer(|request| {
        request
            .target()
            .contains("/runs/get")
            .then(|| late(r#"{"run": {"info": {"run_id": "a", "experiment_id": "1"}}}"#))
    });
    let gateway = stage.gateway(&[("SERVER__WORKERS", "2")]).await;
    let logged = join_all((0..50).map(|_| log(&gateway, "ada", "a"))).await;
    assert!(logged.iter().all(|response| response.status == 200));
    assert_eq!((stage.asked("/runs/get"), stage.asked("/experiments/get")), (1, 1));
    assert_eq!(stage.reached("POST ", "/runs/log-metric").len(), 50);
}

#[actix_web::test]
async fn what_was_made_here_is_not_asked_for() {
    let start = json!({"trace": {"trace_info": {"trace_id": "tr-new",
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "1"}}}}});
    let one = json!({"experiment_id": "1", "name": "n"});
    for (make, body, question, change) in [
        (
            "2.0/mlflow/runs/create",
            one.clone(),
            "/runs/get",
            ("POST 2.0/mlflow/runs/set-tag", json!({"run_id": "new"})),
        ),
        (
            "2.0/mlflow/logged-models",
            one.clone(),
            "/logged-models/",
            ("PATCH 2.0/mlflow/logged-models/m-new/tags", json!({})),
        ),
        (
            "3.0/mlflow/datasets/create",
            json!({"name": "n", "experiment_ids": ["1"]}),
            "/datasets/",
            ("PATCH 3.0/mlflow/datasets/d-new/tags", json!({})),
        ),
        ("3.0/mlflow/issues", one.clone(), "/issues/", ("PATCH 3.0/mlflow/issues/i-new", json!({}))),
        (
            "3.0/mlflow/label-schemas/create",
            one.clone(),
            "/label-schemas/get",
            ("PATCH 3.0/mlflow/label-schemas/update", json!({"schema_id": "s-new"})),
        ),
        (
            "3.0/mlflow/review-queues/create",
            one.clone(),
            "/review-queues/get",
            ("POST 3.0/mlflow/review-queues/update", json!({"queue_id": "q-new"})),
        ),
        (
            "3.0/mlflow/traces",
            start,
            "/traces/",
            ("PATCH 3.0/mlflow/traces/tr-new/tags", json!({"key": "k", "value": "v"})),
        ),
    ] {
        let stage = Stage::set().await;
        let gateway = stage.gateway(&[]).await;
        let made = send(&gateway, "ada", &format!("POST {make}"), &body).await;
        assert_eq!(made.status, 200, "{make}: {made:?}");
        let asked = stage.asked(question);
        let (line, body) = change;
        let changed = send(&gateway, "ada", line, &body).await;
        assert_eq!((changed.status, stage.asked(question)), (200, asked), "{make}: {changed:?}");
        let refused = send(&gateway, "bob", line, &body).await;
        assert_eq!((refused.status, refused.reason().as_str()), (403, "not_owner"), "{make}");
    }
}

#[actix_web::test]
async fn a_long_training_asks_for_its_run_once_and_never_waits_again() {
    let stage = Stage::set().await;
    let gateway = stage.gateway(&[]).await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(6) {
        assert_eq!(log(&gateway, "ada", "a").await.status, 200);
        actix_rt::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((stage.asked("/runs/get"), stage.asked("/experiments/get")), (1, 2));
    assert_eq!(metric(&gateway, r#"ownership_lookups_total{result="found"}"#).await, 2.0);
    assert!(metric(&gateway, r#"ownership_lookups_total{result="hit"}"#).await > 100.0);
}

#[actix_web::test]
async fn what_is_missing_is_mlflows_to_say_and_is_asked_for_again() {
    let stage = Stage::set().await;
    let gateway = stage.gateway(&[]).await;
    for asked in [1, 2] {
        assert_eq!(log(&gateway, "ada", "later").await.status, 200);
        assert_eq!(stage.asked("/runs/get"), asked);
    }
    assert_eq!(metric(&gateway, r#"ownership_lookups_total{result="missing"}"#).await, 2.0);
    stage.put("later", "2");
    assert_eq!(log(&gateway, "ada", "later").await.reason(), "not_owner");
}

#[actix_web::test]
async fn a_new_owner_is_known_at_once_where_the_change_passed() {
    let stage = Stage::set().await;
    let gateway = stage.gateway(&[]).await;
    for owner in ["bob", "ada", "bob"] {
        give(&gateway, "1", owner).await;
        for user in ["ada", "bob"] {
            let expected = if user == owner { 200 } else { 403 };
            assert_eq!(log(&gateway, user, "a").await.status, expected, "{user} in {owner}'s");
        }
    }
}

#[actix_web::test]
async fn a_new_owner_is_known_where_the_workspace_was_written_out_and_where_it_was_not() {
    let stage = Stage::set().await;
    let gateway = stage.gateway(&[]).await;
    assert_eq!(log(&gateway, "ada", "a").await.status, 200);
    let workspace = "x-mlflow-workspace: default\r\n";
    let given = send_with(&gateway, "admin", SET_TAG, workspace, &gift("1", "bob")).await;
    assert_eq!((given.status, log(&gateway, "ada", "a").await.status), (200, 403));
}

#[actix_web::test]
async fn a_change_whose_client_went_away_is_not_overlooked() {
    let stage = Stage::set().await;
    stage.answer(|request| request.target().contains("/set-experiment-tag").then_some(Answer::Silence));
    let gateway = stage.gateway(&[]).await;
    let mut connection = Connection::open(gateway.address).await;
    connection.send(request("admin", SET_TAG, "", &gift("1", "bob"))).await;
    stage.mlflow.until(|request| request.target().contains("/set-experiment-tag")).await;
    assert_eq!(log(&gateway, "ada", "a").await.status, 200);
    let remembered = Instant::now();
    stage.own("1", "bob");
    drop(connection);
    eventually("ada is refused", async || log(&gateway, "ada", "a").await.status == 403).await;
    // An answer is asked for again after 4 s.
    assert!(remembered.elapsed() < Duration::from_millis(3_500), "{:?}", remembered.elapsed());
}
