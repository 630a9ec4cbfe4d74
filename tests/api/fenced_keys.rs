//! A key's fence on the command line: made, kept, shown and explained.

use std::{fs, path::Path, process::Output};

use serde_json::{Value, json};

use crate::support::process::command;

fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder).args(arguments).output().unwrap()
}

fn good(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", told(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn create(folder: &Path, fence: &[&str]) -> String {
    good(folder, &[&["keys", "create", "--user", "acme"], fence].concat()).trim().to_owned()
}

fn listed(folder: &Path) -> Value {
    serde_json::from_str(&good(folder, &["keys", "list", "--format", "json"])).unwrap()
}

#[test]
fn a_fence_is_written_as_it_was_given_and_is_the_successors_too() {
    for (fence, models, experiments) in [
        (&[][..], Value::Null, Value::Null),
        (&["--models", "acme-*"], json!(["acme-*"]), Value::Null),
        (
            &["--models", "acme-*", "--models", "{a,b}", "--experiments", "acme/*"],
            json!(["acme-*", "{a,b}"]),
            json!(["acme/*"]),
        ),
        (&["--models", "", "--experiments="], json!([]), json!([])),
    ] {
        let folder = tempfile::tempdir().unwrap();
        create(folder.path(), fence);
        let id = listed(folder.path())[0]["id"].as_str().unwrap().to_owned();
        good(folder.path(), &["keys", "rotate", &id]);
        for key in listed(folder.path()).as_array().unwrap() {
            assert_eq!((&key["models"], &key["experiments"]), (&models, &experiments), "{fence:?}");
        }
    }
}

#[test]
fn a_list_tells_a_fence_of_nothing_from_none() {
    let folder = tempfile::tempdir().unwrap();
    create(folder.path(), &["--models", "a-*", "--models", "b-*", "--experiments", ""]);
    create(folder.path(), &[]);
    let table = good(folder.path(), &["keys", "list"]);
    let column = |line: usize, name: &str| {
        let at = table.lines().next().unwrap().find(name).unwrap();
        table.lines().nth(line).unwrap()[at..].split_whitespace().next().unwrap().to_owned()
    };
    for (line, models, experiments) in [(1, "a-*,b-*", "none"), (2, "-", "-")] {
        assert_eq!(
            (&*column(line, "models"), &*column(line, "experiments")),
            (models, experiments),
            "{table}"
        );
    }
}

#[test]
fn patterns_that_cannot_be_used_are_refused_before_anything_is_written() {
    let long = "x".repeat(257);
    let key = "hk_live_".to_owned() + &"a".repeat(33);
    let many = ["--models", "aaaaaaaa"].repeat(101);
    let refused: [(&[&str], &str); 6] = [
        (&["--models", "a", "--models", "[aaaaaaaa"], "--models: pattern 2 cannot be read"),
        (&["--experiments", "{aaaaaaaa"], "--experiments: pattern 1 cannot be read"),
        (&["--experiments", &long], "is too long"),
        (&["--models", &key], "contains an API key"),
        (&["--models", "aaaaaaaa\n"], "control character"),
        (&many, "--models: there are more than 100 patterns"),
    ];
    for (fence, why) in refused {
        let folder = tempfile::tempdir().unwrap();
        let output = run(folder.path(), &[&["keys", "create", "--user", "acme"], fence].concat());
        let told = told(&output);
        assert!(!output.status.success() && told.contains(why), "{fence:.3?}: {told}");
        assert!(!told.contains("aaaaaaaa"), "{fence:.3?}: {told}");
        assert!(!folder.path().join("keys.toml").exists(), "{fence:.3?}");
    }
}

#[test]
fn a_file_with_a_bad_pattern_can_be_listed_and_not_be_served() {
    let folder = tempfile::tempdir().unwrap();
    create(folder.path(), &["--models", "acme-*"]);
    let path = folder.path().join("keys.toml");
    let text = fs::read_to_string(&path).unwrap().replace("acme-*", "[acme");
    fs::write(&path, &text).unwrap();
    let key = &listed(folder.path())[0];
    assert_eq!(key["models"], json!(["[acme"]));
    let fault = format!("the models of the key {}: pattern 1 cannot be read", key["id"].as_str().unwrap());
    let check = command(folder.path()).arg("check").env("MLFLOW_SERVER_URL", "http://127.0.0.1:1").output();
    for output in [check.unwrap(), run(folder.path(), &["keys", "create", "--user", "bob"])] {
        assert!(!output.status.success() && told(&output).contains(&fault), "{output:?}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_fence_is_explained_with_what_it_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let rows = "[write]\nPOST /plugin/models/{name} model_name path.name\nPOST /plugin/x\n";
    fs::write(folder.path().join("own.routes"), rows).unwrap();
    let of_acme = create(folder.path(), &["--models", "acme-*", "--experiments", ""]);
    let of_all = create(folder.path(), &[]);
    let explain = |key: &str, method: &str, path: &str| {
        let output = command(folder.path())
            .args(["explain", "--format", "json", "--method", method, "--path", path])
            .env("MLFLOW_SERVER_URL", "http://127.0.0.1:1")
            .env("HOKUSAI__MLFLOW__ROUTES_FILE", "own.routes")
            .env("HOKUSAI_API_KEY", key)
            .output()
            .unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), report)
    };
    for (method, path, refusal) in [
        ("GET", "/api/2.0/mlflow/runs/get?run_id=x", None),
        ("POST", "/api/mlflow/plugin/models/acme-x", None),
        ("POST", "/api/mlflow/plugin/models/bob-x", Some("the model \"bob-x\" is outside")),
        ("POST", "/api/mlflow/plugin/x", Some("outside any fence")),
        ("POST", "/api/2.0/mlflow/runs/create", None),
        ("POST", "/api/3.0/mlflow/mcp-servers/a/b", Some("an MCP server is outside")),
    ] {
        let (code, report) = explain(&of_acme, method, path);
        assert_eq!(report["fence"], json!({"models": ["acme-*"], "experiments": []}), "{report}");
        assert_eq!(code, Some(i32::from(refusal.is_some())), "{path}: {report}");
        if let Some(refusal) = refusal {
            assert_eq!(report["verdict"]["reason"], "outside_fence", "{path}: {report}");
            assert!(report["verdict"]["message"].as_str().unwrap().contains(refusal), "{path}: {report}");
        }
        let (code, report) = explain(&of_all, method, path);
        assert_eq!((code, &report["fence"]), (Some(0), &"none".into()), "{path}");
    }
}
