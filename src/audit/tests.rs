//! A change that is begun where the disk is slow or the client goes: the stream claims no loss, and leaves nothing open.

use std::{fs, path::Path};

use actix_web::test::TestRequest;
use futures_util::FutureExt as _;
use prometheus::Opts;
use tempfile::TempDir;

use super::*;
use crate::settings::AuditOutput;

const MAX_SIZE: u64 = 1 << 20;

fn change() -> Record {
    let request = TestRequest::post().uri("/api/2.0/mlflow/runs/delete").to_http_request();
    Record::of(&request, "id", None, None, About::default())
}

fn counter() -> IntCounterVec {
    IntCounterVec::new(Opts::new("audit_records_total", "Records."), &["outcome"]).unwrap()
}

fn closed(folder: &TempDir) -> (PathBuf, Audit) {
    let path = folder.path().join("audit.jsonl");
    let output = AuditOutput::File(path.clone());
    (path, Audit { output, max_size: MAX_SIZE.try_into().unwrap(), on_failure: OnFailure::Closed })
}

fn found(path: &Path) -> (String, Verification) {
    let text = fs::read_to_string(path).unwrap();
    let mut found = Verification::default();
    text.lines().for_each(|line| found.line(line.as_bytes()));
    found.end();
    (text, found)
}

#[actix_web::test]
async fn a_change_that_was_refused_because_the_disk_is_slow_is_no_loss() {
    let folder = tempfile::tempdir().unwrap();
    let (path, settings) = closed(&folder);
    let counter = counter();
    let ledger = Arc::new(Ledger::new(counter.clone()));
    let writer = Writer::open(&settings, &ledger).unwrap().unwrap();
    let (mailbox, messages) = channel();
    let trail = AuditTrail(Some(Arc::new(Open {
        mailbox,
        capacities: CAPACITIES.map(Capacity::of),
        ledger,
        must_keep: true,
    })));
    assert_eq!(trail.begin(change()).await, Err(NotKept));
    writer.start(messages).unwrap();
    trail.stop().await;
    let (text, found) = found(&path);
    assert!(found.is_whole() && found.lost.is_empty() && found.unended.is_empty(), "{text}");
    assert_eq!(counter.with_label_values(&["dropped"]).get(), 1);
}

#[actix_web::test]
async fn a_change_whose_client_went_before_it_heard_that_the_record_is_written_is_withdrawn() {
    let folder = tempfile::tempdir().unwrap();
    let (path, settings) = closed(&folder);
    let trail = AuditTrail::open(&settings, counter()).unwrap();
    // One that is not answered at once.
    let waiting = loop {
        let mut waiting = Box::pin(trail.begin(change()));
        if (&mut waiting).now_or_never().is_none() {
            break waiting;
        }
    };
    // This one's record is written behind the answer to the other.
    trail.begin(change()).await.unwrap();
    drop(waiting);
    trail.stop().await;
    let (text, found) = found(&path);
    assert_eq!(text.matches(r#""event":"withdrawn""#).count(), 1, "{text}");
    assert_eq!(found.unended.len() + 1, text.matches(r#""outcome":"begun""#).count(), "{text}");
}
