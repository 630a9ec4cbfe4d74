//! What is wrong with a machine or an environment is told as what it is, and not as a setting's fault.

use std::{
    net::TcpListener,
    os::unix::process::CommandExt as _,
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::process::{Process, command};

fn folder_with_a_key(scopes: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let scopes = scopes.iter().flat_map(|scope| ["--scope", scope]);
    let made =
        command(folder.path()).args(["keys", "create", "--user", "ada"]).args(scopes).output().unwrap();
    assert!(made.status.success());
    folder
}

/// `check`, of settings that are good but for these.
fn check(folder: &TempDir, settings: &[(&str, &str)]) -> (Option<i32>, Value) {
    let mut command = command(folder.path());
    command.args(["check", "--format", "json"]).env("HOKUSAI__SERVER__BIND", "127.0.0.1:0");
    said(command.env("MLFLOW_SERVER_URL", "http://127.0.0.1:1").envs(settings.iter().copied()))
}

fn said(command: &mut Command) -> (Option<i32>, Value) {
    let output = command.output().unwrap();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

/// All that is told of one thing.
fn words(problem: &Value) -> String {
    ["key", "found", "what", "write"].map(|name| problem[name].as_str().unwrap_or_default()).join(" | ")
}

#[test]
fn a_variable_with_one_underscore_is_told_with_the_one_that_is_meant_also_where_nothing_starts() {
    let folder = folder_with_a_key(&[]);
    for arguments in [&["check"][..], &["serve"]] {
        let Output { stderr, status, .. } = command(folder.path())
            .args(arguments)
            .env("HOKUSAI_MLFLOW__URL", "http://user:s3cr3t@mlflow")
            .output()
            .unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(64));
        for part in
            ["is not set by HOKUSAI_MLFLOW__URL, which is not read", "write: HOKUSAI__MLFLOW__URL instead"]
        {
            assert!(stderr.contains(part), "{part}: {stderr}");
        }
        assert!(!stderr.contains("s3cr3t"), "{stderr}");
    }
}

#[test]
fn what_kubernetes_puts_beside_our_variables_is_no_word_worth() {
    let folder = folder_with_a_key(&[]);
    let links = [
        ("HOKUSAI_GATEWAY_SERVICE_HOST", "10.0.0.7"),
        ("HOKUSAI_GATEWAY_SERVICE_PORT_HTTP", "8001"),
        ("HOKUSAI_GATEWAY_PORT", "tcp://10.0.0.7:8001"),
        ("HOKUSAI_GATEWAY_PORT_8001_TCP_ADDR", "10.0.0.7"),
    ];
    let (code, said) = check(&folder, &links);
    assert_eq!((code, &said["warnings"]), (Some(0), &serde_json::json!([])));
    let (code, said) = check(&folder, &[("HOKUSAI_POLICY_MODE", "off"), ("HOKUSAI_COLOUR", "blue")]);
    let warnings: Vec<_> = said["warnings"].as_array().unwrap().iter().map(words).collect();
    assert_eq!(code, Some(0), "a warning, and no error");
    assert!(warnings[0].contains("HOKUSAI_COLOUR sets nothing") && warnings[1].starts_with("policy.mode | "));
}

#[test]
fn an_address_that_is_taken_is_told_with_whether_a_gateway_has_it() {
    let folder = folder_with_a_key(&[]);
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = stranger.local_addr().unwrap().to_string();
    for (name, key) in [("HOKUSAI__SERVER__BIND", "server.bind"), ("HOKUSAI__METRICS__BIND", "metrics.bind")]
    {
        let (code, said) = check(&folder, &[(name, &taken)]);
        let told = words(&said["warnings"][0]);
        assert_eq!(code, Some(0), "it may be the gateway that `check` is run beside");
        assert!(told.starts_with(&format!("{key} | {taken}")), "{told}");
        assert!(told.contains("another process listens on it") && told.contains("ss -ltnp"), "{told}");
    }
    let gateway = Process::serve(folder.path(), &[("MLFLOW_SERVER_URL", "http://127.0.0.1:1")]);
    let (code, said) = check(&folder, &[("HOKUSAI__SERVER__BIND", &gateway.address.to_string())]);
    let told = words(&said["warnings"][0]);
    assert!(code == Some(0) && told.contains("is in use by a running gateway"), "{told}");
}

#[test]
fn an_address_of_another_machine_is_no_error_of_the_settings() {
    let folder = folder_with_a_key(&[]);
    for (bind, expected) in [
        // For documents (RFC 5737, RFC 3849): nobody's.
        ("192.0.2.1:8001", "is not an address of this machine"),
        ("[2001:db8::1]:8001", "is "),
    ] {
        for (name, key) in
            [("HOKUSAI__SERVER__BIND", "server.bind"), ("HOKUSAI__METRICS__BIND", "metrics.bind")]
        {
            let (code, said) = check(&folder, &[(name, bind)]);
            assert_eq!((code, &said["problems"]), (Some(0), &serde_json::json!([])), "{bind}: {said}");
            let warnings: Vec<_> = said["warnings"].as_array().unwrap().iter().map(words).collect();
            let is_told = |told: &String| {
                told.starts_with(&format!("{key} | {bind} ("))
                    && told.contains(&format!("| {expected}"))
                    && told.contains("nothing, if the gateway will run elsewhere")
            };
            assert!(warnings.iter().any(is_told), "{warnings:?}");
        }
    }
    // The same is the end of a start here.
    let mut start = command(folder.path());
    start.arg("serve").env("MLFLOW_SERVER_URL", "http://127.0.0.1:1");
    start.env("HOKUSAI__SERVER__BIND", "192.0.2.1:8001").env("HOKUSAI__METRICS__BIND", "off");
    let output = start.output().unwrap();
    let log = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(1) && log.contains("HG-P10"), "{log}");
}

