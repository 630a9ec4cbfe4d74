//! HG-A…: the auth service, and issuers.

use super::place::{CLOSED, NOBODY, Place};
use crate::{
    issuers::{issuer::Issuer, signing::SigningKey},
    support::{
        Server,
        commands::Report,
        server::{Answer, Recorded},
    },
};

/// As the original auth service answers: one key is good, and for one service.
pub(super) fn good_for_platform(request: &Recorded) -> Answer {
    let asked: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    let is_valid = request.header("authorization") == Some("Bearer good-key")
        && asked["service_id"].as_str() == Some("platform");
    Answer::ok(&format!(
        r#"{{"is_valid": {is_valid}, "key_id": "k-1", "user_id": "ada", "scopes": ["mlflow:read"]}}"#
    ))
}

/// What `check --probe` says of an auth service that answers everybody so.
async fn answering(answer: fn() -> Answer) -> Report {
    let service = Server::start(move |_| answer()).await;
    Place::new().await.probe(&[("HOKUSAI_AUTH_SERVICE_URL", &service.url())]).await
}

#[actix_web::test]
async fn a_name_of_the_auth_service_that_nobody_knows() {
    let url = format!("http://{NOBODY}");
    Place::new()
        .await
        .probe(&[("HOKUSAI_AUTH_SERVICE_URL", &url)])
        .await
        .assert_named_beside("HG-A01", &["HG-S07"]);
}

#[actix_web::test]
async fn an_auth_service_that_is_not_running() {
    Place::new().await.probe(&[("HOKUSAI_AUTH_SERVICE_URL", CLOSED)]).await.assert_named("HG-A02");
}

#[actix_web::test]
async fn an_auth_service_that_fails() {
    let service = Server::start(|_| Answer::json(500, "{}")).await;
    let (place, url) = (Place::new().await, service.url());
    let gateway = place.serve(&[("HOKUSAI_AUTH_SERVICE_URL", &url)]);
    assert_eq!(gateway.get(None).await.status, 503);
    place.probe(&[("HOKUSAI_AUTH_SERVICE_URL", &url)]).await.assert_named("HG-A03");
    gateway.logs("HG-A03").await;
}

#[actix_web::test]
async fn an_auth_service_with_another_service_id() {
    let service = Server::start(good_for_platform).await;
    let settings = [
        ("HOKUSAI_AUTH_SERVICE_URL", &*service.url()),
        ("AUTH_SERVICE_ID", "ml"),
        ("HOKUSAI_API_KEY", "good-key"),
    ];
    Place::new().await.probe(&settings).await.assert_named("HG-A04");
}

#[actix_web::test]
async fn an_auth_service_that_redirects() {
    answering(|| Answer::json(307, "{}")).await.assert_named("HG-A05");
}

#[actix_web::test]
async fn an_auth_service_that_says_nothing() {
    answering(|| Answer::json(401, "{}")).await.assert_named("HG-A06");
}

#[actix_web::test]
async fn a_page_in_the_auth_services_place() {
    answering(|| Answer::page(404)).await.assert_named("HG-A07");
}

#[actix_web::test]
async fn an_auth_service_that_accepts_everything() {
    answering(|| Answer::ok(r#"{"is_valid": true}"#)).await.assert_named("HG-A08");
}

#[actix_web::test]
async fn an_auth_service_that_is_asked_too_often() {
    answering(|| Answer::json(429, "{}")).await.assert_named("HG-A09");
}

/// A place whose gateway takes the tokens of an issuer.
async fn place_of(issuer: &str) -> Place {
    let (place, rule) = (Place::new().await, "when = { sub = '*' }\nscopes = ['mlflow:read']\n");
    let table =
        format!("[[auth.issuers]]\nissuer = '{issuer}'\naudience = 'mlflow'\nalgorithms = ['ES256']\n");
    place.write("gateway.toml", &format!("{table}[[auth.issuers.rules]]\n{rule}"));
    place
}

/// Fails unless a gateway's log names this code of the issuer.
async fn assert_logs(issuer: &str, code: &str) {
    let place = place_of(issuer).await;
    place.serve_with(&["--config", "gateway.toml"], &[]).logs(code).await;
}

#[actix_web::test]
async fn an_issuer_that_cannot_be_reached() {
    assert_logs(CLOSED, "HG-A10").await;
}

#[actix_web::test]
async fn an_issuer_with_another_name() {
    let issuer = Issuer::start(&[&SigningKey::p256("a")]).await;
    assert_logs(&format!("{}/", issuer.url()), "HG-A11").await;
}

#[actix_web::test]
async fn an_issuer_without_keys() {
    let issuer = Issuer::start(&[&SigningKey::ed25519("a")]).await;
    assert_logs(&issuer.url(), "HG-A12").await;
}
