//! Tokens that are revoked by their subject or by their id: here, at another instance, and at one that starts later.

use sha2::{Digest as _, Sha256};

use super::*;
use crate::support::{eventually, redis::Redis};

/// A stage whose clocks are one: a second decides what was issued before.
async fn gateway_at(stage: &Stage, redis: &str) -> Gateway {
    let settings = stage.settings().replace("user =", "leeway = '0s'\nuser =");
    stage
        .builder(&settings)
        .set("REDIS__URL", redis)
        .set("AUTH__PEPPER", "a pepper of the fleet's")
        .start(&stage.mlflow)
        .await
}

fn listeners(redis: &Redis) -> usize {
    let answer = redis.cli(&["pubsub", "numsub", "hokusai:revoked"]);
    answer.split_whitespace().last().unwrap().parse().unwrap()
}

async fn until_status(gateway: &Gateway, token: &str, status: u16) {
    eventually("the status changes", async || get(gateway, token).await.status == status).await;
}

/// A token that is issued when this second is over.
async fn issued_later(stage: &Stage, changes: Value) -> String {
    let before = Timestamp::now().as_second();
    eventually("a second passes", async || Timestamp::now().as_second() > before).await;
    stage.token(changed(json!({ "iat": Timestamp::now().as_second() }), changes))
}

fn marks(redis: &Redis) -> Vec<String> {
    redis.cli(&["--scan"]).lines().filter(|key| key.contains("{revoked-token}")).map(str::to_owned).collect()
}

#[actix_web::test]
async fn a_subject_is_revoked_everywhere_for_what_it_was_given_before() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let fleet = [gateway_at(&stage, &redis.url()).await, gateway_at(&stage, &redis.url()).await];
    eventually("they listen", async || listeners(&redis) >= 2).await;
    let (token, unseen) = (stage.token(json!({})), stage.token(json!({ "jti": "unseen" })));
    let undated = stage.token(json!({ "iat": null }));
    let others = stage.token(json!({ "sub": "repo:acme/other" }));
    for gateway in &fleet {
        for token in [&token, &undated, &others] {
            assert_eq!(get(gateway, token).await.status, 200);
        }
    }
    redis.cli(&["publish", "hokusai:revoked", &format!("{}|repo:acme/churn", stage.issuer.url())]);
    for gateway in &fleet {
        until_status(gateway, &token, 401).await;
        for token in [&unseen, &undated] {
            assert_eq!(get(gateway, token).await.reason(), "credential_rejected");
        }
        assert_eq!(get(gateway, &others).await.status, 200);
    }
    let later = issued_later(&stage, json!({})).await;
    eventually("there is a mark", async || !marks(&redis).is_empty()).await;
    for gateway in [&fleet[0], &fleet[1], &gateway_at(&stage, &redis.url()).await] {
        assert_eq!(get(gateway, &later).await.status, 200);
        assert_eq!(get(gateway, &token).await.status, 401, "also at one that was not there to hear of it");
    }
}

#[actix_web::test]
async fn one_token_is_revoked_by_its_id_for_all_time() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let gateway = gateway_at(&stage, &redis.url()).await;
    eventually("it listens", async || listeners(&redis) >= 1).await;
    let (one, other) = (stage.token(json!({ "jti": "one" })), stage.token(json!({ "jti": "other" })));
    for token in [&one, &other] {
        assert_eq!(get(&gateway, token).await.status, 200);
    }
    redis.cli(&["publish", "hokusai:revoked", "one"]);
    until_status(&gateway, &one, 401).await;
    assert_eq!(get(&gateway, &other).await.status, 200);
    let again = issued_later(&stage, json!({ "jti": "one" })).await;
    eventually("there is a mark", async || !marks(&redis).is_empty()).await;
    let second = gateway_at(&stage, &redis.url()).await;
    for (token, status) in [(&one, 401), (&again, 401), (&other, 200)] {
        assert_eq!((get(&gateway, token).await.status, get(&second, token).await.status), (status, status));
    }
}

