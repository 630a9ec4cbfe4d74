//! What `explain` and `routes` tell an operator.

use std::process::Output;

use hokusai_gateway::auth::{
    key::{Environment, generate},
    key_file::edit::{self, NewKey},
};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Server, gateway::create_key, process::command, server::Answer};

const DELETE_RUN: &str = "/api/mlflow/api/2.0/mlflow/runs/delete?x=1";

/// A key file with one key.
struct Keys {
    folder: TempDir,
    key: String,
}

impl Keys {
    fn with(scopes: Option<&[&str]>, workspace: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let new = NewKey {
            scopes: scopes.map(|scopes| scopes.iter().map(|&scope| scope.to_owned()).collect()),
            workspace: workspace.map(|name| name.to_owned().try_into().unwrap()),
            ..NewKey::of("ada", Environment::Test)
        };
        let created = edit::create(&folder.path().join("keys.toml"), &new).unwrap();
        Self { folder, key: created.key.expose_secret().to_owned() }
    }

    fn explain(&self, method: &str, path: &str, settings: &[(&str, &str)]) -> (Option<i32>, Value) {
        let output = self.run(&["--format", "json", "--method", method, "--path", path], settings);
        (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
    }

    fn run(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
        let output = command(self.folder.path())
            .arg("explain")
            .args(arguments)
            .env("MLFLOW_SERVER_URL", "http://127.0.0.1:1")
            .env("HOKUSAI_API_KEY", &self.key)
            .envs(settings.iter().copied())
            .output()
            .unwrap();
        let printed = [&output.stdout[..], &output.stderr].concat();
        let key = self.key.as_bytes();
        assert!(key.is_empty() || !printed.windows(key.len()).any(|part| part == key), "the key is printed");
        output
    }
}

#[test]
fn a_denial_is_explained_with_all_that_led_to_it() {
    let keys = Keys::with(Some(&["mlflow:read", "model:write"]), None);
    let (code, told) = keys.explain("POST", DELETE_RUN, &[]);
    assert_eq!(code, Some(1));
    for (name, expected) in [
        ("mount", "/api/mlflow"),
        ("upstream", "/api/2.0/mlflow/runs/delete?x=1"),
        ("class", "delete"),
        ("rule", "POST /api/2.0/mlflow/runs/delete"),
        ("policy", "enforce"),
        ("cache", "none"),
        ("workspace", "any"),
    ] {
        assert_eq!(told[name], expected, "{name}");
    }
    assert_eq!(told["scopes_wanted"], serde_json::json!(["mlflow:delete", "mlflow:admin"]));
    assert_eq!(told["scopes_held"], serde_json::json!(["mlflow:read", "model:write"]));
    assert_eq!(told["limits"]["requests_per_hour"], 36000);
    assert_eq!(told["limits"]["counted_as"], "write");
    assert_eq!(told["limits"]["concurrent"], 64);
    assert_eq!(told["limits"]["at_once_with"], "requests");
    assert_eq!(told["verdict"]["status"], 403);
    assert_eq!(told["verdict"]["reason"], "scope_missing");
}

#[test]
fn the_limits_are_those_that_count_for_the_request() {
    let keys = Keys::with(Some(&["mlflow:write", "mlflow:read"]), None);
    let settings = [
        ("HOKUSAI__LIMITS__CONCURRENT", "9"),
        ("HOKUSAI__LIMITS__INSTANCES", "2"),
        ("HOKUSAI__LIMITS__CREATES_PER_HOUR", "7"),
        ("HOKUSAI__LIMITS__ARTIFACT_BYTES_PER_HOUR", "1KiB"),
    ];
    let artifact = "/api/2.0/mlflow-artifacts/artifacts/1/a";
    for (method, path, creates, at_once_with, bytes) in [
        ("POST", "/api/2.0/mlflow/runs/create", json!(7), "requests", Value::Null),
        ("POST", "/api/2.0/mlflow/runs/set-tag", Value::Null, "requests", Value::Null),
        ("PUT", artifact, Value::Null, "artifacts", json!(1024)),
    ] {
        let (_, told) = keys.explain(method, path, &settings);
        let limits = &told["limits"];
        assert_eq!(limits["creates_per_hour"], creates, "{path}");
        assert_eq!(limits["concurrent"], 5, "this instance's part");
        assert_eq!(limits["at_once_with"], at_once_with, "{path}");
        assert_eq!(limits["artifact_bytes_per_hour"], bytes, "{path}");
    }
}

#[test]
fn the_verdict_is_the_gateways_own_at_every_step() {
    for (scopes, workspace, method, path, expected) in [
        (None, None, "GET", "/api/2.0/mlflow/runs/get?run_id=1", Value::Null),
        (Some(&["mlflow:delete"][..]), None, "POST", DELETE_RUN, Value::Null),
        (
            Some(&["mlflow:admin"]),
            Some("team-a"),
            "GET",
            "/api/3.0/mlflow/workspaces",
            "scope_missing".into(),
        ),
        (None, None, "GET", "/api/2.0/mlflow/runs/delete", "method_not_allowed".into()),
        (None, None, "GET", "/api/2.0/mlflow/runs/deleted", "route_unknown".into()),
        (None, None, "GET", "/api/mlflow/../x", "bad_path".into()),
        (None, None, "TRACE", "/mlflow/", "method_not_allowed".into()),
        (None, None, "GET", "//live", "route_unknown".into()),
        (None, None, "GET", "/mlflow/api/2.0//mlflow/runs/get", "bad_path".into()),
        (None, None, "GET", "/api/2.0/mlflow/runs\\get", "bad_path".into()),
    ] {
        let (code, told) = Keys::with(scopes, workspace).explain(method, path, &[]);
        assert_eq!(told["verdict"]["reason"], expected, "{method} {path}");
        assert_eq!(code, Some(i32::from(!expected.is_null())), "{method} {path}");
        assert_eq!(told["verdict"]["allowed"], expected.is_null());
    }
}

#[test]
fn a_target_is_explained_as_a_client_would_send_it() {
    let keys = Keys::with(None, None);
    for (path, mount, upstream) in [
        ("//api/2.0/mlflow/runs/get?run_id=1", "/", "/api/2.0/mlflow/runs/get?run_id=1"),
        ("///mlflow//get-artifact?path=\"a\"", "/mlflow", "/get-artifact?path=%22a%22"),
        (
            "/api/mlflow//api/2.0/mlflow-artifacts/artifacts/1/<a>\\`50%",
            "/api/mlflow",
            "/api/2.0/mlflow-artifacts/artifacts/1/%3Ca%3E%5C%6050%",
        ),
    ] {
        let (code, told) = keys.explain("GET", path, &[]);
        assert_eq!(
            (code, &told["mount"], &told["upstream"]),
            (Some(0), &mount.into(), &upstream.into()),
            "{told}"
        );
    }
    let body = |path| keys.explain("GET", path, &[]).1["body"].as_str().unwrap().to_owned();
    assert!(body("/get-artifact").starts_with("none"));
    assert!(body("/api/2.0/mlflow/runs/get").starts_with("passed on as it comes; read first for a key"));
}

#[test]
fn without_a_key_the_route_is_explained_all_the_same() {
    let mut keys = Keys::with(None, None);
    keys.key.clear();
    let (code, told) = keys.explain("POST", DELETE_RUN, &[]);
    assert_eq!((code, &told["class"]), (Some(1), &"delete".into()));
    assert_eq!(told["verdict"]["reason"], "credential_missing");
}

#[test]
fn what_became_of_a_key_is_told_to_the_operator_and_not_to_the_client() {
    let ended = Timestamp::now() - SignedDuration::from_hours(1);
    let mut expired = Keys::with(None, None);
    let created = create_key(&expired.folder.path().join("keys.toml"), "eve", Some(ended));
    expired.key = created.key.expose_secret().to_owned();
    let mut revoked = Keys::with(None, None);
    let file = revoked.folder.path().join("keys.toml");
    let leaked = create_key(&file, "mallory", None);
    edit::revoke(&file, &leaked.id).unwrap();
    revoked.key = leaked.key.expose_secret().to_owned();
    let mut unknown = Keys::with(None, None);
    unknown.key = generate(Environment::Test).expose_secret().to_owned();
    let mut messages = Vec::new();
    for (keys, id, user, state) in [
        (&expired, json!(created.id), json!("eve"), "expired at 20"),
        (&revoked, json!(leaked.id), json!("mallory"), "revoked at 20"),
        (&unknown, Value::Null, Value::Null, "unknown"),
    ] {
        let (code, told) = keys.explain("POST", DELETE_RUN, &[]);
        assert_eq!((code, &told["key"]["key_id"], &told["key"]["user_id"]), (Some(1), &id, &user), "{told}");
        assert!(told["key"]["state"].as_str().unwrap().starts_with(state), "{told}");
        assert_eq!(told["verdict"]["reason"], "credential_rejected");
        messages.push(told["verdict"]["message"].clone());
    }
    messages.dedup();
    assert_eq!(messages.len(), 1, "{messages:?}");
}

#[actix_web::test]
async fn the_auth_service_is_asked_where_it_verifies_the_keys() {
    let auth =
        Server::start(|_| Answer::ok(r#"{"is_valid": true, "key_id": "k-7", "is_admin": true}"#)).await;
    let (url, keys) = (auth.url(), Keys::with(None, None));
    let told = actix_web::web::block(move || {
        keys.explain("POST", DELETE_RUN, &[("HOKUSAI_AUTH_SERVICE_URL", &url)])
    });
    let (code, told) = told.await.unwrap();
    assert_eq!(code, Some(0), "{told}");
    assert_eq!((&told["cache"], &told["key"]["key_id"]), (&"service".into(), &"k-7".into()));
    assert_eq!(told["scopes_held"], serde_json::json!(["mlflow:admin"]));
}

#[test]
fn a_person_reads_it_line_by_line() {
    let output = Keys::with(None, None).run(&["--path", "/mlflow/"], &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("class          ui\n"), "{text}");
    assert!(text.contains("verdict        allowed=true\n"), "{text}");
}

#[test]
fn routes_prints_every_route_with_its_class_and_scopes() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path()).arg("routes").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let row = text.lines().find(|line| line.contains(" /api/2.0/mlflow/registered-models/update ")).unwrap();
    let words: Vec<_> = row.split_whitespace().collect();
    assert_eq!(words[0], "PATCH");
    assert_eq!(
        words[2..],
        ["registry_write", "mlflow:registry_write", "mlflow:write", "mlflow:admin;", "alters=model"]
    );
    let json = command(folder.path()).args(["routes", "--format", "json"]).output().unwrap();
    let rows: Vec<Value> = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(rows.len(), text.lines().count());
}

#[test]
fn routes_of_a_file_are_printed_too_and_a_bad_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("more.routes");
    std::fs::write(&file, "[ui]\nGET /my-plugin/{page}\n").unwrap();
    let routes =
        || command(folder.path()).arg("routes").env("HOKUSAI__MLFLOW__ROUTES_FILE", &file).output().unwrap();
    assert!(String::from_utf8(routes().stdout).unwrap().contains("/my-plugin/{page}"));
    std::fs::write(&file, "[ui]\nGTE /my-plugin\n").unwrap();
    let output = routes();
    assert_eq!(output.status.code(), Some(64));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("mlflow.routes_file (HOKUSAI__MLFLOW__ROUTES_FILE)") && text.contains("line 2"),
        "{text}"
    );
}

