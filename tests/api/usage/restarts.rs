//! What a restart keeps: real processes, with a spool on disk.

use std::{fs, path::Path};

use serde_json::Value;

use super::ledger::{Book, Ledger};
use crate::support::{Server, ask, eventually, process::Process, server::Answer};

pub const RUN: &str = "/api/2.0/mlflow/runs/get";

pub fn serve(folder: &Path, ledger: &Ledger, mlflow: &Server, more: &[(&str, &str)]) -> Process {
    let spool = folder.join("spool");
    let settings = [
        ("MLFLOW_SERVER_URL", &*mlflow.url()),
        ("HOKUSAI_AUTH_SERVICE_URL", &ledger.server.url()),
        ("HOKUSAI__AUTH__SERVICE__USAGE_SPOOL", spool.to_str().unwrap()),
        ("HOKUSAI__AUTH__SERVICE__USAGE_INTERVAL", "1h"),
    ];
    Process::serve(folder, &[&settings, more].concat())
}

pub async fn get(gateway: &Process) {
    let get = format!("GET {RUN} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer key-of-one\r\n\r\n");
    assert_eq!(ask(gateway.address, get).await.status, 200);
}

/// The files of the spool that are batches, complete or not.
pub fn batches(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(folder.join("spool")).into_iter().flatten().flatten();
    let files = files.map(|file| (file.file_name().into_string().unwrap(), file.path()));
    let files = files.filter(|(name, _)| name.ends_with(".batch") || name.ends_with(".open"));
    // It may be renamed meanwhile.
    files.filter_map(|(name, path)| Some((name, fs::read(path).ok()?))).collect()
}

pub fn requests_in(folder: &Path) -> u64 {
    let batches =
        batches(folder).into_iter().map(|(_, bytes)| serde_json::from_slice::<Value>(&bytes).unwrap());
    let entries = batches.flat_map(|batch| batch["entries"].as_array().unwrap().clone());
    entries.map(|entry| entry["count"].as_u64().unwrap()).sum()
}

pub async fn stop(mut gateway: Process) {
    gateway.terminate();
    let ended = actix_rt::task::spawn_blocking(move || gateway.wait().code());
    assert_eq!(ended.await.unwrap(), Some(0));
}

#[actix_web::test]
async fn a_killed_process_loses_what_was_not_written_yet_and_no_more() {
    let (folder, ledger) = (tempfile::tempdir().unwrap(), Book::default().open().await);
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    for round in 1..=3 {
        let mut gateway = serve(folder.path(), &ledger, &mlflow, &[]);
        for _ in 0..20 {
            get(&gateway).await;
        }
        eventually("it is written", async || requests_in(folder.path()) == 20).await;
        gateway.kill();
        gateway.wait();
        let next = serve(folder.path(), &ledger, &mlflow, &[]);
        ledger.book.until(20 * round).await;
        stop(next).await;
        assert!(batches(folder.path()).is_empty());
    }
}

#[actix_web::test]
async fn at_the_end_everything_is_told_or_waits_in_the_spool() {
    let (folder, ledger) = (tempfile::tempdir().unwrap(), Book::default().open().await);
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = serve(folder.path(), &ledger, &mlflow, &[]);
    for _ in 0..50 {
        get(&gateway).await;
    }
    stop(gateway).await;
    assert_eq!(ledger.book.total(), 50);
    // The same where the service is down.
    let gateway = serve(folder.path(), &ledger, &mlflow, &[]);
    get(&gateway).await;
    ledger.book.answer_batches(503);
    for _ in 0..49 {
        get(&gateway).await;
    }
    stop(gateway).await;
    assert_eq!((ledger.book.total(), requests_in(folder.path())), (50, 50));
    assert!(batches(folder.path()).iter().all(|(name, _)| name.ends_with(".batch")));
    ledger.book.answer_batches(0);
    let next = serve(folder.path(), &ledger, &mlflow, &[]);
    ledger.book.until(100).await;
    stop(next).await;
}

#[actix_web::test]
async fn a_batch_whose_answer_was_lost_comes_again_with_the_same_id() {
    let (folder, book) = (tempfile::tempdir().unwrap(), Book::default());
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let ledger = book.open().await;
    // It takes a batch, and its answer never comes.
    let kept = book.clone();
    let address = ledger.server.address;
    ledger.server.kill();
    let deaf = Server::start_at(address, move |request| match kept.answer(request) {
        _ if request.text().contains("count") => Answer::Close,
        answer => answer,
    })
    .await;
    let ledger = Ledger { book: book.clone(), server: deaf };
    let gateway =
        serve(folder.path(), &ledger, &mlflow, &[("HOKUSAI__AUTH__SERVICE__USAGE_INTERVAL", "100ms")]);
    get(&gateway).await;
    eventually("it has come", async || !book.calls().is_empty()).await;
    stop(gateway).await;
    ledger.server.kill();
    let ledger = book.open_at(address).await;
    let next = serve(folder.path(), &ledger, &mlflow, &[]);
    eventually("it has come again", async || book.calls().len() > 1 && batches(folder.path()).is_empty())
        .await;
    stop(next).await;
    assert_eq!((book.batches().len(), book.total()), (1, 1));
}

#[actix_web::test]
async fn two_processes_share_a_folder_and_each_sends_its_own() {
    let (folder, ledger) = (tempfile::tempdir().unwrap(), Book::default().open().await);
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let first = serve(folder.path(), &ledger, &mlflow, &[]);
    get(&first).await;
    eventually("it is written", async || requests_in(folder.path()) == 1).await;
    let second = serve(folder.path(), &ledger, &mlflow, &[]);
    for _ in 0..2 {
        get(&second).await;
    }
    stop(second).await;
    // The first lives, and what it has not completed is nobody else's.
    assert_eq!((ledger.book.total(), requests_in(folder.path())), (2, 1));
    stop(first).await;
    assert_eq!(ledger.book.total(), 3);
    assert_eq!(ledger.book.calls().len(), 2);
}
