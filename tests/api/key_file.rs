//! Changes of the key file while the gateway runs.

use std::fs;

use hokusai_gateway::auth::key_file::edit;
use jiff::SignedDuration;
use secrecy::ExposeSecret as _;

use crate::support::{Gateway, Server, ask, client::metric, eventually, gateway::create_key, server::Answer};

async fn status_with(gateway: &Gateway, key: &str) -> u16 {
    let request =
        format!("GET /api/2.0/mlflow/runs/get HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\r\n");
    ask(gateway.address, request).await.status
}

/// Waits until a key is answered with `status`. The watcher's interval is its own affair; never is a failure.
async fn until(gateway: &Gateway, key: &str, status: u16) {
    eventually("the key is answered so", async || status_with(gateway, key).await == status).await;
}

#[actix_web::test]
async fn a_new_key_works_and_a_revoked_one_ends_without_a_restart() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let second = create_key(&gateway.key_file, "grace", None);
    until(&gateway, second.key.expose_secret(), 200).await;
    edit::revoke(&gateway.key_file, &second.id).unwrap();
    until(&gateway, second.key.expose_secret(), 401).await;
    assert_eq!(status_with(&gateway, &gateway.key).await, 200);
}

#[actix_web::test]
async fn a_rotated_key_works_beside_its_successor() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let successor = edit::rotate(&gateway.key_file, &gateway.key_id, SignedDuration::from_hours(1)).unwrap();
    until(&gateway, successor.key.expose_secret(), 200).await;
    assert_eq!(status_with(&gateway, &gateway.key).await, 200);
}

#[actix_web::test]
async fn a_key_ends_with_its_overlap() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    edit::rotate(&gateway.key_file, &gateway.key_id, SignedDuration::ZERO).unwrap();
    until(&gateway, &gateway.key, 401).await;
}

#[actix_web::test]
async fn a_file_that_breaks_takes_nobodys_key_away_and_is_taken_over_when_mended() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let good = fs::read_to_string(&gateway.key_file).unwrap();
    let is_in_force = async |wanted: f64| {
        let name = "key_file_last_reload_successful";
        eventually("the gauge follows the file", async || metric(&gateway, name).await == wanted).await;
    };
    for broken in ["", "[[keys", "[[keys]]\nid = 'a'"] {
        fs::write(&gateway.key_file, broken).unwrap();
        is_in_force(0.0).await;
        assert_eq!(status_with(&gateway, &gateway.key).await, 200, "{broken:?}");
        fs::write(&gateway.key_file, &good).unwrap();
        is_in_force(1.0).await;
    }
    let second = create_key(&gateway.key_file, "grace", None);
    until(&gateway, second.key.expose_secret(), 200).await;
}

#[actix_web::test]
async fn keys_in_force_that_are_not_the_files_are_seen_from_outside() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let is_in_force = async |wanted: f64| {
        let name = "key_file_last_reload_successful";
        eventually("the gauge follows the file", async || metric(&gateway, name).await == wanted).await;
    };
    is_in_force(1.0).await;
    let loaded = metric(&gateway, "key_file_loaded_timestamp_seconds").await;
    assert!((jiff::Timestamp::now().as_second() as f64 - loaded).abs() < 60.0, "{loaded}");

    // A revocation with a slip of the pen, and what the file was before it.
    let aside = gateway.key_file.with_extension("aside");
    fs::rename(&gateway.key_file, &aside).unwrap();
    fs::write(&gateway.key_file, "[[keys").unwrap();
    is_in_force(0.0).await;
    let ready = async || {
        let ready = ask(gateway.address, "GET /ready HTTP/1.1\r\nhost: a\r\n\r\n").await;
        (ready.status, ready.json()["warnings"][0].as_str().unwrap_or_default().to_owned())
    };
    // It goes on with the keys that it has; and the file's path is nobody's business.
    eventually("MLflow was looked at", async || ready().await.0 == 200).await;
    let warning = ready().await.1;
    assert!(
        warning.starts_with("HG-K06 key file: reload failed; keeping the keys of 20")
            && !warning.contains('/'),
        "{warning}"
    );
    fs::rename(&aside, &gateway.key_file).unwrap();
    is_in_force(1.0).await;
    assert_eq!(ready().await, (200, String::new()));
}
