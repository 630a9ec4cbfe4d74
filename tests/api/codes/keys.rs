//! HG-K…: keys.

use std::fs;

use super::place::Place;
use crate::support::{Server, server::Answer};

const NO_KEYS: &str = "[[keys]]\nid = 7\n";

#[actix_web::test]
async fn a_key_that_is_none() {
    let place = Place::new().await;
    let gateway = place.serve(&[]);
    place.doctor(&gateway.url(), "not-a-good-key").await.assert_named("HG-K01");
}

#[actix_web::test]
async fn a_key_that_has_expired_and_the_auth_service_says_is_good() {
    let place = Place::new().await;
    let service = Server::start(|request| match request.header("authorization") {
        Some("Bearer good-key") => Answer::ok(
            r#"{"is_valid": true, "key_id": "k-1", "user_id": "ada", "expires_at": "2020-01-01T00:00:00Z"}"#,
        ),
        _ => Answer::ok(r#"{"is_valid": false}"#),
    })
    .await;
    let settings = [("HOKUSAI_AUTH_SERVICE_URL", &*service.url()), ("HOKUSAI_API_KEY", "good-key")];
    place.probe(&settings).await.assert_named("HG-K01");
}

#[actix_web::test]
async fn a_key_of_the_key_file_that_has_expired() {
    let place = Place::new().await;
    let key = place.create_key(&["--expires-in", "1h"]);
    let keys = fs::read_to_string(place.path("keys.toml")).unwrap();
    let (before, rest) = keys.rsplit_once("expires_at = \"").unwrap();
    let (_, after) = rest.split_once('"').unwrap();
    place.write("keys.toml", &format!("{before}expires_at = \"2020-01-01T00:00:00Z\"{after}"));
    place.probe(&[("HOKUSAI_API_KEY", &key)]).await.assert_named("HG-K01");
}

#[actix_web::test]
async fn a_key_that_may_only_read() {
    let place = Place::new().await;
    let key = place.create_key(&["--scope", "mlflow:read"]);
    let gateway = place.serve(&[]);
    place.doctor(&gateway.url(), &key).await.assert_named("HG-K02");
}

#[actix_web::test]
async fn a_key_with_a_small_limit() {
    let place = Place::new().await;
    let gateway = place.serve(&[("HOKUSAI__LIMITS__PER_HOUR", "60")]);
    place.doctor(&gateway.url(), &place.key).await.assert_named_beside("HG-K03", &["HG-M04"]);
}

#[actix_web::test]
async fn a_key_file_that_cannot_be_read_as_one() {
    let place = Place::new().await;
    place.write("keys.toml", NO_KEYS);
    place.check(&[]).await.assert_named("HG-K04");
}

#[actix_web::test]
async fn a_key_file_without_keys() {
    let place = Place::new().await;
    place.write("keys.toml", "");
    place.check(&[]).await.assert_named("HG-K05");
}

#[actix_web::test]
async fn a_key_file_of_revoked_keys() {
    let place = Place::new().await;
    let listed = place.run(&["keys", "list"], &[]).await;
    let id = listed.said[0]["id"].as_str().unwrap();
    assert_eq!(place.run(&["keys", "revoke", id], &[]).await.code, Some(0));
    place.check(&[]).await.assert_named("HG-K05");
}

#[actix_web::test]
async fn a_key_file_that_becomes_unreadable() {
    let place = Place::new().await;
    let gateway = place.serve(&[]);
    place.write("keys.toml", NO_KEYS);
    gateway.logs("HG-K06").await;
}

#[actix_web::test]
async fn a_scope_that_there_is_not() {
    let place = Place::new().await;
    place.create_key(&["--scope", "mlflow:raed"]);
    place.check(&[]).await.assert_named("HG-K07");
}

#[actix_web::test]
async fn a_place_for_last_uses_that_is_not_there() {
    let place = Place::new().await;
    let gateway = place.serve(&[("HOKUSAI__AUTH__KEY_FILE__LAST_USED", "none/uses.toml")]);
    gateway.get(None).await;
    gateway.logs("HG-K08").await;
}
