//! What stands before MLflow and answers in its place: all that a running gateway says of it. What real MLflows refuse is in
//! tests/e2e/test_refusals.py.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::support::{
    Server, ask,
    commands::{mlflow, mlflow_with_api},
    eventually, metric_at,
    process::{Process, command},
    server::Answer,
};

fn redirect() -> Answer {
    let to = "location: https://secret.example.com/";
    Answer::bytes(&format!("HTTP/1.1 301 X\r\n{to}\r\ncontent-type: text/html\r\ncontent-length: 0\r\n\r\n"))
}

/// A gateway that has looked at MLflow.
async fn started(folder: &Path, mlflow: &Server) -> Process {
    let created = command(folder).args(["keys", "create", "--user", "ada"]).output().unwrap();
    assert!(created.status.success());
    let settings = [("MLFLOW_SERVER_URL", &*mlflow.url()), ("HOKUSAI__MLFLOW__PROBE_INTERVAL", "100ms")];
    let gateway = Process::serve(folder, &settings);
    eventually("it has looked", async || is(&gateway, "upstream_accepts").await.is_some()).await;
    gateway
}

async fn is(gateway: &Process, metric: &str) -> Option<f64> {
    metric_at(gateway.metrics_address.unwrap(), metric).await
}

async fn get(gateway: &Process, path: &str) -> (u16, Value) {
    let answer = ask(gateway.address, format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
    // They are open to all, and name nobody.
    assert!(!answer.text().contains("secret.example.com"), "{}", answer.text());
    (answer.status, answer.json())
}

/// The lines of the log about MLflow.
fn lines(folder: &Path) -> Vec<Value> {
    let log = fs::read_to_string(folder.join("log")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["message"].as_str().unwrap_or_default().starts_with("MLflow")).collect()
}

#[actix_web::test]
async fn an_mlflow_that_can_be_reached_and_refuses_the_gateway_is_told_with_its_cause() {
    for (answer, code, says) in [
        ((|| Answer::page(200)) as fn() -> Answer, "HG-M07", "/api answered 200 with text/html"),
        (redirect, "HG-M08", "redirects (301 with text/html)"),
        (|| Answer::page(403), "HG-M06", "mlflow.auth has none"),
        (|| Answer::page(404), "HG-M07", "mlflow.static_prefix"),
    ] {
        // Its `/health` is its own, or MLflow's.
        for mlflow in [Server::start_asked(move |_| answer()).await, mlflow_with_api(answer).await] {
            let folder = tempfile::tempdir().unwrap();
            let gateway = started(folder.path(), &mlflow).await;
            assert_eq!(is(&gateway, "upstream_accepts").await, Some(0.0), "{says}");
            assert_eq!(is(&gateway, "upstream_up").await, Some(1.0), "{says}");
            let (status, ready) = get(&gateway, "/ready").await;
            assert_eq!((status, &ready["codes"]), (503, &json!([code])));
            let reason = ready["reasons"][0].as_str().unwrap();
            assert!(reason.starts_with(&format!("{code} MLflow: refuses the gateway: ")), "{reason}");
            let (status, health) = get(&gateway, "/health/mlflow").await;
            let told = (status, &health["status"], &health["codes"]);
            assert_eq!(told, (503, &json!("unhealthy"), &json!([code])));
            eventually("it is logged", async || !lines(folder.path()).is_empty()).await;
            let lines = lines(folder.path());
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert_eq!(
                (&lines[0]["message"], &lines[0]["code"]),
                (&json!("MLflow refuses the gateway"), &json!(code))
            );
            let told = ["reason", "cause", "fix"].map(|field| lines[0][field].as_str().unwrap_or_default());
            assert!(told.join(" | ").contains(says), "{says}: {told:?}");
        }
    }
}

#[actix_web::test]
async fn a_database_that_fails_takes_no_instance_away() {
    let (mlflow, folder) = (mlflow_with_api(|| Answer::page(500)).await, tempfile::tempdir().unwrap());
    let gateway = started(folder.path(), &mlflow).await;
    assert_eq!(is(&gateway, "upstream_accepts").await, Some(0.0));
    let (status, ready) = get(&gateway, "/ready").await;
    assert_eq!((status, &ready["codes"]), (200, &json!(["HG-M04"])));
    assert_eq!(get(&gateway, "/health/mlflow").await.0, 503);
    eventually("it is logged", async || !lines(folder.path()).is_empty()).await;
    assert_eq!(lines(folder.path())[0]["message"], "MLflow fails");
}

#[actix_web::test]
async fn an_mlflow_that_is_well_has_no_line() {
    let (mlflow, folder) = (mlflow(|_| None).await, tempfile::tempdir().unwrap());
    let gateway = started(folder.path(), &mlflow).await;
    assert_eq!(is(&gateway, "upstream_accepts").await, Some(1.0));
    assert_eq!(get(&gateway, "/ready").await, (200, json!({ "status": "ready" })));
}
