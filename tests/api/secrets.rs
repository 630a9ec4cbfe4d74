//! A secret in the wrong place is told nowhere: not as a name, not as a value, not as a line that cannot be read.

use std::{fs, path::Path, process::Output};

use hokusai_gateway::settings::Settings;
use tempfile::TempDir;

use crate::support::{
    GatewayBuilder, Server, ask, eventually,
    gateway::create_key,
    process::{Process, command},
    server::Answer,
};

/// As a key looks, and so that each half of it is found too.
const SECRET: &str = "hk_live_OBVIOUSLYnotAkeyOBVIOUSLY0000000";

#[track_caller]
fn assert_untold(told: &str, of: &str) {
    let told = told.to_lowercase();
    for piece in [&SECRET[..20], &SECRET[20..]] {
        assert!(!told.contains(&piece.to_lowercase()), "{of}: {told}");
    }
}

#[track_caller]
fn assert_untold_by(output: &Output, of: &str) {
    assert_untold(&String::from_utf8_lossy(&output.stdout), of);
    assert_untold(&String::from_utf8_lossy(&output.stderr), of);
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    create_key(&folder.path().join("keys.toml"), "ada", None);
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder).args(arguments).env("MLFLOW_SERVER_URL", "http://127.0.0.1:1").output().unwrap()
}

/// Lines that are wrong by themselves, with the secret as a name, a value and garbage.
fn wrong_lines() -> Vec<String> {
    vec![
        SECRET.to_owned(),
        format!("[{SECRET}"),
        format!("[[{SECRET}]]"),
        format!("[{SECRET}]\na = 1"),
        format!("{SECRET} = 1"),
        format!("\"{SECRET}\" = 1\n\"{SECRET}\" = 2"),
        format!("a = {SECRET}"),
        format!("a = \"{SECRET}"),
    ]
}

/// Lines that are wrong for what has this name.
fn wrong_values(name: &str) -> Vec<String> {
    vec![
        format!("{name} = \"{SECRET}\""),
        format!("{name} = [\"{SECRET}\"]"),
        format!("{name} = {SECRET}"),
        format!("{name} = {{ {SECRET} = \"{SECRET}\" }}"),
        format!("{name}.{SECRET} = 1"),
    ]
}

#[test]
fn the_key_file_is_quoted_by_nobody() {
    let names = [
        "id",
        "user",
        "digest",
        "note",
        "scopes",
        "workspace",
        "rate_limit_per_hour",
        "concurrent",
        "creates_per_hour",
        "created_at",
        "expires_at",
        "keys",
    ];
    for line in wrong_lines().into_iter().chain(names.into_iter().flat_map(wrong_values)) {
        let folder = folder();
        let path = folder.path().join("keys.toml");
        // In the place of what the key says of it itself.
        let name = line.split([' ', '.']).next().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let others = text.lines().filter(|own| !own.starts_with(&format!("{name} =")));
        fs::write(&path, format!("{}\n{line}\n", others.collect::<Vec<_>>().join("\n"))).unwrap();
        let check = run(folder.path(), &["check"]);
        assert_eq!(check.status.code(), Some(64), "{line}: {check:?}");
        assert_untold_by(&check, &line);
        for arguments in [&["check", "--format", "json"][..], &["serve"], &["keys", "revoke", "nobody"]] {
            assert_untold_by(&run(folder.path(), arguments), &line);
        }
    }
}

#[test]
fn settings_are_quoted_by_nobody() {
    let defaults = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/default.toml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    let examine_file = |section: &str, line: &str| {
        fs::write(&file, format!("[{section}]\n{line}\n")).unwrap();
        let loaded = Settings::examine(Some(&file), []);
        assert_untold(&loaded.problems.to_string(), &format!("[{section}] {line}"));
        let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        assert_untold(&warnings.join("\n"), &format!("[{section}] {line}"));
    };
    let examine_variable = |variable: String, value: &str| {
        let loaded = Settings::examine(None, [(variable.clone(), value.to_owned())]);
        assert_untold(&loaded.problems.to_string(), &variable);
    };
    examine_variable(format!("HOKUSAI__{SECRET}"), SECRET);
    let (mut section, mut tried) = (String::new(), 0);
    for row in defaults.lines() {
        if let Some(name) = row.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
            wrong_lines().iter().for_each(|line| examine_file(&section, line));
            examine_variable(format!("HOKUSAI__{}__{SECRET}", section.to_uppercase()), "1");
        }
        let Some((name, _)) = row.trim_start_matches("# ").split_once(" = ") else { continue };
        if name.contains(' ') {
            continue;
        }
        wrong_values(name).iter().for_each(|line| examine_file(&section, line));
        let variable = format!("HOKUSAI__{section}__{name}").replace('.', "__").to_uppercase();
        for value in [
            SECRET.to_owned(),
            format!("http://{SECRET}@a/"),
            format!("{SECRET}://a"),
            format!("1, {SECRET}"),
        ] {
            examine_variable(variable.clone(), &value);
        }
        examine_variable(format!("{variable}__{SECRET}"), "1");
        tried += 1;
    }
    assert!(tried > 70, "only {tried}");
}

