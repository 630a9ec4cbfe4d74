//! Two gateways before one MLflow.

use std::time::{Duration, Instant};

use super::stage::{Stage, give, log};
use crate::support::{Gateway, eventually, redis::Redis};

fn listeners(redis: &Redis) -> usize {
    let answer = redis.cli(&["pubsub", "numsub", "hokusai:changed"]);
    answer.split_whitespace().last().unwrap().parse().unwrap()
}

async fn until_listening(redis: &Redis, count: usize) {
    eventually("they listen", async || listeners(redis) == count).await;
}

/// How long it took until ada, whose experiment was given to bob at the other gateway, was refused here.
async fn refused_after(gateway: &Gateway, other: &Gateway) -> Duration {
    assert_eq!(log(gateway, "ada", "a").await.status, 200);
    let remembered = Instant::now();
    give(other, "1", "bob").await;
    eventually("ada is refused", async || log(gateway, "ada", "a").await.status == 403).await;
    remembered.elapsed()
}

#[actix_web::test]
async fn with_redis_a_new_owner_is_known_at_once_in_every_instance() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let redis_url = redis.url();
    let settings = [("REDIS__URL", &*redis_url)];
    let (here, there) = (stage.gateway(&settings).await, stage.gateway(&settings).await);
    until_listening(&redis, 2).await;
    let took = refused_after(&here, &there).await;
    // An answer is asked for again after 4 s.
    assert!(took < Duration::from_millis(3_500), "{took:?}");
}

#[actix_web::test]
async fn without_redis_a_new_owner_is_known_in_every_instance_after_seconds() {
    let stage = Stage::set().await;
    let (here, there) = (stage.gateway(&[]).await, stage.gateway(&[]).await);
    let took = refused_after(&here, &there).await;
    assert!(took < Duration::from_secs(6), "{took:?}");
}

#[actix_web::test]
async fn with_a_redis_that_is_gone_a_new_owner_is_known_in_every_instance_after_seconds() {
    let (mut redis, stage) = (Redis::start(&[]), Stage::set().await);
    let redis_url = redis.url();
    let settings = [("REDIS__URL", &*redis_url)];
    let (here, there) = (stage.gateway(&settings).await, stage.gateway(&settings).await);
    until_listening(&redis, 2).await;
    redis.stop();
    let took = refused_after(&here, &there).await;
    assert!(took < Duration::from_secs(7), "{took:?}");
    // And it listens again to one that is back.
    redis.start_again();
    until_listening(&redis, 2).await;
}

#[actix_web::test]
async fn junk_and_floods_in_redis_make_an_instance_ask_again_and_no_more() {
    let (redis, stage) = (Redis::start(&[]), Stage::set().await);
    let redis_url = redis.url();
    let gateway = stage.gateway(&[("REDIS__URL", &*redis_url)]).await;
    until_listening(&redis, 1).await;
    assert_eq!(log(&gateway, "ada", "a").await.status, 200);
    let flood = "for i = 1, 20000 do redis.call('publish', 'hokusai:changed', ARGV[1] .. i % 7) end";
    for message in ["junk", "experiment ", "run ", "\u{1}", "*", "experiment bob "] {
        redis.cli(&["eval", flood, "0", message]);
    }
    redis.cli(&["eval", "redis.call('publish', 'hokusai:changed', string.rep('x', 50000000))", "0"]);
    for (user, expected) in [("ada", 200), ("bob", 403)] {
        assert_eq!(log(&gateway, user, "a").await.status, expected, "{user}");
    }
    assert_eq!(stage.asked("/runs/get"), 1);
}