#[test]
fn an_address_that_is_none_is_an_error_that_says_why() {
    let folder = folder_with_a_key(&[]);
    for (bind, expected) in [
        ("localhost:8001", "has a host name, which is not looked up"),
        ("8001", "is a port without an IP address"),
        ("127.0.0.1", "is an IP address without a port"),
        ("fe80::1:2:8001x", "is not an IP address with a port"),
    ] {
        for (name, key) in
            [("HOKUSAI__SERVER__BIND", "server.bind"), ("HOKUSAI__METRICS__BIND", "metrics.bind")]
        {
            let (code, said) = check(&folder, &[(name, bind)]);
            let problem = &said["problems"][0];
            assert_eq!((code, problem["key"].as_str()), (Some(64), Some(key)), "{bind}");
            assert!(problem["what"].as_str().unwrap().starts_with(expected), "{bind}: {problem}");
        }
    }
}

#[test]
fn a_port_that_needs_a_right_is_told_so_before_and_at_the_start() {
    let folder = folder_with_a_key(&[]);
    // Root without this one right, and anybody, may not; setpriv is a part of util-linux.
    let program = env!("CARGO_BIN_EXE_hokusai-gateway");
    let mut unprivileged = Command::new("setpriv");
    unprivileged.args(["--bounding-set", "-net_bind_service", program, "check", "--format", "json"]);
    let start = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or_default();
    assert_eq!(start.trim(), "1024", "this machine forbids no port");
    unprivileged.current_dir(folder.path()).env("MLFLOW_SERVER_URL", "http://127.0.0.1:1");
    unprivileged.env("HOKUSAI__SERVER__BIND", "127.0.0.1:83").env("HOKUSAI__METRICS__BIND", "off");
    let (code, told) = said(&mut unprivileged);
    let told = words(&told["warnings"][0]);
    assert!(code == Some(0) && told.starts_with("server.bind | 127.0.0.1:83"), "{told}");
    assert!(told.contains("is not permitted") && told.contains("NET_BIND_SERVICE"), "{told}");

    let mut start = Command::new("setpriv");
    start.args(["--bounding-set", "-net_bind_service", program, "serve"]).current_dir(folder.path());
    start.env("MLFLOW_SERVER_URL", "http://127.0.0.1:1").env("HOKUSAI__SERVER__BIND", "127.0.0.1:83");
    let output = start.env("HOKUSAI__METRICS__BIND", "off").process_group(0).output().unwrap();
    let log = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.code() == Some(1) && log.contains("cannot listen on 127.0.0.1:83 (server.bind"),
        "{log}"
    );
    assert!(log.contains("is not permitted") && log.contains("NET_BIND_SERVICE"), "{log}");
}

#[test]
fn a_process_that_may_have_64_files_is_told_so_and_no_setting_is_blamed() {
    let folder = folder_with_a_key(&[]);
    for command in ["check", "serve"] {
        let mut shell = Command::new("sh");
        let run = format!("ulimit -n 64 && exec \"$0\" {command}");
        shell
            .args(["-c", &run, env!("CARGO_BIN_EXE_hokusai-gateway")])
            .current_dir(folder.path())
            .env_clear();
        shell.env("MLFLOW_SERVER_URL", "http://127.0.0.1:1").env("HOKUSAI__SERVER__WORKERS", "1");
        let output = shell.env("HOKUSAI__METRICS__BIND", "off").output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64));
        assert!(
            told.starts_with("HG-P02 the gateway needs 160 open files, and this process may have 64"),
            "{told}"
        );
        assert!(told.contains("ulimit -n 160") && !told.contains("max_connections"), "{told}");
    }
}

#[test]
fn a_scope_that_there_is_not_is_told_by_check_and_in_the_list_of_keys() {
    let folder = folder_with_a_key(&["mlflow:raed", "mlflow:write", "team:special", "admin"]);
    let (code, said) = check(&folder, &[("HOKUSAI__POLICY__ALIASES__TEAM:SPECIAL", "mlflow:ui")]);
    let warnings: Vec<_> = said["warnings"].as_array().unwrap().iter().map(words).collect();
    assert_eq!((code, warnings.len()), (Some(0), 1), "{warnings:?}");
    for part in
        ["auth.key_file.path | line 7: `mlflow:raed` of the key live_", "allows nothing", "| mlflow:read; or"]
    {
        assert!(warnings[0].contains(part), "{part}: {warnings:?}");
    }
    let listed = command(folder.path()).args(["keys", "list", "--format", "json"]).output().unwrap();
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let notes: Vec<_> =
        listed[0]["warnings"].as_array().unwrap().iter().map(|note| note.as_str().unwrap()).collect();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].starts_with("mlflow:raed is not a scope of the gateway (mlflow:read is)"), "{notes:?}");
}
