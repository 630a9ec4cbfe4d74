//! The binary as an operator runs it.

use std::{fs, io::Read as _, process::Output};

use tempfile::TempDir;

use crate::support::{
    Server, ask,
    client::Connection,
    eventually,
    process::{Process, command},
    server::Answer,
};

fn run(folder: &TempDir, arguments: &[&str]) -> Output {
    command(folder.path()).args(arguments).output().unwrap()
}

fn create_key(folder: &TempDir) -> String {
    let output = run(folder, &["keys", "create", "--user", "ada", "--test"]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn serve(folder: &TempDir, mlflow: &str) -> Process {
    Process::serve(folder.path(), &[("MLFLOW_SERVER_URL", mlflow)])
}

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

const VALID: &str = r#"{"is_valid": true, "key_id": "k-1"}"#;

/// Enough that what is uploaded first is not kept back.
const HALF: usize = 64 * 1024;

/// The head of an upload, and the first half of it.
fn half_an_upload(key: &str) -> String {
    format!(
        "PUT /api/2.0/mlflow-artifacts/artifacts/a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\
         content-length: {}\r\n\r\n{}",
        2 * HALF,
        "1".repeat(HALF)
    )
}

#[actix_web::test]
async fn sigterm_loses_none_of_a_hundred_uploads_and_closes_idle_connections() {
    let mlflow = Server::start(|_| Answer::ok("done")).await;
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(&folder);
    let mut gateway = serve(&folder, &mlflow.url());
    let mut uploads = Vec::new();
    for _ in 0..100 {
        let mut connection = Connection::open(gateway.address).await;
        connection.send(half_an_upload(&key)).await;
        uploads.push(connection);
    }
    eventually("all are under way", async || mlflow.begun() == 100).await;
    let mut idle = Connection::open(gateway.address).await;
    idle.send("GET /live HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(idle.response(false).await.status, 200);

    gateway.terminate();
    assert!(idle.is_closed().await);
    for upload in &mut uploads {
        upload.send("2".repeat(HALF)).await;
    }
    for upload in &mut uploads {
        assert_eq!(upload.response(false).await.text(), "done");
    }
    assert_eq!(gateway.wait().code(), Some(0));
    let seen = mlflow.requests();
    let whole = ["1".repeat(HALF), "2".repeat(HALF)].concat();
    assert_eq!(seen.iter().filter(|upload| upload.body == whole.as_bytes()).count(), 100);
}

/// The lines of a process that has ended, with this message.
fn lines(folder: &TempDir, message: &str) -> Vec<serde_json::Value> {
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.filter(|line| line["message"].as_str().is_some_and(|text| text.starts_with(message))).collect()
}

#[actix_web::test]
async fn transfers_that_the_drain_has_no_more_time_for_say_so_and_are_counted() {
    let mlflow = Server::start(|request| match request.target() {
        "/api/2.0/mlflow-artifacts/artifacts/endless" => Answer::Endless,
        _ => Answer::ok("done"),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(&folder);
    let settings = [("MLFLOW_SERVER_URL", &mlflow.url()[..]), ("HOKUSAI__SERVER__DRAIN_GRACE", "1s")];
    let mut gateway = Process::serve(folder.path(), &settings);
    let mut upload = Connection::open(gateway.address).await;
    upload.send(half_an_upload(&key)).await;
    let mut download = Connection::open(gateway.address).await;
    let get = "GET /api/2.0/mlflow-artifacts/artifacts/endless HTTP/1.1\r\nhost: a";
    download.send(format!("{get}\r\nauthorization: Bearer {key}\r\n\r\n")).await;
    eventually("both are under way", async || mlflow.begun() == 2).await;
    // A client that goes away by itself is not the drain's.
    let mut gone = Connection::open(gateway.address).await;
    gone.send(half_an_upload(&key)).await;
    eventually("three are under way", async || mlflow.begun() == 3).await;
    drop(gone);
    eventually("one is over", async || !lines(&folder, "request").is_empty()).await;

    gateway.terminate();
    let ended = actix_rt::task::spawn_blocking(move || gateway.wait().code());
    assert_eq!(ended.await.unwrap(), Some(0));
    eventually("all of the log is there", async || lines(&folder, "stopped").len() == 1).await;
    let mut told: Vec<_> = lines(&folder, "request")
        .iter()
        .map(|line| format!("{} {} {}", line["method"], line["status"], line["reason"]))
        .collect();
    told.sort();
    let expected = [r#""GET" 200 "drained""#, r#""PUT" 400 "bad_request""#, r#""PUT" 499 "drained""#];
    assert_eq!(told, expected);
    let cut = &lines(&folder, "drain grace exceeded")[0];
    assert_eq!((cut["cut"].as_u64(), cut["level"].as_str()), (Some(2), Some("WARN")));
}

#[actix_web::test]
async fn after_sigterm_everything_goes_on_for_the_settle_time_but_readiness() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(&folder);
    let settings = [("MLFLOW_SERVER_URL", &mlflow.url()[..]), ("HOKUSAI__SERVER__SETTLE_TIME", "1h")];
    let mut gateway = Process::serve(folder.path(), &settings);
    let ready = || ask(gateway.address, "GET /ready HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("it is ready", async || ready().await.status == 200).await;
    gateway.terminate();
    eventually("it is not ready", async || ready().await.status == 503).await;
    assert_eq!(ready().await.json()["reasons"][0], "HG-P04 draining");
    let get =
        format!("GET /api/2.0/mlflow/runs/get HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\r\n");
    assert_eq!(ask(gateway.address, get).await.status, 200);
    // Whoever says it twice does not want to wait.
    gateway.terminate();
    assert_eq!(gateway.wait().code(), Some(0));
}

#[actix_web::test]
async fn usage_is_reported_to_the_last_request_before_the_end() {
    let auth = Server::start(|request| match (request.target().contains("/usage/"), Answer::ok(VALID)) {
        // Slowly, so that most of it waits when the end comes.
        (true, Answer::Bytes(answer)) => Answer::After(std::time::Duration::from_millis(100), answer),
        (_, answer) => answer,
    })
    .await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    let settings = [("MLFLOW_SERVER_URL", &mlflow.url()[..]), ("HOKUSAI_AUTH_SERVICE_URL", &auth.url()[..])];
    let mut gateway = Process::serve(folder.path(), &settings);
    for _ in 0..50 {
        let get = "GET /api/2.0/mlflow/runs/get HTTP/1.1\r\nhost: a\r\nauthorization: Bearer the-key\r\n\r\n";
        assert_eq!(ask(gateway.address, get).await.status, 200);
    }
    gateway.terminate();
    let ended = actix_rt::task::spawn_blocking(move || gateway.wait().code());
    assert_eq!(ended.await.unwrap(), Some(0));
    assert_eq!(auth.requests().iter().filter(|request| request.target().contains("/usage/")).count(), 50);
}

#[actix_web::test]
async fn sighup_takes_over_what_can_change_and_nothing_of_a_bad_file() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(&folder);
    let config = folder.path().join("gateway.toml");
    let write = |limits: &str| {
        fs::write(&config, format!("[mlflow]\nurl = '{}'\n[limits]\n{limits}\n", mlflow.url())).unwrap();
    };
    write("per_hour = 100");
    let gateway = Process::serve_with(folder.path(), &["--config", "gateway.toml"], &[]);
    let get =
        format!("GET /api/2.0/mlflow/runs/get HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\r\n");
    let limit = || async {
        let response = ask(gateway.address, &get).await;
        (response.status, response.header("ratelimit-limit").map(str::to_owned))
    };
    let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    let is = |number: &str| (200, Some(number.to_owned()));
    assert_eq!(limit().await, is("100"));

    write("per_hour = 200\nnonsense = 1");
    gateway.hang_up();
    eventually("it says why not", async || log().contains("limits.…")).await;
    assert_eq!(limit().await, is("100"));

    write("per_hour = 300\ninstances = 2");
    gateway.hang_up();
    eventually("it is taken over", async || limit().await == is("300")).await;
    eventually("it says what is not", async || log().contains(r#""sections":"limits""#)).await;
}

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

#[actix_web::test]
async fn each_request_leaves_one_line_that_names_the_caller_and_never_the_key() {
    let mlflow = Server::start(|_| Answer::ok("four")).await;
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(&folder);
    let mut gateway = serve(&folder, &mlflow.url());
    let address = gateway.address;
    let good = format!("authorization: Bearer {key}\r\n");
    for headers in [good.as_str(), "authorization: Bearer not-a-good-key\r\n"] {
        let target = format!("/api/2.0/mlflow/runs/log-batch?token={key}");
        ask(address, format!("POST {target} HTTP/1.1\r\nhost: a\r\n{headers}content-length: 3\r\n\r\nabc"))
            .await;
    }
    gateway.terminate();
    gateway.wait();

    let mut log = String::new();
    while log.matches("\"message\":\"request\"").count() < 2 {
        log.clear();
        fs::File::open(folder.path().join("log")).unwrap().read_to_string(&mut log).unwrap();
    }
    assert!(!log.contains(&key) && !log.contains("not-a-good-key"), "{log}");
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &serde_json::Value| line["message"] == "request")
        .collect();
    assert_eq!(lines[0]["status"], 200);
    assert_eq!(lines[0]["user_id"], "ada");
    assert_eq!(lines[0]["method"], "POST");
    assert_eq!(lines[0]["route"], "write");
    assert_eq!(lines[0]["path"], "/api/2.0/mlflow/runs/log-batch");
    assert_eq!(lines[0]["client_ip"], "127.0.0.1");
    assert_eq!(lines[0]["bytes_in"], 3);
    assert_eq!(lines[0]["bytes_out"], 4);
    assert!(lines[0]["latency_ms"].as_f64().unwrap() >= lines[0]["upstream_ms"].as_f64().unwrap());
    assert_eq!(lines[1]["status"], 401);
    assert_eq!(lines[1]["reason"], "credential_rejected");
    assert_eq!(lines[1]["user_id"], serde_json::Value::Null);
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
