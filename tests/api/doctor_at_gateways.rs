//! What `doctor` reports of a gateway: a key that is not good, a limit, an MLflow that is away, other code.

use secrecy::ExposeSecret as _;

use crate::support::{
    Gateway, GatewayBuilder, ask,
    commands::{Report, doctor, mlflow},
    eventually,
    gateway::create_key,
    process::command,
};

const SEARCH: &str = "/api/2.0/mlflow/experiments/search?max_results=1";

async fn examined(gateway: &Gateway, key: &str, arguments: &[&str]) -> Report {
    doctor(&format!("http://{}", gateway.address), key, arguments).await
}

async fn status_with(gateway: &Gateway, key: &str) -> u16 {
    let get = format!("GET {SEARCH} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\r\n");
    ask(gateway.address, get).await.status
}

/// Waits until its first look at MLflow is over.
async fn until_ready(gateway: &Gateway) {
    let get = "GET /ready HTTP/1.1\r\nhost: a\r\n\r\n";
    eventually("the gateway is ready", async || ask(gateway.address, get).await.status == 200).await;
}

#[actix_web::test]
async fn an_mlflow_that_is_away_fails_the_health_checks_which_need_no_key() {
    let gateway = GatewayBuilder::default().start_with("http://127.0.0.1:1").await;
    for (path, status) in [
        ("/health", 200),
        ("/health/mlflow", 503),
        ("/api/mlflow/health/mlflow", 503),
        ("/mlflow/health/mlflow", 503),
    ] {
        let get = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(ask(gateway.address, get).await.status, status, "{path}");
    }
    let report = examined(&gateway, &gateway.key, &[]).await;
    report.assert_failed("health/mlflow", "the gateway cannot use MLflow");
    report.assert_failed("key", "cannot reach MLflow");
}

#[actix_web::test]
async fn a_limit_that_is_reached_is_named_and_trying_again_does_not_push_it_away() {
    let mlflow = mlflow(|_| None).await;
    let gateway = GatewayBuilder::default().set("LIMITS__PER_HOUR", "2").start(&mlflow).await;
    for status in [200, 200, 429] {
        assert_eq!(status_with(&gateway, &gateway.key).await, status);
    }
    let mut waits = Vec::new();
    for _ in 0..5 {
        let refused = gateway.get(SEARCH).await;
        waits.push(refused.header("retry-after").unwrap().parse::<u32>().unwrap());
    }
    assert!(waits.is_sorted_by(|one, next| one >= next) && waits[0] <= 1801, "{waits:?}");
    // Wrong keys use up nobody's limit, and another key has its own.
    for _ in 0..3 {
        assert_eq!(status_with(&gateway, "no-key-of-anybody").await, 401);
    }
    let other = create_key(&gateway.key_file, "eve", None).key;
    eventually("the other key is served", async || status_with(&gateway, other.expose_secret()).await == 200)
        .await;
    examined(&gateway, &gateway.key, &[]).await.assert_failed("key", "limit");
}

#[actix_web::test]
async fn nothing_is_begun_that_the_limit_would_not_let_end() {
    let mlflow = mlflow(|_| None).await;
    let gateway = GatewayBuilder::default().set("LIMITS__PER_HOUR", "60").start(&mlflow).await;
    let report = examined(&gateway, &gateway.key, &[]).await;
    report.assert_failed("enough requests left", "limit leaves");
    assert!(!report.passed().contains("experiment"), "{}", report.printed);
}

#[actix_web::test]
async fn a_key_without_a_scope_is_refused_and_the_scope_is_named() {
    let mlflow = mlflow(|_| None).await;
    let gateway = GatewayBuilder::default().scopes(&["mlflow:read"]).start(&mlflow).await;
    let report = examined(&gateway, &gateway.key, &[]).await;
    assert_eq!(report.code, Some(1));
    report.assert_failed("key may delete", "scope_missing");
    assert!(!report.passed().contains("experiment"), "something is made that cannot be removed");
    // "read" in a path opens nothing.
    let path = "/api/2.0/mlflow-artifacts/artifacts/read/admin/mlflow:read";
    let put = gateway.request("PUT", path, "content-length: 1\r\n\r\nx");
    let refused = ask(gateway.address, put).await;
    assert_eq!((refused.status, refused.reason().as_str()), (403, "scope_missing"));
}

#[actix_web::test]
async fn a_key_that_is_not_good_fails_what_needs_one_and_nothing_else() {
    let mlflow = mlflow(|_| None).await;
    let gateway = Gateway::start(&mlflow).await;
    until_ready(&gateway).await;
    let report = examined(&gateway, "not-a-good-key", &[]).await;
    assert_eq!(report.code, Some(1));
    assert_eq!(report.failed().into_keys().collect::<Vec<_>>(), ["key", "key as a password"]);
}

#[actix_web::test]
async fn a_server_that_finds_nothing_passes_no_check_of_a_gateway() {
    let server = mlflow(|_| Some(crate::support::server::Answer::json(404, "not here"))).await;
    let report = doctor(&server.url(), "a-key", &[]).await;
    assert_eq!(report.code, Some(1));
    // Where nothing is found, the metrics are not either.
    assert_eq!(report.passed().into_iter().collect::<Vec<_>>(), ["dns", "metrics not public", "tcp", "tls"]);
}

#[actix_web::test]
async fn code_that_is_not_the_expected_one_is_named() {
    let mlflow = mlflow(|_| None).await;
    let gateway = Gateway::start(&mlflow).await;
    let sha = hokusai_gateway::GIT_SHA;
    let report = examined(&gateway, "not-a-good-key", &["--expect-sha", &sha[..10]]).await;
    assert!(report.passed().contains("version"), "{}", report.printed);
    let report = examined(&gateway, "not-a-good-key", &["--expect-sha", "0123456789"]).await;
    report.assert_failed("version", &format!("the running code is {sha}, expected 0123456789"));
}

#[actix_web::test]
async fn a_key_is_wanted_before_anything_is_asked_and_a_file_may_hold_it() {
    let mlflow = mlflow(|_| None).await;
    let gateway = Gateway::start(&mlflow).await;
    let url = format!("http://{}", gateway.address);
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path()).args(["doctor", "--url", &url]).output().unwrap();
    assert_eq!((output.status.code(), output.stdout), (Some(64), Vec::new()));
    assert!(String::from_utf8(output.stderr).unwrap().contains("HOKUSAI_API_KEY"));

    std::fs::write(folder.path().join("key"), format!("{}\n", gateway.key)).unwrap();
    let mut command = command(folder.path());
    command.args(["doctor", "--url", &url, "--expect-sha", &"0".repeat(40)]);
    command.env("HOKUSAI_API_KEY_FILE", "key");
    let report = Report::of(command).await;
    assert_eq!(report.code, Some(1));
    report.assert_failed("version", "expected 0000");
    assert!(report.passed().contains("key"), "{}", report.printed);
    assert!(!report.printed.contains(&gateway.key));
}