#[actix_web::test]
async fn a_mark_that_nobody_can_read_is_one() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let _first = gateway_at(&stage, &redis.url()).await;
    eventually("it listens", async || listeners(&redis) >= 1).await;
    redis.cli(&["publish", "hokusai:revoked", "one"]);
    eventually("there is a mark", async || !marks(&redis).is_empty()).await;
    let mark = marks(&redis).remove(0);
    let lives: i64 = redis.cli(&["ttl", &mark]).trim().parse().unwrap();
    assert!((29 * 24 * 3600..=30 * 24 * 3600).contains(&lives), "{lives}");
    for junk in ["", "yesterday", "99999999999999999999999", "\u{fffd}"] {
        redis.cli(&["set", &mark, junk]);
        let second = gateway_at(&stage, &redis.url()).await;
        assert_eq!(get(&second, &stage.token(json!({ "jti": "one" }))).await.status, 401, "{junk:?}");
        assert_eq!(get(&second, &stage.token(json!({ "jti": "two" }))).await.status, 200, "{junk:?}");
    }
}

#[actix_web::test]
async fn tokens_work_without_redis_and_what_was_heard_stays() {
    let (mut redis, stage) = (Redis::start(&[]), Stage::set().await);
    let gateway = gateway_at(&stage, &redis.url()).await;
    eventually("it listens", async || listeners(&redis) >= 1).await;
    redis.cli(&["publish", "hokusai:revoked", "one"]);
    eventually("there is a mark", async || !marks(&redis).is_empty()).await;
    redis.stop();
    for (id, status) in [("one", 401), ("two", 200)] {
        assert_eq!(get(&gateway, &stage.token(json!({ "jti": id }))).await.status, status, "{id}");
    }
}

#[actix_web::test]
async fn everything_that_is_remembered_of_keys_is_not_all_tokens() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let gateway = gateway_at(&stage, &redis.url()).await;
    eventually("it listens", async || listeners(&redis) >= 1).await;
    redis.cli(&["publish", "hokusai:revoked", "*"]);
    redis.cli(&["publish", "hokusai:revoked", "one"]);
    until_status(&gateway, &stage.token(json!({ "jti": "one" })), 401).await;
    assert_eq!(get(&gateway, &stage.token(json!({}))).await.status, 200);
}

#[actix_web::test]
async fn a_revocation_that_was_missed_is_found_when_the_gateway_listens_again() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let gateway = gateway_at(&stage, &redis.url()).await;
    eventually("it listens", async || listeners(&redis) >= 1).await;
    let token = stage.token(json!({}));
    assert_eq!(get(&gateway, &token).await.status, 200);
    let name = format!("{}|repo:acme/churn", stage.issuer.url());
    let mark = format!("hokusai:{{revoked-token}}:{}", hex::encode(Sha256::digest(name)));
    redis.cli(&["set", &mark, &Timestamp::now().as_millisecond().to_string()]);
    assert_eq!(get(&gateway, &token).await.status, 200, "nobody has told it");
    redis.cli(&["client", "kill", "type", "pubsub"]);
    until_status(&gateway, &token, 401).await;
}

#[actix_web::test]
async fn a_revocation_that_redis_was_too_slow_to_tell_of_is_found_by_a_later_request() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let gateway = gateway_at(&stage, &redis.url()).await;
    eventually("it listens", async || listeners(&redis) >= 1).await;
    let (one, other) = (stage.token(json!({ "jti": "one" })), stage.token(json!({ "jti": "other" })));
    let mark = format!("hokusai:{{revoked-token}}:{}", hex::encode(Sha256::digest("one")));
    redis.cli(&["set", &mark, &Timestamp::now().as_millisecond().to_string()]);
    // Not so long that the subscription would be given up.
    redis.cli(&["client", "pause", "1000"]);
    for token in [&one, &other, &one] {
        assert_eq!(get(&gateway, token).await.status, 200, "nobody says that it is revoked");
    }
    until_status(&gateway, &one, 401).await;
    assert_eq!(get(&gateway, &one).await.status, 401);
    assert_eq!(get(&gateway, &other).await.status, 200);
}

#[actix_web::test]
async fn an_id_that_is_a_number_is_revoked_as_it_is_written() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let gateway = gateway_at(&stage, &redis.url()).await;
    eventually("it listens", async || listeners(&redis) >= 1).await;
    let (one, other) = (stage.token(json!({ "jti": 17 })), stage.token(json!({ "jti": 18 })));
    for token in [&one, &other] {
        assert_eq!(get(&gateway, token).await.status, 200);
    }
    redis.cli(&["publish", "hokusai:revoked", "17"]);
    until_status(&gateway, &one, 401).await;
    assert_eq!(get(&gateway, &other).await.status, 200);
}