#[test]
fn routes_and_pem_files_are_quoted_by_nobody() {
    let folder = folder();
    for text in [
        SECRET.to_owned(),
        format!("[{SECRET}]"),
        format!("[read, {SECRET}]"),
        format!("[read]\n{SECRET} /a"),
        format!("[read]\nGET /a {SECRET}"),
        format!("[read]\nGET /a ?b={SECRET}"),
        format!("[read]\nGET /a ?b=c:{SECRET}"),
        format!("[read]\nGET /{{a}}/x\nGET /{{{SECRET}}}/y"),
        format!("[read]\nGET /{{{SECRET}"),
        format!("-----BEGIN {SECRET}\n"),
        format!("-----BEGIN CERTIFICATE-----\n{SECRET}\n-----END CERTIFICATE-----\n"),
        format!("-----BEGIN {SECRET}-----\nAAAA\n"),
    ] {
        fs::write(folder.path().join("given"), &text).unwrap();
        for variable in
            ["HOKUSAI__MLFLOW__ROUTES_FILE", "HOKUSAI__MLFLOW__TLS__CA", "HOKUSAI__MLFLOW__TOKEN_FILE"]
        {
            let output = command(folder.path())
                .arg("check")
                .env("HOKUSAI__MLFLOW__URL", "https://127.0.0.1:1")
                .env(variable, "given")
                .output()
                .unwrap();
            assert_untold_by(&output, &text);
        }
    }
}

#[test]
fn the_command_line_is_quoted_by_nobody() {
    let folder = folder();
    for arguments in [
        &[SECRET][..],
        &["keys", SECRET],
        &["keys", "revoke", SECRET],
        &["keys", "revoke", "a", SECRET],
        &["keys", "rotate", SECRET],
        &["keys", "rotate", "a", "--overlap", SECRET],
        &["keys", "create", "--user", "ada", "--expires-in", SECRET],
        &["keys", "create", "--user", "ada", "--workspace", SECRET],
        &["keys", "create", "--user", "ada", "--format", SECRET],
        &["check", "--hk_live_OBVIOUSLYnotAkeyOBVIOUSLY0000000"],
        &["check", "--format", SECRET],
        &["doctor", "--url", SECRET],
        &["doctor", "--url", "http://hk_live_OBVIOUSLYnotAkeyOBVIOUSLY0000000@a"],
        &["doctor", "--url", "http://a", "--expect-sha", SECRET],
        &["completions", SECRET],
        &["explain", "--method", SECRET, "--path", "/a b"],
        &["audit", SECRET],
        &["routes", SECRET],
        &["serve", SECRET],
        &["healthcheck", SECRET],
    ] {
        let output = run(folder.path(), arguments);
        assert!(!output.status.success(), "{arguments:?}");
        assert_untold_by(&output, &arguments.join(" "));
    }
}

#[actix_web::test]
async fn bodies_are_quoted_by_nobody() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default().start(&mlflow).await;
    for body in [
        SECRET.to_owned(),
        format!("{{\"{SECRET}\": 1, \"{SECRET}\": 2}}"),
        format!("{{\"run_id\": {SECRET}}}"),
        format!("\"{SECRET}\""),
        format!("{{\"run_id\": \"{SECRET}"),
    ] {
        let request = format!("content-length: {}\r\n\r\n{body}", body.len());
        let answer =
            ask(gateway.address, gateway.request("POST", "/api/2.0/mlflow/runs/delete", &request)).await;
        assert_eq!((answer.status, answer.reason().as_str()), (400, "ambiguous_body"), "{body}");
        assert_untold(answer.text(), &body);
    }
}

#[actix_web::test]
async fn a_reload_quotes_nothing() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let folder = folder();
    fs::write(folder.path().join("gateway.toml"), "").unwrap();
    let settings = [("MLFLOW_SERVER_URL", &*mlflow.url()), ("HOKUSAI__TELEMETRY__FILTER", "debug")];
    let gateway = Process::serve_with(folder.path(), &["--config", "gateway.toml"], &settings);
    let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    let values = ["keep_alive", "min_body_rate"].into_iter().flat_map(wrong_values);
    for (told, line) in wrong_lines().into_iter().chain(values).enumerate() {
        fs::write(folder.path().join("gateway.toml"), format!("[server]\n{line}\n")).unwrap();
        gateway.hang_up();
        eventually(&line, async || log().matches("settings reload failed").count() > told).await;
    }
    fs::write(folder.path().join("keys.toml"), format!("[[keys]]\nid = {SECRET}\n")).unwrap();
    eventually("it says why not", async || log().contains("key file reload failed")).await;
    assert_untold(&log(), "the log");
}
