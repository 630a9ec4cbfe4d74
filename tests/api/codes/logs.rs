//! HG-L…: logs and telemetry.

use super::place::{CLOSED, NOBODY, Place};
use crate::support::{Server, server::Answer};

#[actix_web::test]
async fn a_name_of_the_collector_that_nobody_knows() {
    let url = format!("http://{NOBODY}:4318");
    Place::new().await.probe(&[("HOKUSAI__TELEMETRY__OTLP_ENDPOINT", &url)]).await.assert_named("HG-L01");
}

#[actix_web::test]
async fn a_collector_that_is_not_running() {
    Place::new().await.probe(&[("HOKUSAI__TELEMETRY__OTLP_ENDPOINT", CLOSED)]).await.assert_named("HG-L02");
}

#[actix_web::test]
async fn a_collector_that_takes_no_spans() {
    let (place, collector) = (Place::new().await, Server::start(|_| Answer::page(404)).await);
    let gateway = place.serve(&[("HOKUSAI__TELEMETRY__OTLP_ENDPOINT", &collector.url())]);
    assert_eq!(gateway.get(None).await.status, 200);
    gateway.logs("HG-L03").await;
}
