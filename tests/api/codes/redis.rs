//! HG-R…: Redis.

use std::{
    io::Write as _,
    net::TcpListener,
    sync::Arc,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use super::{
    auth_service::good_for_platform,
    place::{CLOSED, NOBODY, Place},
};
use crate::support::{Server, commands::Report, eventually, redis::Redis, server::Answer};

async fn probe(url: &str) -> Report {
    Place::new().await.probe(&[("REDIS_URL", url)]).await
}

/// The URL of a Redis as a user with a password has it, who may do as the rules say.
fn as_user(redis: &Redis, rules: &[&str]) -> String {
    let set = redis.cli(&[&["acl", "setuser", "gateway", "on", ">obviously"], rules].concat());
    assert!(set.starts_with("OK"), "{set}");
    redis.url().replace("redis://", "redis://gateway:obviously@")
}

const TOO_LITTLE: [&str; 3] = ["~hokusai:*", "+@all", "-evalsha"];

#[actix_web::test]
async fn a_name_of_redis_that_nobody_knows() {
    probe(&format!("redis://{NOBODY}")).await.assert_named("HG-R01");
}

#[actix_web::test]
async fn a_redis_that_is_not_running() {
    probe("redis://127.0.0.1:1").await.assert_named("HG-R02");
}

#[actix_web::test]
async fn a_redis_that_is_far_away() {
    let redis = Redis::start(&[]);
    probe(&redis.far_away(Duration::from_millis(60))).await.assert_named("HG-R03");
}

#[actix_web::test]
async fn a_redis_far_from_a_running_gateway() {
    let (place, redis) = (Place::new().await, Redis::start(&[]));
    place.serve(&[("REDIS_URL", &redis.far_away(Duration::from_millis(36)))]).logs("HG-R03").await;
}

#[actix_web::test]
async fn a_redis_that_wants_a_password() {
    probe(&Redis::start(&["--requirepass", "obviously-a-password"]).url()).await.assert_named("HG-R04");
}

#[actix_web::test]
async fn a_redis_that_lets_the_user_do_too_little() {
    let redis = Redis::start(&[]);
    probe(&as_user(&redis, &TOO_LITTLE)).await.assert_named("HG-R05");
}

#[actix_web::test]
async fn a_redis_that_lets_a_running_gateway_do_too_little() {
    let (place, redis) = (Place::new().await, Redis::start(&[]));
    place.serve(&[("REDIS_URL", &as_user(&redis, &TOO_LITTLE))]).logs("HG-R05").await;
}

#[actix_web::test]
async fn a_redis_that_is_a_replica() {
    let master = Redis::start(&[]);
    let replica = Redis::start(&["--replicaof", &format!("127.0.0.1 {}", master.port)]);
    probe(&replica.url()).await.assert_named("HG-R06");
}

#[actix_web::test]
async fn a_redis_that_is_full() {
    let full = Redis::start(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]);
    probe(&full.url()).await.assert_named("HG-R07");
}

#[actix_web::test]
async fn a_sentinel_that_knows_no_such_master() {
    let master = Redis::start(&[]);
    let sentinel = Redis::sentinel_of_one("themaster", master.port);
    probe(&format!("redis+sentinel://127.0.0.1:{}/another", sentinel.port)).await.assert_named("HG-R08");
}

#[actix_web::test]
async fn something_else_in_the_place_of_redis() {
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", web.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in web.incoming().map_while(Result::ok) {
            // It reads a request before it refuses it.
            let _ = std::io::Read::read(&mut stream, &mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        }
    });
    probe(&url).await.assert_named("HG-R09");
}

#[actix_web::test]
async fn revocations_that_nobody_tells() {
    let (place, service) = (Place::new().await, Server::start(good_for_platform).await);
    let settings = [("HOKUSAI_AUTH_SERVICE_URL", &*service.url()), ("REDIS_URL", "redis://127.0.0.1:1")];
    place.serve(&settings).logs("HG-R10").await;
}

#[actix_web::test]
async fn revocations_that_the_user_may_not_hear() {
    let (place, redis) = (Place::new().await, Redis::start(&[]));
    let url = as_user(&redis, &["~hokusai:*", "resetchannels", "+@all", "-@dangerous", "-@admin"]);
    let probed = place.probe(&[("REDIS_URL", &url)]).await;
    assert_eq!(probed.code, Some(0), "{}", probed.printed);
    let checks = probed.said["checks"].as_array().unwrap();
    let found = |check: &serde_json::Value| check["found"].as_str().unwrap().to_owned();
    assert!(checks.iter().map(found).any(|found| found.contains("HG-R10") && found.contains("&hokusai:*")));
    place.serve(&[("REDIS_URL", &url)]).logs("HG-R10").await;
}

#[actix_web::test]
async fn a_revocation_that_reaches_nobody() {
    let revoked = Arc::new(AtomicBool::new(false));
    let is_revoked = Arc::clone(&revoked);
    let service = Server::start(move |_| {
        let is_valid = !is_revoked.load(Ordering::Relaxed);
        Answer::ok(&format!(r#"{{"is_valid": {is_valid}, "key_id": "k-1", "user_id": "ada"}}"#))
    })
    .await;
    let (place, mut redis) = (Place::new().await, Redis::start(&[]));
    let settings = [
        ("HOKUSAI_AUTH_SERVICE_URL", &*service.url()),
        ("REDIS_URL", &redis.url()),
        ("HOKUSAI__AUTH__CACHE__TTL", "100ms"),
    ];
    let gateway = place.serve(&settings);
    assert_eq!(gateway.get(Some("good-key")).await.status, 200);
    redis.stop();
    revoked.store(true, Ordering::Relaxed);
    eventually("it is refused", async || gateway.get(Some("good-key")).await.status == 401).await;
    gateway.logs("HG-R11").await;
}

#[actix_web::test]
async fn a_redis_without_gateways() {
    let (place, redis) = (Place::new().await, Redis::start(&[]));
    let settings = [("HOKUSAI_AUTH_SERVICE_URL", CLOSED), ("REDIS_URL", &redis.url())];
    let revoked = place.run(&["keys", "revoke", "k-1"], &settings).await;
    assert_eq!((revoked.code, revoked.said["told"].as_u64()), (Some(1), Some(0)), "{}", revoked.said);
    assert!(revoked.printed.split_whitespace().any(|word| word == "HG-R11"), "{}", revoked.printed);
}

#[actix_web::test]
async fn a_redis_without_its_replicas() {
    probe(&Redis::start(&["--min-replicas-to-write", "1"]).url()).await.assert_named("HG-R12");
}

#[actix_web::test]
async fn two_peppers_on_one_redis() {
    let (first, second) = (Place::new().await, Place::new().await);
    let (service, redis) = (Server::start(good_for_platform).await, Redis::start(&[]));
    let (service, redis) = (service.url(), redis);
    let url = redis.url();
    let with = |pepper| {
        [("HOKUSAI_AUTH_SERVICE_URL", &*service), ("REDIS_URL", &*url), ("HOKUSAI__AUTH__PEPPER", pepper)]
    };
    let _running = first.serve(&with("the first pepper"));
    let named = async |pepper| first.probe(&with(pepper)).await.codes().contains("HG-S11");
    eventually("the second pepper is named", || named("the second pepper")).await;
    assert!(!named("the first pepper").await);
    // The one that starts later hears of it in its log.
    second.serve(&with("the second pepper")).logs("HG-S11").await;
}
