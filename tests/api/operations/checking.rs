//! Settings, key files and limits that are checked before anything starts.

use std::fs;

use super::{create_key, run};
use crate::support::process::command;

#[test]
fn bad_settings_and_a_bad_key_file_are_told_together_with_exit_64() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("keys.toml"), "").unwrap();
    fs::write(folder.path().join("gateway.toml"), "[server]\nbnid = '1'\n[mlflow]\nurl = 'localhost:5000'\n")
        .unwrap();
    for subcommand in ["check", "serve"] {
        let output = run(&folder, &[subcommand, "--config", "gateway.toml"]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{text}");
        for expected in [
            "server.bnid (HOKUSAI__SERVER__BNID): is not a setting",
            "mlflow.url (HOKUSAI__MLFLOW__URL or MLFLOW_SERVER_URL): has a scheme other than http and https",
            "auth.key_file.path (HOKUSAI__AUTH__KEY_FILE__PATH): has no keys",
            "hokusai-gateway keys create",
            "3 problems in the settings",
        ] {
            assert!(text.contains(expected), "`{expected}` is missing in:\n{text}");
        }
    }
}

#[test]
fn a_missing_key_file_is_a_bad_setting() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path())
        .arg("serve")
        .env("MLFLOW_SERVER_URL", "http://127.0.0.1:5000")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(text.contains("found: keys.toml") && text.contains("cannot be read: No such file"), "{text}");
}

#[test]
fn good_settings_pass_the_check() {
    let folder = tempfile::tempdir().unwrap();
    create_key(&folder);
    let output = command(folder.path())
        .arg("check")
        .env("MLFLOW_SERVER_URL", "http://127.0.0.1:5000")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn the_limit_on_open_files_is_raised_and_held_against_the_connections() {
    let folder = tempfile::tempdir().unwrap();
    create_key(&folder);
    let check = |limits: &str, connections: Option<&str>| {
        let mut shell = std::process::Command::new("sh");
        let run = format!("ulimit -Sn {limits} && ulimit -Hn 1000 && exec \"$0\" check");
        shell
            .args(["-c", &run, env!("CARGO_BIN_EXE_hokusai-gateway")])
            .current_dir(folder.path())
            .env_clear();
        shell.env("MLFLOW_SERVER_URL", "http://127.0.0.1:5000").env("HOKUSAI__SERVER__WORKERS", "1");
        shell.envs(connections.map(|connections| ("HOKUSAI__SERVER__MAX_CONNECTIONS", connections)));
        let output = shell.output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (code, text) = check("100", None);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("room for 552 connections of clients: 1000 files may be open"), "{text}");
    let (code, text) = check("100", Some("553"));
    assert_eq!(code, Some(64), "{text}");
    for expected in [
        "server.max_connections (HOKUSAI__SERVER__MAX_CONNECTIONS): needs 1001 open files, and this process may have 1000",
        "552 or less; or ulimit -n 1001, LimitNOFILE=1001",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn keys_are_made_listed_rotated_and_revoked_and_shown_only_once() {
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(&folder);
    assert!(key.starts_with("hk_test_"));
    let list = || String::from_utf8(run(&folder, &["keys", "list"]).stdout).unwrap();
    assert!(list().contains("ada") && list().contains("active") && !list().contains(&key));

    let id = list().lines().nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let rotated = run(&folder, &["keys", "rotate", &id, "--overlap", "1h"]);
    assert!(String::from_utf8(rotated.stdout).unwrap().starts_with("hk_test_"));
    assert_eq!(list().lines().count(), 3);
    assert!(list().lines().any(|line| line.starts_with(&id) && line.contains("until ")));

    assert!(run(&folder, &["keys", "revoke", &id]).status.success());
    assert!(list().lines().any(|line| line.starts_with(&id) && line.contains("revoked ")));
    let again = run(&folder, &["keys", "revoke", &id]);
    assert_eq!(again.status.code(), Some(1));
    assert!(!fs::read_to_string(folder.path().join("keys.toml")).unwrap().contains(&key));
}
