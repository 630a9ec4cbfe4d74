//! How a code is told, whichever it is.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::place::{CLOSED, Place};
use crate::support::{commands::mlflow, eventually, process::command, server::Answer};

#[actix_web::test]
async fn what_is_over_is_logged_with_the_code_that_it_began_with() {
    let place = Place::new().await;
    let is_well = Arc::new(AtomicBool::new(false));
    let well = Arc::clone(&is_well);
    let mlflow = mlflow(move |_| (!well.load(Ordering::Relaxed)).then(|| Answer::page(503))).await;
    let gateway = place.serve(&[("MLFLOW_SERVER_URL", &mlflow.url())]);
    let good = std::fs::read_to_string(place.path("keys.toml")).unwrap();
    place.write("keys.toml", "no key file");
    let began = async || {
        let errors = gateway.lines("ERROR");
        errors.contains("HG-K06") && gateway.ready().await.contains("HG-M04")
    };
    eventually("both begin", began).await;
    place.write("keys.toml", &good);
    is_well.store(true, Ordering::Relaxed);
    let over = async || ["HG-K06", "HG-M04"].iter().all(|code| gateway.lines("INFO").contains(*code));
    eventually("both are over", over).await;
    assert!(gateway.ready().await.is_empty());
}

#[actix_web::test]
async fn what_is_well_has_no_code() {
    let place = Place::new().await;
    let report = place.probe(&[]).await;
    assert_eq!(report.code, Some(0), "{}", report.printed);
    assert!(report.codes().is_empty(), "{}", report.printed);
}

#[test]
fn the_text_begins_with_the_code_and_says_where_it_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let made = command(folder.path()).args(["keys", "create", "--user", "ada"]).output().unwrap();
    assert!(made.status.success());
    let mut probe = command(folder.path());
    let probed = probe.args(["check", "--probe"]).env("MLFLOW_SERVER_URL", CLOSED).output().unwrap();
    let printed = String::from_utf8(probed.stdout).unwrap();
    let line = printed.lines().find(|line| line.starts_with("FAIL  mlflow.tcp ")).unwrap();
    assert!(line.contains("  HG-M02 nothing listens at"), "{line}");
    assert!(printed.ends_with("; codes: docs/TROUBLESHOOTING.md#codes\n"), "{printed}");
    let checked = command(folder.path()).arg("check").env("MLFLOW_SERVER_URL", "").output().unwrap();
    let printed = String::from_utf8(checked.stderr).unwrap();
    assert!(printed.lines().any(|line| line.starts_with("HG-S02 mlflow.url (")), "{printed}");
    assert!(printed.ends_with("; codes: docs/TROUBLESHOOTING.md#codes\n"), "{printed}");
}
