//! With issuers a key file is no longer needed, and one that cannot be read is a fault as before.

use super::*;
use crate::support::{commands::Report, eventually, gateway::create_key, process::Process};

async fn check(settings: &str, keys: Option<&str>) -> Report {
    let (folder, mut check) = operator(settings, &["check"]);
    if let Some(keys) = keys {
        std::fs::write(folder.path().join("keys.toml"), keys).unwrap();
    }
    check.env("MLFLOW_SERVER_URL", "http://127.0.0.1:1");
    Report::of(check).await
}

#[actix_web::test]
async fn a_key_file_may_be_missing_or_empty_where_tokens_are_credentials() {
    let settings = issuer_settings("https://issuer.example") + RULE;
    for (keys, is_good) in
        [(None, true), (Some(""), true), (Some("# none yet\n"), true), (Some("junk"), false)]
    {
        let report = check(&settings, keys).await;
        assert_eq!(
            (report.code, &report.said["tokens_only"]),
            if is_good { (Some(0), &json!(true)) } else { (Some(64), &Value::Null) },
            "{keys:?}: {}",
            report.printed
        );
        assert!(!is_good || report.said["warnings"] == json!([]), "{}", report.printed);
        assert_eq!(check("", keys).await.code, Some(64), "{keys:?}: only keys are credentials");
    }
    let (_folder, mut check) = operator(&settings, &["check"]);
    let told = check.env("MLFLOW_SERVER_URL", "http://127.0.0.1:1").output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(
        told.contains("auth.key_file.path (keys.toml) has no keys: only tokens of auth.issuers"),
        "{told}"
    );
}

#[actix_web::test]
async fn a_key_file_that_comes_later_is_taken() {
    let stage = Stage::set().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gateway.toml"), stage.settings()).unwrap();
    let settings = [("MLFLOW_SERVER_URL", &*stage.mlflow.url())];
    let gateway = Process::serve_with(folder.path(), &["--config", "gateway.toml"], &settings);
    let status = async |key: &str| {
        let get =
            format!("GET /api/2.0/mlflow/runs/get?run_id=a HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\n\r\n");
        ask(gateway.address, get).await.status
    };
    assert_eq!((status(&stage.token(json!({}))).await, status("hk_live_nobodys").await), (200, 401));
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    let line = log.lines().find(|line| line.contains("only tokens of auth.issuers are credentials"));
    assert!(line.is_some_and(|line| line.contains(r#""level":"INFO""#)), "{log}");
    let created = create_key(&folder.path().join("keys.toml"), "ada", None);
    let key = secrecy::ExposeSecret::expose_secret(&created.key);
    eventually("the file is taken", async || status(key).await == 200).await;
}
