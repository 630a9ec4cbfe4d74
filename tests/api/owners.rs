//! `owners` at a server that stands for the gateway and MLflow: what it asks for, what it changes, and what it says if that fails.
//! That MLflow does so is in tests/e2e/test_owners.py.

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

#[actix_web::test]
async fn what_cannot_be_meant_is_refused_before_anything_is_asked() {
    let server = Server::start_asked(|_| Answer::ok("{}")).await;
    let url = server.url();
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";
    for (arguments, expected) in [
        (&["set", "acme"][..], "nothing is selected: give --models or --experiments"),
        (&["set", "acme", "--models", "[a"], "--models: pattern 1 cannot be read"),
        (
            &["set", "acme", "--experiments", "a", "--experiments", "{b"],
            "--experiments: pattern 2 cannot be read",
        ),
        (&["list", "--models", "[a"], "--models: pattern 1 cannot be read"),
        (&["set", "", "--models", "*"], "is empty"),
        (&["set", " ", "--models", "*"], "is empty"),
        (&["set", "a\nb", "--models", "*"], "has a line end"),
        (&["set", KEY, "--models", "*"], "contains an API key"),
        (&["set", jwt, "--models", "*"], "contains an API key"),
        (&["set", "acme", "--models", "*", "--writers", KEY], "contains an API key"),
        (&["set", "acme", "--models", "*", "--workspace", "a b"], "--workspace"),
        (&["set", "--models", "*"], "<USER>"),
    ] {
        let output = owners(arguments, &url).await;
        let text = printed(&output);
        assert!([Some(1), Some(2)].contains(&output.status.code()), "{arguments:?}: {text}");
        assert!(text.contains(expected), "{arguments:?}: {text}");
        assert!(!text.contains(KEY) && !text.contains(jwt), "{text}");
    }
    assert_eq!(server.begun(), 0);
}

#[actix_web::test]
async fn the_key_of_the_command_is_no_user_whatever_it_looks_like() {
    let server = Server::start_asked(|_| Answer::ok("{}")).await;
    let url = server.url();
    let running = actix_web::web::block(move || {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["owners", "set", "of-the-auth-service", "--models", "*", "--url", &url];
        command(folder.path()).args(arguments).env("HOKUSAI_API_KEY", "of-the-auth-service").output().unwrap()
    });
    let output = running.await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(printed(&output).contains("an API key was given in place of a user id"), "{output:?}");
    assert_eq!(server.begun(), 0);
}

