//! HG-E…: the edge, which `doctor` sees from outside. What nginx does before a gateway is in tests/e2e/faults.

use super::place::{CLOSED, NOBODY, Place};
use crate::support::{Server, commands::Report, server::Answer};

const KEY: &str = "not-a-good-key";

/// What `doctor` says of a load balancer that answers everybody so.
async fn answering(answer: fn() -> Answer) -> Report {
    let balancer = Server::start_asked(move |_| answer()).await;
    Place::new().await.doctor(&balancer.url(), KEY).await
}

#[actix_web::test]
async fn a_public_name_that_nobody_knows() {
    Place::new().await.doctor(&format!("https://{NOBODY}"), KEY).await.assert_named("HG-E01");
}

#[actix_web::test]
async fn a_public_address_without_a_listener() {
    Place::new().await.doctor(CLOSED, KEY).await.assert_named("HG-E02");
}

#[actix_web::test]
async fn a_public_address_that_does_not_answer() {
    answering(|| Answer::Close).await.assert_named("HG-E03");
}

#[actix_web::test]
async fn a_host_without_a_rule() {
    answering(|| Answer::page(404)).await.assert_named("HG-E04");
}

#[actix_web::test]
async fn a_public_address_that_redirects() {
    let redirect = "HTTP/1.1 301 X\r\nlocation: https://mlflow.example.com/\r\ncontent-length: 0\r\n\r\n";
    let balancer = Server::start_asked(|_| Answer::bytes(redirect)).await;
    Place::new().await.doctor(&balancer.url(), KEY).await.assert_named_beside("HG-E08", &["HG-E04"]);
}

#[actix_web::test]
async fn a_balancer_without_a_gateway() {
    answering(|| Answer::page(503)).await.assert_named_beside("HG-E10", &["HG-E04"]);
}

#[actix_web::test]
async fn another_commit() {
    let place = Place::new().await;
    let gateway = place.serve(&[]);
    let expected = ["doctor", "--url", &gateway.url(), "--expect-sha", "0123456789"];
    place.run(&expected, &[("HOKUSAI_API_KEY", KEY)]).await.assert_named_beside("HG-E12", &["HG-K01"]);
}

#[actix_web::test]
async fn a_gateway_without_limits() {
    let place = Place::new().await;
    let gateway = place.serve(&[("HOKUSAI__LIMITS__MODE", "off")]);
    place.doctor(&gateway.url(), &place.key).await.assert_named_beside("HG-E16", &["HG-M04"]);
}
