//! When the gateway's certificates end: what the process and `check` say.

use std::{fs, path::Path};

use serde_json::Value;

use crate::support::{
    certificates::{Authority, Certificate, not_after},
    commands::mlflow,
    eventually, metric_at,
    process::{Process, command},
};

/// What `check` says of the list.
fn check(folder: &Path, settings: &[(&str, &str)]) -> (Option<i32>, Value) {
    let mut check = command(folder);
    check.args(["check", "--format", "json"]).env("HOKUSAI__SERVER__BIND", "127.0.0.1:0");
    let output = check.env("MLFLOW_SERVER_URL", "http://127.0.0.1:1").envs(settings.iter().copied()).output();
    let output = output.unwrap();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

fn folder_with_a_key() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let created = command(folder.path()).args(["keys", "create", "--user", "ada"]).output().unwrap();
    assert!(created.status.success());
    folder
}

fn copy(identity: &Certificate, to: &Certificate) {
    fs::copy(&identity.key, &to.key).unwrap();
    fs::copy(&identity.path, &to.path).unwrap();
}

#[actix_web::test]
async fn a_certificate_that_ends_soon_is_told_until_it_is_renewed() {
    let (folder, authority) = (folder_with_a_key(), Authority::new());
    let identity = authority.issue("IP:127.0.0.1", 3);
    let (certificate, key) = (identity.path(), identity.key());
    let tls = [("HOKUSAI__SERVER__TLS__CERT", certificate), ("HOKUSAI__SERVER__TLS__KEY", key)];
    let mlflow = mlflow(|_| None).await;
    let gateway =
        Process::serve(folder.path(), &[&tls[..], &[("MLFLOW_SERVER_URL", &mlflow.url())]].concat());
    let end = async || {
        let name = r#"certificate_expiry_timestamp_seconds{certificate="server"}"#;
        metric_at(gateway.metrics_address.unwrap(), name).await
    };
    assert_eq!(end().await, Some(not_after(&identity.path)));
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(
        log.lines().any(|line| line.contains("server.tls.cert ends at") && line.contains("HG-T13")),
        "{log}"
    );
    let (code, said) = check(folder.path(), &tls);
    assert_eq!(code, Some(0));
    let told =
        said["certificates"].as_array().unwrap().iter().find(|told| told["certificate"] == "server").unwrap();
    assert!(
        [2, 3].contains(&told["days_left"].as_i64().unwrap()) && told["key"] == "server.tls.cert",
        "{told}"
    );
    let warnings = said["warnings"].to_string();
    assert!(warnings.contains("ends at") && warnings.contains("HG-T13"), "{warnings}");

    let renewed = authority.issue("IP:127.0.0.1", 40);
    copy(&renewed, &identity);
    let renewed = not_after(&renewed.path);
    eventually("the renewed one is shown", async || end().await == Some(renewed)).await;
    let (_, said) = check(folder.path(), &tls);
    let warnings = said["warnings"].as_array().unwrap();
    assert!(!warnings.iter().any(|warning| warning["key"] == "server.tls.cert"), "{warnings:?}");
}

#[test]
fn the_certificates_for_others_are_told_too() {
    let (folder, authority) = (folder_with_a_key(), Authority::of_days(2));
    let (ca, identity) = (authority.certificate(), authority.issue("DNS:gateway", -3));
    let (certificate, key) = (identity.path(), identity.key());
    let settings = [
        ("HOKUSAI__MLFLOW__TLS__CA", &*ca),
        ("HOKUSAI__MLFLOW__TLS__CERT", certificate),
        ("HOKUSAI__MLFLOW__TLS__KEY", key),
        ("HOKUSAI_AUTH_SERVICE_URL", "https://auth.example.com"),
        ("HOKUSAI__AUTH__SERVICE__TLS__CA", &ca),
    ];
    let (_, said) = check(folder.path(), &settings);
    let all = |list: &str, name: &str, value: &str| -> Vec<(String, Value)> {
        let told = said[list].as_array().unwrap().iter();
        told.map(|told| (told[name].as_str().unwrap_or_default().to_owned(), told[value].clone())).collect()
    };
    let mut days = all("certificates", "certificate", "days_left");
    days.sort_by(|one, other| one.0.cmp(&other.0));
    let names: Vec<&str> = days.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["auth_ca", "mlflow_ca", "mlflow_client"]);
    assert!(days[2].1.as_i64().unwrap() < 0, "{days:?}");
    let warnings = all("warnings", "key", "code");
    assert!(warnings.contains(&("mlflow.tls.cert".to_owned(), "HG-T01".into())), "{warnings:?}");
    assert!(warnings.contains(&("auth.service.tls.ca".to_owned(), "HG-T13".into())), "{warnings:?}");
}
