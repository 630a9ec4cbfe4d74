//! The folder where batches wait: full, hostile, not there.

use std::{cell::Cell, fs, os::unix::fs::symlink};

use super::{
    ledger::Book,
    restarts::{batches, get, requests_in, serve, stop},
};
use crate::support::{Server, eventually, metric_at, process::Process, server::Answer};

async fn counted(gateway: &Process, outcome: &str) -> f64 {
    let name = format!("usage_reports_total{{outcome=\"{outcome}\"}}");
    metric_at(gateway.metrics_address.unwrap(), &name).await.unwrap_or_default()
}

#[actix_web::test]
async fn an_outage_that_is_longer_than_the_spool_drops_the_oldest_and_counts_them() {
    let (folder, ledger) = (tempfile::tempdir().unwrap(), Book::default().open().await);
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let settings = [
        ("HOKUSAI__AUTH__SERVICE__USAGE_SPOOL_SIZE", "8KiB"),
        ("HOKUSAI__AUTH__SERVICE__USAGE_INTERVAL", "50ms"),
    ];
    let gateway = serve(folder.path(), &ledger, &mlflow, &settings);
    ledger.book.answer_batches(503);
    let asked = Cell::new(0);
    eventually("some are dropped", async || {
        get(&gateway).await;
        asked.set(asked.get() + 1);
        counted(&gateway, "dropped").await > 0.0
    })
    .await;
    let asked: u64 = asked.get();
    assert!(batches(folder.path()).len() <= 3, "{:?}", batches(folder.path()));
    ledger.book.answer_batches(0);
    eventually("all are told or dropped", async || {
        let (ok, dropped) = (counted(&gateway, "ok").await, counted(&gateway, "dropped").await);
        ok + dropped == asked as f64
    })
    .await;
    let dropped = counted(&gateway, "dropped").await as u64;
    assert_eq!(ledger.book.total(), asked - dropped);
    assert!(dropped < asked, "the newest is kept");
    stop(gateway).await;
}

#[actix_web::test]
async fn hostile_files_in_the_spool_never_stop_the_start() {
    let (folder, ledger) = (tempfile::tempdir().unwrap(), Book::default().open().await);
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let spool = folder.path().join("spool");
    fs::create_dir(&spool).unwrap();
    let (a, b) = ("5f0c2a52-6b1c-4a60-9d5f-0a4f0f1d7b01", "5f0c2a52-6b1c-4a60-9d5f-0a4f0f1d7b02");
    let secret = folder.path().join("secret");
    fs::write(&secret, "a secret").unwrap();
    fs::write(spool.join("notes.txt"), "keep me").unwrap();
    symlink(&secret, spool.join(format!("{a}.0000000000001.{a}.1.batch"))).unwrap();
    symlink("/dev/zero", spool.join(format!("{a}.{b}.open"))).unwrap();
    let huge = fs::File::create(spool.join(format!("{a}.0000000000002.{b}.2.batch"))).unwrap();
    huge.set_len(1 << 30).unwrap();
    // Truncated: what it is is seen when it is to be sent.
    fs::write(spool.join(format!("{a}.0000000000003.{b}.4.batch")), "{\"batch_id\": \"5f0c").unwrap();
    fs::create_dir(spool.join(format!("{b}.lock"))).unwrap();
    fs::write(spool.join(format!("{b}.0000000000004.{a}.8.batch")), "").unwrap();
    let gateway = serve(folder.path(), &ledger, &mlflow, &[]);
    eventually("what was damaged is counted", async || counted(&gateway, "dropped").await == 7.0).await;
    get(&gateway).await;
    stop(gateway).await;
    assert_eq!(ledger.book.total(), 1);
    assert_eq!(fs::read_to_string(&secret).unwrap(), "a secret");
    assert_eq!(fs::read_to_string(spool.join("notes.txt")).unwrap(), "keep me");
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(log.contains("HG-U08"), "{log}");
}

#[actix_web::test]
async fn a_disk_that_is_full_leaves_usage_in_memory_until_there_is_room() {
    let (folder, ledger) = (tempfile::tempdir().unwrap(), Book::default().open().await);
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let spool = folder.path().join("spool");
    let settings = [
        ("MLFLOW_SERVER_URL", &*mlflow.url()),
        ("HOKUSAI_AUTH_SERVICE_URL", &ledger.server.url()),
        ("HOKUSAI__AUDIT__OUTPUT", "off"),
        ("HOKUSAI__AUTH__SERVICE__USAGE_SPOOL", spool.to_str().unwrap()),
        ("HOKUSAI__AUTH__SERVICE__USAGE_INTERVAL", "50ms"),
    ];
    let gateway = Process::serve_with_little_room(folder.path(), 10, &settings);
    ledger.book.answer_batches(503);
    get(&gateway).await;
    let logged = || fs::read_to_string(folder.path().join("log")).unwrap().contains("HG-U07");
    eventually("it is logged", async || logged()).await;
    gateway.give_room();
    get(&gateway).await;
    eventually("both are in the spool", async || requests_in(folder.path()) == 2).await;
    stop(gateway).await;
    ledger.book.answer_batches(0);
    let next = serve(folder.path(), &ledger, &mlflow, &[]);
    ledger.book.until(2).await;
    stop(next).await;
}
