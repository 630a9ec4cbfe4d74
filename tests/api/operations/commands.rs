//! The commands, for people and for programs.

use std::fs;

use super::{create_key, run, serve};
use crate::support::{Server, process::command, server::Answer};

#[actix_web::test]
async fn the_healthcheck_tells_whether_the_gateway_lives() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    create_key(&folder);
    let mut gateway = serve(&folder, &mlflow.url());
    let address = gateway.address;
    let healthcheck = || {
        command(folder.path())
            .arg("healthcheck")
            .env("MLFLOW_SERVER_URL", mlflow.url())
            .env("HOKUSAI__SERVER__BIND", address.to_string())
            .output()
            .unwrap()
    };
    assert_eq!(healthcheck().status.code(), Some(0));
    gateway.terminate();
    gateway.wait();
    assert_eq!(healthcheck().status.code(), Some(1));
}

#[test]
fn bash_completes_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let script = run(&folder, &["completions", "bash"]).stdout;
    fs::write(folder.path().join("completions"), script).unwrap();
    let line = "source ./completions; COMP_WORDS=(hokusai-gateway doctor --d); COMP_CWORD=2; \
                complete=$(complete -p hokusai-gateway); [[ $complete =~ -F\\ ([^ ]+) ]]; \
                ${BASH_REMATCH[1]} hokusai-gateway --d doctor; echo \"${COMPREPLY[@]}\"";
    let bash =
        std::process::Command::new("bash").args(["-c", line]).current_dir(folder.path()).output().unwrap();
    assert_eq!(String::from_utf8(bash.stdout).unwrap(), "--direct\n", "{:?}", String::from_utf8(bash.stderr));
}

#[test]
fn the_manual_has_a_page_for_every_command_with_its_example() {
    let folder = tempfile::tempdir().unwrap();
    assert!(run(&folder, &["man", "--into", "pages"]).status.success());
    for (page, expected) in [
        ("hokusai-gateway.1", "hokusai\\-gateway\\-doctor(1)"),
        ("hokusai-gateway-doctor.1", "hokusai\\-gateway doctor \\-\\-url"),
        ("hokusai-gateway-keys-rotate.1", "keys rotate live_"),
    ] {
        let text = fs::read_to_string(folder.path().join("pages").join(page)).unwrap();
        assert!(text.starts_with(".ie") && text.contains(expected), "{page}: {text}");
    }
    assert_eq!(
        run(&folder, &["man"]).stdout,
        fs::read(folder.path().join("pages/hokusai-gateway.1")).unwrap()
    );
}

#[test]
fn commands_tell_programs_what_they_tell_people() {
    let folder = tempfile::tempdir().unwrap();
    let json = |arguments: &[&str]| {
        let output = run(&folder, arguments);
        (output.status.code(), serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap())
    };
    let (_, created) =
        json(&["keys", "create", "--user", "ada", "--test", "--scope", "mlflow:read", "--format", "json"]);
    assert!(created["key"].as_str().unwrap().starts_with("hk_test_"));
    let (_, list) = json(&["keys", "list", "--format", "json"]);
    assert_eq!(list[0]["id"], created["id"]);
    assert_eq!((&list[0]["user"], &list[0]["state"]), (&"ada".into(), &"active".into()));
    assert_eq!(list[0]["scopes"], serde_json::json!(["mlflow:read"]));
    let (_, other) =
        json(&["keys", "create", "--user", "eve", "--test", "--expires-in", "1h", "--format", "json"]);
    let (_, list) = json(&["keys", "list", "--format", "json"]);
    assert_eq!((&list[1]["id"], &list[1]["state"]), (&other["id"], &"active".into()));
    let (_, rotated) = json(&["keys", "rotate", created["id"].as_str().unwrap(), "--format", "json"]);
    assert_ne!(rotated["id"], created["id"]);

    fs::write(folder.path().join("empty"), "").unwrap();
    let (code, empty) = json(&["audit", "verify", "empty", "--format", "json"]);
    assert_eq!((code, &empty["ok"], &empty["first"]), (Some(0), &true.into(), &serde_json::Value::Null));
    fs::write(folder.path().join("torn"), "{\n").unwrap();
    let (code, torn) = json(&["audit", "verify", "torn", "--format", "json"]);
    let fault = &torn["faults"][0];
    assert_eq!((code, &fault["file"], &fault["line"]), (Some(1), &"torn".into(), &1.into()));
}