#[actix_web::test]
async fn without_apply_nothing_is_changed() {
    let server = with_experiments(vec![experiment(7, "acme/a", None)], |_| Answer::ok("{}")).await;
    let arguments = ["set", "acme", "--experiments", "acme/*", "--writers", "bob, carol"];
    let output = owners(&arguments, &server.url()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(out, "would set experiment \"acme/a\" (7): owner acme, writers bob,carol\n");
    assert!(printed(&output).contains("nothing was changed: --apply sets them"));
    assert_eq!(tags_set(&server), [] as [Value; 0]);
}

#[actix_web::test]
async fn tags_are_set_on_what_fits_and_the_writers_before_the_owner() {
    let have = vec![
        experiment(1, "other", None),
        experiment(2, "acme/a b", None),
        experiment(3, "acme/bobs", Some("bob")),
        experiment(4, "acme/done", Some("acme")),
    ];
    let server = with_experiments(have, |_| Answer::ok("{}")).await;
    let arguments = ["set", "acme", "--experiments", "acme/*", "--writers", "carol", "--apply"];
    let output = owners(&arguments, &server.url()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let tag = |id: &str, key: &str, value: &str| json!({ "experiment_id": id, "key": key, "value": value });
    assert_eq!(
        tags_set(&server),
        [
            tag("2", "hokusai.writers", "carol"),
            tag("2", "hokusai.owner", "acme"),
            tag("4", "hokusai.writers", "carol"),
        ]
    );
    let kept = "kept experiment \"acme/bobs\" (3): it belongs to bob; --replace gives it to acme";
    assert!(printed(&output).contains(kept), "{output:?}");
    let key = server.requests().iter().all(|request| request.header("authorization").unwrap().ends_with(KEY));
    assert!(key, "the key is with every request");
}

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

#[actix_web::test]
async fn a_failure_in_the_middle_says_what_is_done_and_that_it_can_go_on() {
    let have = || (0..9).map(|id| experiment(id, &format!("e-{id}"), None)).collect();
    for (answer, expected) in [
        (
            Answer::json(500, r#"{"error_code": "INTERNAL_ERROR", "message": "database is locked"}"#),
            "database is locked",
        ),
        (Answer::page(502), "No such page"),
        (Answer::Close, "stopped: experiment \"e-5\" (5): "),
        (
            Answer::json(403, r#"{"reason": "outside_fence", "message": "outside this key's fence"}"#),
            "outside_fence",
        ),
        // Too long a wait is none.
        (Answer::bytes("HTTP/1.1 429 X\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n"), "429"),
    ] {
        let server = with_experiments(have(), move |tag| {
            if tag["experiment_id"] == "5" { answer.clone() } else { Answer::ok("{}") }
        })
        .await;
        let output = owners(&["set", "acme", "--experiments", "*", "--apply"], &server.url()).await;
        let text = printed(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        for said in [expected, "stopped: experiment \"e-5\" (5)", "run the same command again", "set 5"] {
            assert!(text.contains(said), "{said}: {text}");
        }
        assert!(!tags_set(&server).iter().any(|tag| tag["experiment_id"] == "6"), "it went on");
    }
}

#[actix_web::test]
async fn what_mlflow_refuses_alone_does_not_stop_the_rest() {
    let have = (0..5).map(|id| experiment(id, &format!("e-{id}"), None)).collect();
    let server = with_experiments(have, |tag| {
        if tag["experiment_id"] == "2" {
            Answer::json(404, r#"{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "it is gone"}"#)
        } else {
            Answer::ok("{}")
        }
    })
    .await;
    let output = owners(&["set", "acme", "--experiments", "*", "--apply"], &server.url()).await;
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("not set experiment \"e-2\" (2): 404 RESOURCE_DOES_NOT_EXIST: it is gone"),
        "{text}"
    );
    assert!(text.contains("looked at 5 experiments and models, set 4, not set 1"), "{text}");
}

#[actix_web::test]
async fn a_limit_of_the_key_and_a_busy_mlflow_are_waited_for() {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let server = with_experiments(vec![experiment(1, "e", None)], move |_| {
        match asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => Answer::bytes("HTTP/1.1 429 X\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"),
            1 => Answer::json(
                503,
                r#"{"error_code": "TEMPORARILY_UNAVAILABLE", "message": "database is locked"}"#,
            ),
            _ => Answer::ok("{}"),
        }
    })
    .await;
    let output = owners(&["set", "acme", "--experiments", "*", "--apply"], &server.url()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(tags_set(&server).len(), 3);
}

#[actix_web::test]
async fn a_deleted_experiment_is_listed_and_left() {
    let mut deleted = experiment(3, "acme/old", None);
    deleted["lifecycle_stage"] = "deleted".into();
    let server = with_experiments(vec![deleted], |_| Answer::ok("{}")).await;
    let listed = owners(&["list"], &server.url()).await;
    assert!(printed(&listed).contains("deleted experiment 3"), "{listed:?}");
    let output = owners(&["set", "acme", "--experiments", "*", "--apply"], &server.url()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(printed(&output).contains("kept experiment \"acme/old\" (3): it is deleted"), "{output:?}");
    assert_eq!(tags_set(&server), [] as [Value; 0]);
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

#[actix_web::test]
async fn nothing_that_others_wrote_brings_out_the_key_or_gives_orders_to_the_terminal() {
    let names = vec![tagged(
        json!({ "experiment_id": "\u{1b}[1m", "name": "a\u{1b}[31m\rb\u{202e}" }),
        Some("\u{1b}[32m"),
        Some("\u{7}"),
    )];
    let server = with_experiments(names, |_| Answer::ok("{}")).await;
    for arguments in [
        &["list"][..],
        &["list", "--format", "json"],
        &["set", "acme", "--experiments", "*"],
        &["set", "acme", "--experiments", "*", "--replace", "--writers", "bob"],
    ] {
        let text = printed(&owners(arguments, &server.url()).await);
        assert!(!text.contains(['\u{1b}', '\r', '\u{7}']), "{arguments:?}: {text:?}");
    }
    let echo = Server::start_asked(|request| {
        Answer::json(
            400,
            &json!({ "error_code": "X", "message": request.header("authorization") }).to_string(),
        )
    })
    .await;
    let text = printed(&owners(&["list"], &echo.url()).await);
    assert!(text.contains("(the key)") && !text.contains(KEY), "{text}");
}
