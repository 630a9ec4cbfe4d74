//! What is asked for: pages, prompts, workspaces.

use serde_json::{Value, json};

use super::{body, experiment, owners, printed, tags_set, with_experiments};
use crate::support::{Server, server::Answer};

#[actix_web::test]
async fn every_page_is_read_and_none_is_long() {
    let have = (0..450).map(|id| experiment(id, &format!("e-{id}"), None)).collect();
    let server = with_experiments(have, |_| Answer::ok("{}")).await;
    let output = owners(&["list", "--format", "json"], &server.url()).await;
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), listed.as_array().unwrap().len()), (Some(0), 450));
    let searches: Vec<Value> = server
        .requests()
        .iter()
        .filter(|request| request.target().ends_with("experiments/search"))
        .map(body)
        .collect();
    let tokens: Vec<_> = searches.iter().map(|asked| asked["page_token"].as_str()).collect();
    assert_eq!(tokens, [None, Some("200"), Some("400")]);
    assert!(
        searches
            .iter()
            .all(|asked| asked["view_type"] == "ALL" && asked["order_by"][0] == "experiment_id ASC")
    );
}

#[actix_web::test]
async fn a_page_that_is_too_long_is_asked_for_in_parts() {
    let note = "x".repeat(30_000);
    let have = (0..250).map(|id| {
        let mut thing = experiment(id, &format!("e-{id}"), None);
        thing["tags"] = json!([{ "key": "mlflow.note.content", "value": note }]);
        thing
    });
    let server = with_experiments(have.collect(), |_| Answer::ok("{}")).await;
    let output = owners(&["list", "--format", "json"], &server.url()).await;
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ids: Vec<_> =
        listed.as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, (0..250).map(|id| id.to_string()).collect::<Vec<_>>());
}

#[actix_web::test]
async fn prompts_are_asked_for_apart_and_are_models() {
    let server = Server::start_asked(|request| {
        let target = request.target();
        if target.contains("registered-models/search") {
            let name = if target.contains("is_prompt") { "a prompt" } else { "a model" };
            return Answer::ok(&json!({ "registered_models": [{ "name": name }] }).to_string());
        }
        Answer::ok(r#"{"workspaces_enabled": false}"#)
    })
    .await;
    let output = owners(&["set", "acme", "--models", "a *", "--apply"], &server.url()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let tag = |name: &str| json!({ "name": name, "key": "hokusai.owner", "value": "acme" });
    assert_eq!(tags_set(&server), [tag("a model"), tag("a prompt")]);
    assert!(!server.requests().iter().any(|request| request.target().contains("experiments")));
}

/// MLflow with workspaces; its answer for the list of them.
async fn with_workspaces(list: Answer) -> Server {
    Server::start_asked(move |request| match request.target().split('?').next().unwrap() {
        "/api/mlflow/api/3.0/mlflow/server-info" => Answer::ok(r#"{"workspaces_enabled": true}"#),
        "/api/mlflow/api/3.0/mlflow/workspaces" => list.clone(),
        "/api/mlflow/api/2.0/mlflow/experiments/search" => {
            let workspace = request.header("x-mlflow-workspace").unwrap();
            Answer::ok(&json!({ "experiments": [experiment(1, workspace, None)] }).to_string())
        }
        _ => Answer::ok("{}"),
    })
    .await
}

fn workspaces_of(server: &Server, path: &str) -> Vec<String> {
    let requests = server.requests();
    let requests = requests.iter().filter(|request| request.target().ends_with(path));
    requests.map(|request| request.header("x-mlflow-workspace").unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn every_workspace_is_looked_at_or_the_one_that_is_named() {
    let list = || Answer::ok(r#"{"workspaces": [{"name": "default"}, {"name": "team-a"}]}"#);
    for (arguments, expected) in [
        (&["set", "acme", "--experiments", "*", "--apply"][..], &["default", "team-a"][..]),
        (&["set", "acme", "--experiments", "*", "--apply", "--workspace", "team-a"], &["team-a"]),
    ] {
        let server = with_workspaces(list()).await;
        let output = owners(arguments, &server.url()).await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(workspaces_of(&server, "experiments/search"), expected);
        assert_eq!(workspaces_of(&server, "set-experiment-tag"), expected);
        assert!(printed(&output).contains("in workspace team-a"), "{output:?}");
    }
}

#[actix_web::test]
async fn no_workspace_is_taken_for_another() {
    let list = Answer::ok(r#"{"workspaces": [{"name": "default"}]}"#);
    let denied = r#"{"reason": "scope_missing", "message": "this route reaches every workspace"}"#;
    let none = with_experiments(Vec::new(), |_| Answer::ok("{}")).await;
    for (server, arguments, expected) in [
        (
            with_workspaces(list).await,
            &["list", "--workspace", "team-a"][..],
            "MLflow has no workspace team-a",
        ),
        (
            with_workspaces(Answer::json(403, denied)).await,
            &["list", "--workspace", "team-a"],
            "bound to none of them: 403",
        ),
        (with_workspaces(Answer::ok("{}")).await, &["list"], "no answer of MLflow's"),
        (none, &["list", "--workspace", "team-a"], "this MLflow has no workspaces"),
    ] {
        let output = owners(arguments, &server.url()).await;
        let text = printed(&output);
        assert!(output.status.code() == Some(1) && text.contains(expected), "{expected}: {text}");
        assert!(!server.requests().iter().any(|request| request.target().contains("/search")));
    }
}

#[actix_web::test]
async fn what_is_no_list_of_mlflows_is_not_taken_for_an_empty_one() {
    for answer in [
        r#"{"status": "ok"}"#,
        "<html>",
        "[]",
        r#"{"experiments": {}}"#,
        r#"{"experiments": [{"name": "e"}]}"#,
        r#"{"experiments": [{"experiment_id": "1"}]}"#,
        r#"{"experiments": [], "next_page_token": "again and again"}"#,
    ] {
        let server = Server::start_asked(move |request| {
            Answer::ok(if request.target().ends_with("server-info") { "{}" } else { answer })
        })
        .await;
        let output = owners(&["list"], &server.url()).await;
        let text = printed(&output);
        assert!(
            output.status.code() == Some(1) && text.contains("no answer of MLflow's"),
            "{answer}: {text}"
        );
    }
}
