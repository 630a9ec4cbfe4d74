//! TLS towards clients, and the files that it needs.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{
    Gateway, GatewayBuilder, Server, ask,
    certificates::Certificate,
    commands::{Report, check, folder_with_a_key},
    eventually,
    process::{Process, command},
    server::Answer,
    tls,
};

const TARGET: &str = "/api/mlflow/api/2.0/mlflow/experiments/search";

fn with_certificate() -> (TempDir, Certificate) {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::self_signed(&folder.path().join("certificate"));
    (folder, certificate)
}

fn over_tls(certificate: &Certificate) -> GatewayBuilder {
    GatewayBuilder::default()
        .set("SERVER__TLS__CERT", certificate.path())
        .set("SERVER__TLS__KEY", certificate.key())
}

async fn status(gateway: &Gateway, trusted: &Path) -> std::io::Result<u16> {
    tls::get(gateway.address, trusted, TARGET, &gateway.key).await
}

#[actix_web::test]
async fn clients_are_served_over_tls_and_a_renewed_certificate_is_shown_to_the_next() {
    let (folder, shown) = with_certificate();
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = over_tls(&shown).start(&mlflow).await;
    // As it was at first; the file is written over below.
    let first: PathBuf = folder.path().join("first.pem");
    fs::copy(&shown.path, &first).unwrap();
    assert_eq!(status(&gateway, &first).await.unwrap(), 200);
    let plain = ask(gateway.address, gateway.request("GET", TARGET, "")).await;
    assert_eq!(plain.status, 0, "plain HTTP is not answered");
    assert_eq!(mlflow.requests().len(), 1);

    // One after the other: in between the two do not belong together, and the old pair stays.
    let renewed = Certificate::self_signed(&folder.path().join("renewed"));
    fs::copy(&renewed.path, &shown.path).unwrap();
    assert_eq!(status(&gateway, &first).await.unwrap(), 200);
    fs::copy(&renewed.key, &shown.key).unwrap();
    eventually("the renewed one is shown", async || matches!(status(&gateway, &renewed.path).await, Ok(200)))
        .await;
    assert!(status(&gateway, &first).await.is_err(), "the first one is shown no more");
}

#[actix_web::test]
async fn the_health_check_asks_over_tls_where_clients_do() {
    let (folder, certificate) = with_certificate();
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = over_tls(&certificate).start(&mlflow).await;
    let healthcheck = |settings: &[(&str, &str)]| {
        let mut command = command(folder.path());
        command.arg("healthcheck").env("MLFLOW_SERVER_URL", "http://a");
        command.env("HOKUSAI__SERVER__BIND", gateway.address.to_string()).envs(settings.iter().copied());
        Report::of(command)
    };
    let tls = [
        ("HOKUSAI__SERVER__TLS__CERT", certificate.path()),
        ("HOKUSAI__SERVER__TLS__KEY", certificate.key()),
    ];
    let report = healthcheck(&tls).await;
    assert_eq!(report.said, serde_json::json!({"ok": true, "what": null}), "{}", report.printed);
    // Plain HTTP to a port that speaks TLS.
    assert_eq!(healthcheck(&[]).await.code, Some(1));
}

#[actix_web::test]
async fn a_private_key_that_others_may_read_by_now_is_not_taken_over() {
    let (_certificates, certificate) = with_certificate();
    let folder = folder_with_a_key();
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let settings = [
        ("MLFLOW_SERVER_URL", &*mlflow.url()),
        ("HOKUSAI__SERVER__TLS__CERT", certificate.path()),
        ("HOKUSAI__SERVER__TLS__KEY", certificate.key()),
    ];
    let gateway = Process::serve(folder.path(), &settings);
    fs::set_permissions(&certificate.key, fs::Permissions::from_mode(0o644)).unwrap();
    let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    eventually("it is told", async || log().contains("is world-readable")).await;
    assert_eq!(tls::get(gateway.address, &certificate.path, "/live", "none").await.unwrap(), 200);
}

#[actix_web::test]
async fn a_client_that_takes_nothing_is_given_up_over_tls_too() {
    let (_folder, certificate) = with_certificate();
    let mlflow =
        Server::start(
            |request| {
                if request.target().contains("endless") { Answer::Endless } else { Answer::ok("{}") }
            },
        )
        .await;
    let gateway = over_tls(&certificate)
        .set("SERVER__BODY_IDLE_TIMEOUT", "1s")
        .set("MLFLOW__MAX_CONNECTIONS", "2")
        .set("MLFLOW__QUEUE_TIMEOUT", "1ms")
        // What would end such a download as well, by chance.
        .set("MLFLOW__IDLE_TIMEOUT", "1h")
        .set("MLFLOW__PROBE_INTERVAL", "1h")
        .start(&mlflow)
        .await;
    let mut stuck = Vec::new();
    for _ in 0..2 {
        let mut stream = tls::connect(gateway.address, &certificate.path).await.unwrap();
        let request = gateway.request("GET", "/mlflow/static-files/endless", "");
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_ne!(stream.read_u8().await.unwrap(), 0);
        stuck.push(stream);
    }
    assert_eq!(status(&gateway, &certificate.path).await.unwrap(), 503);
    eventually("a connection to MLflow is free", async || {
        matches!(status(&gateway, &certificate.path).await, Ok(200))
    })
    .await;
}

#[test]
fn a_certificate_file_that_is_missing_is_fatal() {
    let (folder, certificate) = with_certificate();
    for section in ["SERVER__TLS", "MLFLOW__TLS"] {
        let ended = command(folder.path())
            .arg("serve")
            .env("MLFLOW_SERVER_URL", "https://127.0.0.1:1")
            .env(format!("HOKUSAI__{section}__CERT"), "nowhere.pem")
            .env(format!("HOKUSAI__{section}__KEY"), certificate.key())
            .output()
            .unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        assert!(ended.status.code() == Some(64) && told.contains("nowhere.pem"), "{section}: {told}");
    }
}

#[actix_web::test]
async fn a_private_key_that_others_may_read_is_refused() {
    let (_folder, certificate) = with_certificate();
    for section in ["SERVER__TLS", "MLFLOW__TLS", "AUTH__SERVICE__TLS"] {
        let (cert, key) = (format!("HOKUSAI__{section}__CERT"), format!("HOKUSAI__{section}__KEY"));
        let mut settings = vec![
            ("MLFLOW_SERVER_URL", "https://127.0.0.1:2"),
            (&*cert, certificate.path()),
            (&*key, certificate.key()),
        ];
        if section.starts_with("AUTH") {
            settings.push(("HOKUSAI__AUTH__SERVICE__URL", "https://127.0.0.1:2"));
        }
        let modes = [
            (0o400, true),
            (0o600, true),
            (0o640, true),
            (0o604, false),
            (0o644, false),
            (0o666, false),
            (0o602, false),
        ];
        for (mode, is_good) in modes {
            fs::set_permissions(&certificate.key, fs::Permissions::from_mode(mode)).unwrap();
            let report = check(&[], &settings).await;
            assert_eq!(report.code, Some(if is_good { 0 } else { 64 }), "{mode:o}: {}", report.printed);
            if !is_good {
                let told = report.problem(&format!("{}.key", section.to_lowercase().replace("__", ".")));
                assert!(told.contains(&format!("mode {mode:04o}")) && told.contains("chmod o-"), "{told}");
            }
        }
    }
}