#[test]
fn a_target_is_explained_as_it_is_read_of_a_client() {
    let keys = Keys::with(None, None);
    let search = "/api/2.0/mlflow/experiments/search";
    for (path, upstream) in [
        (
            format!("/api/mlflow{search}?filter=name='a<b\"é'"),
            format!("{search}?filter=name='a%3Cb%22%C3%A9'"),
        ),
        (format!("/api/mlflow{search}?{}", "x".repeat(70_000)), format!("{search}?{}", "x".repeat(70_000))),
    ] {
        let (code, told) = keys.explain("GET", &path, &[]);
        assert_eq!((code, told["upstream"].as_str()), (Some(0), Some(&*upstream)), "{path:.80}");
    }
    let too_long = format!("/api/mlflow{search}?{}", "<".repeat(50_000));
    let output = keys.run(&["--path", &too_long], &[]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("the target is longer than 128 KiB"));
}

#[test]
fn a_key_in_a_file_is_read_without_what_an_editor_put_around_it() {
    let keys = Keys::with(None, None);
    let file = keys.folder.path().join("key");
    let read = |content: &str| {
        std::fs::write(&file, content).unwrap();
        let settings = [("HOKUSAI_API_KEY_FILE", file.to_str().unwrap())];
        keys.run(&["--path", "/api/mlflow/api/2.0/mlflow/experiments/search"], &settings)
    };
    for around in [["", ""], ["", "\r\n"], [" ", "\n\n"], ["\u{feff}", "\r\n"], ["\t", "\u{a0}"]] {
        assert!(read(&format!("{}{}{}", around[0], keys.key, around[1])).status.success(), "{around:?}");
    }
    for (content, why) in [
        (format!("{0}\n{0}", keys.key), "has white space or another character in it"),
        ("a".repeat(8193), "is too long: a key has at most 8192 characters"),
    ] {
        let output = read(&content);
        assert!(!output.status.success());
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("HOKUSAI_API_KEY") && told.contains(why), "{told}");
    }
}
