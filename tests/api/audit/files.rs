//! The file of records and its chain.

use std::{fs, path::Path};

use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::Stage;
use crate::support::{
    GatewayBuilder, Server, ask, eventually,
    gateway::create_key,
    metric,
    process::{Process, command},
    server::Answer,
    stream,
};

#[actix_web::test]
async fn a_file_that_somebody_takes_away_is_begun_anew_and_the_chain_goes_on() {
    let stage = Stage::set(GatewayBuilder::default().set("AUDIT__MAX_SIZE", "1KiB")).await;
    let taken = stage.folder.path().join("taken");
    stage.send("POST", "/api/2.0/mlflow/runs/create", "{}").await;
    stage.until(1).await;
    fs::rename(stage.folder.path().join("audit.jsonl"), &taken).unwrap();
    for _ in 0..9 {
        stage.send("POST", "/api/2.0/mlflow/runs/create", "{}").await;
    }
    eventually("they are written", async || {
        metric(&stage.gateway, r#"audit_records_total{outcome="ok"}"#).await == 10.0
    })
    .await;
    let mut files: Vec<_> =
        fs::read_dir(stage.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| *file != taken);
    let text: String =
        [vec![taken], files].concat().iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_by_key(|line| serde_json::from_str::<Value>(line).unwrap()["number"].as_u64());
    assert_eq!(stream::whole(&lines.join("\n")), Some((1, 11)));
}

#[actix_web::test]
async fn a_full_file_is_put_aside_and_the_chain_goes_on() {
    let stage = Stage::set(GatewayBuilder::default().set("AUDIT__MAX_SIZE", "2KiB")).await;
    for _ in 0..20 {
        stage.send("POST", "/api/2.0/mlflow/runs/create", "{}").await;
    }
    eventually("they are written", async || {
        metric(&stage.gateway, r#"audit_records_total{outcome="ok"}"#).await == 20.0
    })
    .await;
    let mut files: Vec<_> =
        fs::read_dir(stage.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    // The one that is being written has no number in its name.
    files.rotate_left(1);
    assert!(files.len() > 2, "{files:?}");
    assert!(files.iter().all(|file| fs::metadata(file).unwrap().len() <= 2048));
    let verify = |files: &[std::path::PathBuf]| {
        command(stage.folder.path()).args(["audit", "verify"]).args(files).output().unwrap()
    };
    let whole = verify(&files);
    assert_eq!(String::from_utf8(whole.stdout).unwrap(), WHOLE);
    let changed = fs::read_to_string(&files[1]).unwrap().replacen("\"write\"", "\"read\"", 1);
    fs::write(&files[1], changed).unwrap();
    let found = verify(&files);
    assert_eq!(found.status.code(), Some(1));
    let text = String::from_utf8(found.stderr).unwrap();
    assert!(text.contains(&format!("{}, line 1: was changed", files[1].display())), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    let first = files.remove(0);
    let beheaded = verify(&files[1..]);
    assert_eq!(beheaded.status.code(), Some(1));
    assert!(String::from_utf8(beheaded.stderr).unwrap().contains("earlier records are missing"));
    let continued =
        command(stage.folder.path()).args(["audit", "verify", "--continued"]).args(&files[1..]).output();
    assert_eq!(continued.unwrap().status.code(), Some(0));
    files[0] = first;
    assert!(String::from_utf8(verify(&files).stderr).unwrap().contains("line 1: does not follow"));
}

const WHOLE: &str = "records 1 to 21, unchanged\n\
    not shown: whether records after 21 are missing, or the whole stream was rewritten\n";

fn serve(folder: &Path, mlflow: &Server, settings: &[(&str, &str)]) -> Process {
    let url = mlflow.url();
    let all: Vec<_> = [("MLFLOW_SERVER_URL", &*url)].into_iter().chain(settings.iter().copied()).collect();
    Process::serve(folder, &all)
}

#[actix_web::test]
async fn a_restart_goes_on_with_the_chain_and_only_one_process_writes_a_file() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(&folder.path().join("keys.toml"), "ada", None);
    let file = folder.path().join("audit.jsonl");
    let settings = [("HOKUSAI__AUDIT__OUTPUT", file.to_str().unwrap())];
    let post = format!(
        "POST /api/2.0/mlflow/runs/create HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\ncontent-length: 0\r\n\r\n",
        key.key.expose_secret()
    );
    for count in 1..=3 {
        let mut gateway = serve(folder.path(), &mlflow, &settings);
        ask(gateway.address, &post).await;
        if count == 1 {
            let second = command(folder.path())
                .arg("serve")
                .env("MLFLOW_SERVER_URL", mlflow.url())
                .env("HOKUSAI__SERVER__BIND", "127.0.0.1:0")
                .envs(settings)
                .output()
                .unwrap();
            assert_eq!(second.status.code(), Some(1));
            let log = String::from_utf8(second.stdout).unwrap();
            assert!(log.contains("another process writes it"), "{log}");
        }
        // What was added is written before it ends.
        gateway.terminate();
        gateway.wait();
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(stream::whole(&text), Some((1, 3 * count)), "each between its beginning and its end");
        assert!(stream::verify(&text).killed.is_empty());
    }
    fs::write(&file, fs::read_to_string(&file).unwrap() + "{\"number\":4,\"prev").unwrap();
    let mut gateway = serve(folder.path(), &mlflow, &settings);
    ask(gateway.address, &post).await;
    gateway.terminate();
    gateway.wait();
    let text = fs::read_to_string(&file).unwrap();
    let found = stream::verify(&text);
    let faults: Vec<_> = found.faults.iter().map(ToString::to_string).collect();
    assert_eq!(faults, ["line 10: was cut off while it was written, as record 10 says"]);
    assert_eq!(found.last(), Some(13), "and what stands behind it is looked at");
    let told = command(folder.path()).args(["audit", "verify", "audit.jsonl"]).output().unwrap();
    assert_eq!(told.status.code(), Some(1), "a record is missing");
}

#[actix_web::test]
async fn a_process_that_was_killed_is_told_by_the_next_one() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    create_key(&folder.path().join("keys.toml"), "ada", None);
    let file = folder.path().join("audit.jsonl");
    let settings = [("HOKUSAI__AUDIT__OUTPUT", file.to_str().unwrap())];
    let text = || fs::read_to_string(&file).unwrap_or_default();
    let killed = serve(folder.path(), &mlflow, &settings);
    eventually("it has begun", async || stream::lines(&text()).len() == 1).await;
    drop(killed);
    let mut stopped = serve(folder.path(), &mlflow, &settings);
    stopped.terminate();
    stopped.wait();
    let _running = serve(folder.path(), &mlflow, &settings);
    eventually("it has begun", async || stream::lines(&text()).len() == 4).await;
    let found = stream::verify(&text());
    assert_eq!((found.is_whole(), found.killed), (true, vec![1]));
    let told = command(folder.path()).args(["audit", "verify", "audit.jsonl"]).output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("record 1: its process was killed"), "{told}");
}

#[actix_web::test]
async fn by_default_records_are_lines_among_those_of_the_log() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    create_key(&folder.path().join("keys.toml"), "ada", None);
    let gateway = serve(folder.path(), &mlflow, &[]);
    ask(gateway.address, "GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    eventually("the record is there", async || {
        let records: String = log()
            .lines()
            .filter(|line| line.contains("\"previous\""))
            .map(|line| format!("{line}\n"))
            .collect();
        // The first one is that it was begun, before it listens.
        stream::whole(&records).is_some_and(|(_, last)| last == 2)
    })
    .await;
}
