//! The end of the process, and what goes on until then.

use super::{create_key, lines};
use crate::support::{Server, ask, client::Connection, eventually, process::Process, server::Answer};

const VALID: &str = r#"{"is_valid": true, "key_id": "k-1"}"#;

/// Enough that what is uploaded first is not kept back.
const HALF: usize = 64 * 1024;

/// The head of an upload, and the first half of it.
fn half_an_upload(key: &str) -> String {
    format!(
        "PUT /api/2.0/mlflow-artifacts/artifacts/a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\
         content-length: {}\r\n\r\n{}",
        2 * HALF,
        "1".repeat(HALF)
    )
}

#[actix_web::test]
async fn sigterm_loses_none_of_a_hundred_uploads_and_closes_idle_connections() {
    let mlflow = Server::start(|_| Answer::ok("done")).await;
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(&folder);
    let settings = [("MLFLOW_SERVER_URL", &*mlflow.url()), ("HOKUSAI__LIMITS__CONCURRENT", "100")];
    let mut gateway = Process::serve(folder.path(), &settings);
    let mut uploads = Vec::new();
    for _ in 0..100 {
        let mut connection = Connection::open(gateway.address).await;
        connection.send(half_an_upload(&key)).await;
        uploads.push(connection);
    }
    eventually("all are under way", async || mlflow.begun() == 100).await;
    let mut idle = Connection::open(gateway.address).await;
    idle.send("GET /live HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(idle.response(false).await.status, 200);

    gateway.terminate();
    assert!(idle.is_closed().await);
    for upload in &mut uploads {
        upload.send("2".repeat(HALF)).await;
    }
    for upload in &mut uploads {
        assert_eq!(upload.response(false).await.text(), "done");
    }
    assert_eq!(gateway.wait().code(), Some(0));
    let seen = mlflow.requests();
    let whole = ["1".repeat(HALF), "2".repeat(HALF)].concat();
    assert_eq!(seen.iter().filter(|upload| upload.body == whole.as_bytes()).count(), 100);
}

#[actix_web::test]
async fn transfers_that_the_drain_has_no_more_time_for_say_so_and_are_counted() {
    let mlflow = Server::start(|request| match request.target() {
        "/api/2.0/mlflow-artifacts/artifacts/endless" => Answer::Endless,
        _ => Answer::ok("done"),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(&folder);
    let settings = [("MLFLOW_SERVER_URL", &mlflow.url()[..]), ("HOKUSAI__SERVER__DRAIN_GRACE", "1s")];
    let mut gateway = Process::serve(folder.path(), &settings);
    let mut upload = Connection::open(gateway.address).await;
    upload.send(half_an_upload(&key)).await;
    let mut download = Connection::open(gateway.address).await;
    let get = "GET /api/2.0/mlflow-artifacts/artifacts/endless HTTP/1.1\r\nhost: a";
    download.send(format!("{get}\r\nauthorization: Bearer {key}\r\n\r\n")).await;
    eventually("both are under way", async || mlflow.begun() == 2).await;
    // A client that goes away by itself is not the drain's.
    let mut gone = Connection::open(gateway.address).await;
    gone.send(half_an_upload(&key)).await;
    eventually("three are under way", async || mlflow.begun() == 3).await;
    drop(gone);
    eventually("one is over", async || !lines(&folder, "request").is_empty()).await;

    gateway.terminate();
    let ended = actix_rt::task::spawn_blocking(move || gateway.wait().code());
    assert_eq!(ended.await.unwrap(), Some(0));
    eventually("all of the log is there", async || lines(&folder, "stopped").len() == 1).await;
    let mut told: Vec<_> = lines(&folder, "request")
        .iter()
        .map(|line| format!("{} {} {}", line["method"], line["status"], line["reason"]))
        .collect();
    told.sort();
    let expected = [r#""GET" 200 "drained""#, r#""PUT" 400 "bad_request""#, r#""PUT" 499 "drained""#];
    assert_eq!(told, expected);
    let cut = &lines(&folder, "drain grace exceeded")[0];
    assert_eq!((cut["cut"].as_u64(), cut["level"].as_str()), (Some(2), Some("WARN")));
}

#[actix_web::test]
async fn after_sigterm_everything_goes_on_for_the_settle_time_but_readiness() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(&folder);
    let settings = [("MLFLOW_SERVER_URL", &mlflow.url()[..]), ("HOKUSAI__SERVER__SETTLE_TIME", "1h")];
    let mut gateway = Process::serve(folder.path(), &settings);
    let ready = || ask(gateway.address, "GET /ready HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("it is ready", async || ready().await.status == 200).await;
    gateway.terminate();
    eventually("it is not ready", async || ready().await.status == 503).await;
    assert_eq!(ready().await.json()["reasons"][0], "HG-P04 draining");
    let get =
        format!("GET /api/2.0/mlflow/runs/get HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\r\n");
    assert_eq!(ask(gateway.address, get).await.status, 200);
    // Whoever says it twice does not want to wait.
    gateway.terminate();
    assert_eq!(gateway.wait().code(), Some(0));
}

#[actix_web::test]
async fn usage_is_reported_to_the_last_request_before_the_end() {
    let auth = Server::start(|request| match (request.target().contains("/usage/"), Answer::ok(VALID)) {
        // Slowly, so that most of it waits when the end comes.
        (true, Answer::Bytes(answer)) => Answer::After(std::time::Duration::from_millis(100), answer),
        (_, answer) => answer,
    })
    .await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        ("MLFLOW_SERVER_URL", &mlflow.url()[..]),
        ("HOKUSAI_AUTH_SERVICE_URL", &auth.url()[..]),
        ("HOKUSAI__AUTH__SERVICE__USAGE", "each"),
    ];
    let mut gateway = Process::serve(folder.path(), &settings);
    for _ in 0..50 {
        let get = "GET /api/2.0/mlflow/runs/get HTTP/1.1\r\nhost: a\r\nauthorization: Bearer the-key\r\n\r\n";
        assert_eq!(ask(gateway.address, get).await.status, 200);
    }
    gateway.terminate();
    let ended = actix_rt::task::spawn_blocking(move || gateway.wait().code());
    assert_eq!(ended.await.unwrap(), Some(0));
    assert_eq!(auth.requests().iter().filter(|request| request.target().contains("/usage/")).count(), 50);
}
