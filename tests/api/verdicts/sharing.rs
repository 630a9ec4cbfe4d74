//! What the auth service is asked only once.

use std::time::Duration;

use super::{REFUSED, Stage, VALID, get, slow_and_valid};
use crate::support::{ask, client::Connection, server::Answer};

#[actix_web::test]
async fn a_good_key_is_asked_about_once() {
    let stage = Stage::set(vec![Answer::ok(VALID)], &[]).await;
    for _ in 0..20 {
        assert_eq!(stage.get("key").await.status, 200);
    }
    assert_eq!(stage.calls(), 1);
    assert_eq!(stage.mlflow.requests().len(), 20);
    assert!(stage.mlflow.requests().iter().all(|seen| seen.header("x-hokusai-key-id") == Some("k-1")));
}

#[actix_web::test]
async fn different_keys_are_different_questions() {
    let stage = Stage::set(vec![Answer::ok(VALID)], &[]).await;
    for key in ["a", "b", "a", "b", "A"] {
        assert_eq!(stage.get(key).await.status, 200);
    }
    assert_eq!(stage.calls(), 3);
}

#[actix_web::test]
async fn five_hundred_first_requests_with_one_key_make_one_call() {
    let stage = Stage::set(vec![slow_and_valid()], &[("LIMITS__CONCURRENT", "500")]).await;
    let asking: Vec<_> = (0..500).map(|_| actix_rt::spawn(ask(stage.gateway.address, get("key")))).collect();
    for asked in asking {
        assert_eq!(asked.await.unwrap().status, 200);
    }
    assert_eq!(stage.calls(), 1);
}

#[actix_web::test]
async fn when_the_first_to_ask_goes_away_the_others_still_get_their_answer() {
    let stage = Stage::set(vec![slow_and_valid()], &[]).await;
    let mut first = Connection::open(stage.gateway.address).await;
    first.send(get("key")).await;
    stage.auth.until_begun().await;
    let second = actix_rt::spawn(ask(stage.gateway.address, get("key")));
    drop(first);
    assert_eq!(second.await.unwrap().status, 200);
    assert_eq!(stage.calls(), 1);
}

#[actix_web::test]
async fn when_the_one_call_fails_nobody_tries_again_in_a_row() {
    let stage = Stage::set(vec![Answer::Silence], &[]).await;
    let asking: Vec<_> = (0..50).map(|_| actix_rt::spawn(ask(stage.gateway.address, get("key")))).collect();
    for asked in asking {
        let response = asked.await.unwrap();
        assert_eq!((response.status, response.reason().as_str()), (503, "auth_unavailable"));
    }
    assert_eq!(stage.calls(), 1);
}

#[actix_web::test]
async fn a_refused_key_is_remembered_for_a_moment_only() {
    let stage =
        Stage::set(vec![Answer::ok(REFUSED), Answer::ok(VALID)], &[("AUTH__CACHE__NEGATIVE_TTL", "1s")])
            .await;
    for _ in 0..5 {
        assert_eq!(stage.get("key").await.status, 401);
    }
    assert_eq!(stage.calls(), 1);
    stage.now_answer(1);
    actix_rt::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(stage.get("key").await.status, 200);
}
