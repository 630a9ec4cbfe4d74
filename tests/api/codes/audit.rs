//! HG-U…: audit and usage.

use super::{
    auth_service::good_for_platform,
    place::{Place, Variables},
};
use crate::support::{Server, ask, server::Answer};

#[actix_web::test]
async fn an_audit_stream_that_is_no_file() {
    let place = Place::new().await;
    std::fs::create_dir(place.path("audit")).unwrap();
    place.assert_ends("HG-U01", &[("HOKUSAI__AUDIT__OUTPUT", "./audit")]).await;
}

#[actix_web::test]
async fn an_audit_file_that_cannot_be_put_aside() {
    let place = Place::new().await;
    // No name of a file is longer, and what is put aside has a longer one.
    let file = place.path(&"a".repeat(255));
    let audit = [("HOKUSAI__AUDIT__OUTPUT", file.to_str().unwrap()), ("HOKUSAI__AUDIT__MAX_SIZE", "1")];
    let gateway = place.serve(&audit);
    for name in ["a", "b", "c"] {
        let body = format!("{{\"name\": \"{name}\"}}");
        let head = "POST /api/2.0/mlflow/experiments/create HTTP/1.1\r\nhost: a\r\nauthorization: Bearer";
        let length = body.len();
        let request = format!("{head} {}\r\ncontent-length: {length}\r\n\r\n{body}", place.key);
        assert_eq!(ask(gateway.process.address, request).await.status, 200);
    }
    gateway.logs("HG-U02").await;
}

#[actix_web::test]
async fn an_audit_stream_that_is_off() {
    Place::new().await.check(&[("HOKUSAI__AUDIT__OUTPUT", "off")]).await.assert_named("HG-U04");
}

/// An auth service that answers this to a batch.
async fn service_answering(status: u16) -> Server {
    Server::start(move |request| match request.target().ends_with("/usage") {
        true => Answer::json(status, "{}"),
        false if request.target().contains("/usage/") => Answer::ok("{}"),
        false => good_for_platform(request),
    })
    .await
}

async fn logs_at_use(code: &str, service: &Server, more: Variables<'_>) {
    let place = Place::new().await;
    let settings =
        [("HOKUSAI_AUTH_SERVICE_URL", &*service.url()), ("HOKUSAI__AUTH__SERVICE__USAGE_INTERVAL", "100ms")];
    let gateway = place.serve(&[&settings, more].concat());
    assert_eq!(gateway.get(Some("good-key")).await.status, 200);
    gateway.logs(code).await;
}

#[actix_web::test]
async fn a_usage_report_that_is_refused() {
    logs_at_use("HG-U05", &service_answering(400).await, &[]).await;
}

#[actix_web::test]
async fn an_auth_service_that_takes_no_batches() {
    logs_at_use("HG-U06", &service_answering(404).await, &[]).await;
}

#[actix_web::test]
async fn a_usage_spool_that_is_a_file() {
    let place = Place::new().await;
    place.write("spool", "");
    let settings = [
        ("HOKUSAI_AUTH_SERVICE_URL", "http://127.0.0.1:1"),
        ("HOKUSAI__AUTH__SERVICE__USAGE_SPOOL", "./spool"),
    ];
    place.check(&settings).await.assert_named("HG-U07");
}

#[actix_web::test]
async fn a_file_of_the_usage_spool_that_is_no_batch() {
    let (place, service) = (Place::new().await, service_answering(200).await);
    std::fs::create_dir(place.path("spool")).unwrap();
    let id = "5f0c2a52-6b1c-4a60-9d5f-0a4f0f1d7b01";
    place.write(&format!("spool/{id}.0000000000001.{id}.1.batch"), "{");
    let settings =
        [("HOKUSAI_AUTH_SERVICE_URL", &*service.url()), ("HOKUSAI__AUTH__SERVICE__USAGE_SPOOL", "./spool")];
    place.serve(&settings).logs("HG-U08").await;
}
