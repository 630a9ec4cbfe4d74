//! HG-U…: audit and usage.

use super::{auth_service::good_for_platform, place::Place};
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

#[actix_web::test]
async fn a_usage_report_that_is_refused() {
    let place = Place::new().await;
    // It knows no such call, and its answer says so.
    let service = Server::start(|request| match request.target().contains("/usage/") {
        true => Answer::json(404, "{}"),
        false => good_for_platform(request),
    })
    .await;
    let settings =
        [("HOKUSAI_AUTH_SERVICE_URL", &*service.url()), ("HOKUSAI__AUTH__SERVICE__REPORT_USAGE", "true")];
    let gateway = place.serve(&settings);
    assert_eq!(gateway.get(Some("good-key")).await.status, 200);
    gateway.logs("HG-U05").await;
}
