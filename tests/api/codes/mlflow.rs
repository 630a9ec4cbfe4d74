//! HG-M…: MLflow, where a fake is enough. What a real one does is in tests/e2e/faults.

use tokio::net::TcpListener;

use super::place::{CLOSED, NOBODY, Place};
use crate::support::{
    Server, ask,
    commands::{Report, mlflow, mlflow_with_api},
    server::Answer,
};

/// What `check --probe` says of an MLflow at `url`.
async fn probe(url: &str) -> Report {
    Place::new().await.probe(&[("MLFLOW_SERVER_URL", url)]).await
}

/// What a running gateway says of an MLflow whose `/health` is good.
async fn of_a_running_gateway(code: &str, api: fn() -> Answer) {
    let (place, mlflow) = (Place::new().await, mlflow_with_api(api).await);
    place.serve(&[("MLFLOW_SERVER_URL", &mlflow.url())]).is_not_ready(code).await;
}

/// What takes connections, and says nothing.
async fn hole() -> (TcpListener, String) {
    let hole = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", hole.local_addr().unwrap());
    (hole, url)
}

fn redirect() -> Answer {
    let to = "location: https://mlflow.example.com/health";
    Answer::bytes(&format!("HTTP/1.1 301 X\r\n{to}\r\ncontent-type: text/html\r\ncontent-length: 0\r\n\r\n"))
}

fn wants_a_password() -> Answer {
    let wants = "www-authenticate: Basic realm=\"MLflow\"";
    Answer::bytes(&format!(
        "HTTP/1.1 401 X\r\n{wants}\r\ncontent-type: text/html\r\ncontent-length: 0\r\n\r\n"
    ))
}

#[actix_web::test]
async fn a_name_of_mlflow_that_nobody_knows() {
    probe(&format!("http://{NOBODY}:5000")).await.assert_named("HG-M01");
}

#[actix_web::test]
async fn an_mlflow_that_is_not_running() {
    probe(CLOSED).await.assert_named("HG-M02");
}

#[actix_web::test]
async fn an_mlflow_that_is_gone() {
    let place = Place::new().await;
    let gateway = place.serve(&[("MLFLOW_SERVER_URL", CLOSED)]);
    assert_eq!(gateway.get(None).await.status, 502);
    gateway.is_not_ready("HG-M02").await;
}

#[actix_web::test]
async fn an_mlflow_that_hangs() {
    let (_hole, url) = hole().await;
    probe(&url).await.assert_named("HG-M03");
}

#[actix_web::test]
async fn a_balancer_without_an_mlflow() {
    let balancer = Server::start_asked(|_| Answer::page(503)).await;
    probe(&balancer.url()).await.assert_named("HG-M04");
}

#[actix_web::test]
async fn an_mlflow_whose_database_fails() {
    of_a_running_gateway("HG-M04", || Answer::page(500)).await;
}

#[actix_web::test]
async fn an_mlflow_that_wants_a_password() {
    probe(&mlflow_with_api(wants_a_password).await.url()).await.assert_named("HG-M06");
}

#[actix_web::test]
async fn an_mlflow_that_wants_a_password_of_a_running_gateway() {
    of_a_running_gateway("HG-M06", wants_a_password).await;
}

#[actix_web::test]
async fn an_mlflow_under_another_prefix() {
    let prefixed = Server::start_asked(|request| match request.target().strip_prefix("/mlflow") {
        Some("/health") => Answer::ok("OK"),
        Some(path) if path.starts_with("/api/") || path.starts_with("/ajax-api/") => Answer::ok("{}"),
        _ => Answer::page(404),
    })
    .await;
    probe(&prefixed.url()).await.assert_named("HG-M07");
}

#[actix_web::test]
async fn a_page_in_the_place_of_mlflows_api() {
    of_a_running_gateway("HG-M07", || Answer::page(200)).await;
}

#[actix_web::test]
async fn an_mlflow_that_redirects() {
    probe(&Server::start_asked(|_| redirect()).await.url()).await.assert_named("HG-M08");
}

#[actix_web::test]
async fn an_mlflow_that_redirects_a_running_gateway() {
    of_a_running_gateway("HG-M08", redirect).await;
}

#[actix_web::test]
async fn the_gateways_own_address() {
    let own = [("HOKUSAI__SERVER__BIND", "0.0.0.0:8001"), ("MLFLOW_SERVER_URL", "http://127.0.0.1:8001")];
    Place::new().await.check(&own).await.assert_named_beside("HG-M09", &["HG-S07"]);
}

#[actix_web::test]
async fn an_mlflow_whose_database_hangs() {
    probe(&mlflow_with_api(|| Answer::Silence).await.url()).await.assert_named("HG-M10");
}

#[actix_web::test]
async fn an_mlflow_that_stays_away() {
    let place = Place::new().await;
    place.serve(&[("MLFLOW_SERVER_URL", CLOSED)]).logs("HG-M13").await;
}

#[actix_web::test]
async fn an_mlflow_that_is_not_looked_at_yet() {
    let (place, (_hole, url)) = (Place::new().await, hole().await);
    let settings = [("MLFLOW_SERVER_URL", &*url), ("HOKUSAI__MLFLOW__PROBE_INTERVAL", "10m")];
    let ready = place.serve(&settings).ready().await;
    assert!(ready.contains("HG-M14"), "{ready:?}");
}

#[actix_web::test]
async fn an_mlflow_that_breaks_off() {
    let (place, mlflow) = (Place::new().await, Server::start_asked(|_| Answer::Close).await);
    let gateway = place.serve(&[("MLFLOW_SERVER_URL", &mlflow.url())]);
    assert_eq!(gateway.get(None).await.status, 502);
    gateway.logs("HG-M15").await;
}

#[actix_web::test]
async fn more_requests_than_mlflow_takes() {
    let mlflow = mlflow(|path| path.contains("/search").then_some(Answer::Silence)).await;
    let settings = [
        ("MLFLOW_SERVER_URL", &*mlflow.url()),
        ("HOKUSAI__MLFLOW__MAX_CONNECTIONS", "1"),
        ("HOKUSAI__MLFLOW__QUEUE_TIMEOUT", "100ms"),
    ];
    let place = Place::new().await;
    let gateway = place.serve(&settings);
    tokio::select! {
        () = gateway.logs("HG-M16") => (),
        answers = async { tokio::join!(gateway.get(None), gateway.get(None), std::future::pending::<()>()) } => {
            unreachable!("{answers:?}")
        }
    }
}

#[actix_web::test]
async fn an_mlflow_that_does_not_say_whose_things_are() {
    let place = Place::new().await;
    let gateway = place.serve(&[("HOKUSAI__POLICY__OWNERSHIP", "enforce")]);
    let body = r#"{"experiment_id": "1", "key": "a", "value": "b"}"#;
    let change = format!(
        "POST /api/2.0/mlflow/experiments/set-experiment-tag HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        place.key,
        body.len()
    );
    assert_eq!(ask(gateway.process.address, change).await.status, 503);
    gateway.logs("HG-M21").await;
}
