//! What is said of Redis.

use std::{fs, time::Duration};

use super::{VALID, folder_with_a_key, lines, the_line, user, words};
use crate::support::{
    Gateway, GatewayBuilder, Server, ask, eventually, metrics, process::Process, redis::Redis, server::Answer,
};

#[actix_web::test]
async fn a_redis_that_refuses_what_the_gateway_needs_is_told_at_the_start_and_not_up() {
    let (mlflow, auth) =
        (Server::start(|_| Answer::ok("{}")).await, Server::start(|_| Answer::ok(VALID)).await);
    let redis = Redis::start(&[]);
    let locked = Redis::start(&["--requirepass", "obviously-a-password"]);
    let full = Redis::start(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]);
    let replica = Redis::start(&["--replicaof", "127.0.0.1", &redis.port.to_string()]);
    let nobody = "redis://127.0.0.1:1".to_owned();
    for (name, url, cause, reason) in [
        ("not there", nobody, "it is not running, or listens elsewhere", "refused"),
        ("no password", locked.url(), "redis.url has no password", "NOAUTH"),
        (
            "a wrong password",
            format!("redis://:not-the-password@127.0.0.1:{}", locked.port),
            "the password or the user in redis.url is not that of this Redis",
            "refuses the password",
        ),
        ("full", full.url(), "its maxmemory is used up, and its policy evicts nothing", "OOM"),
        ("a replica", replica.url(), "redis.url names a replica", "read only replica"),
        ("no scripts", user(&redis, "-evalsha"), "the user's ACL is too narrow", "'evalsha'"),
        ("no listening", user(&redis, "-subscribe"), "the user's ACL is too narrow", "'subscribe'"),
        ("no telling", user(&redis, "-publish"), "the user's ACL is too narrow", "'publish'"),
        ("no hashes", user(&redis, "-hset"), "the user's ACL is too narrow", "can't run this command"),
        (
            "no sorted sets",
            user(&redis, "-@sortedset"),
            "the user's ACL is too narrow",
            "can't run this command",
        ),
        (
            "another database",
            format!("redis://127.0.0.1:{}/99", redis.port),
            "redis.url does not fit this Redis: its database, or its kind (single, Sentinel, cluster)",
            "out of range",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let settings = [
            ("MLFLOW_SERVER_URL", &mlflow.url()[..]),
            ("HOKUSAI_AUTH_SERVICE_URL", &auth.url()),
            ("HOKUSAI__AUTH__PEPPER", "obviously-a-pepper-of-a-test-0000"),
            ("REDIS_URL", &url),
        ];
        let _gateway = Process::serve(folder.path(), &settings);
        let line = the_line(folder.path(), "Redis can").await;
        assert_eq!(line["message"], "Redis cannot be used", "{name}");
        assert_eq!(line["cause"], cause, "{name}");
        assert!(line["reason"].as_str().unwrap().contains(reason), "{name}: {line}");
        assert!(!line["fix"].as_str().unwrap().is_empty());
        let log = fs::read_to_string(folder.path().join("log")).unwrap();
        assert!(!log.contains("obviously") && !log.contains("not-the-password"), "{name}");
    }
}

/// Looked at for a while, in which requests come.
async fn redis_up_stays(gateway: &Gateway, up: u8) {
    let get = "GET /api/2.0/mlflow/runs/get HTTP/1.1\r\nhost: a\r\nauthorization: Bearer a\r\n\r\n";
    for _ in 0..20 {
        ask(gateway.address, get).await;
        let now = metrics(gateway).await;
        let text = now.text();
        assert!(text.contains(&format!("hokusai_gateway_redis_up {up}\n")), "{text}");
        actix_rt::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn until_redis_up(gateway: &Gateway, up: u8) {
    eventually("redis_up follows", async || {
        metrics(gateway).await.text().contains(&format!("hokusai_gateway_redis_up {up}\n"))
    })
    .await;
}

#[actix_web::test]
async fn a_redis_that_takes_no_writes_any_more_is_not_up_until_it_does() {
    let (mlflow, auth) =
        (Server::start(|_| Answer::ok("{}")).await, Server::start(|_| Answer::ok(VALID)).await);
    let redis = Redis::start(&[]);
    let gateway = GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &auth.url())
        .set("AUTH__PEPPER", "obviously-a-pepper-of-a-test-0000")
        .set("REDIS__URL", &redis.url())
        .start(&mlflow)
        .await;
    until_redis_up(&gateway, 1).await;
    redis.cli(&["config", "set", "maxmemory", "1"]);
    until_redis_up(&gateway, 0).await;
    // Requests that need no write are answered, and do not hide it.
    let get = "GET /api/2.0/mlflow/runs/get HTTP/1.1\r\nhost: a\r\nauthorization: Bearer a\r\n\r\n";
    for _ in 0..10 {
        assert_eq!(ask(gateway.address, get).await.status, 200);
        assert!(metrics(&gateway).await.text().contains("hokusai_gateway_redis_up 0\n"));
        actix_rt::time::sleep(Duration::from_millis(100)).await;
    }
    redis.cli(&["config", "set", "maxmemory", "0"]);
    until_redis_up(&gateway, 1).await;
}

#[actix_web::test]
async fn a_gateway_with_a_key_file_needs_no_more_than_it_does() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let redis = Redis::start(&[]);
    let folder = folder_with_a_key();
    let url = user(&redis, "-publish -getrange -unlink");
    let settings = [("MLFLOW_SERVER_URL", &mlflow.url()[..]), ("REDIS_URL", &url)];
    let _gateway = Process::serve(folder.path(), &settings);
    assert_eq!(the_line(folder.path(), "Redis can").await["message"], "Redis can be used");
}

#[actix_web::test]
async fn a_gateway_with_a_key_file_that_may_not_listen_says_so_and_its_redis_is_up() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let redis = Redis::start(&[]);
    let folder = folder_with_a_key();
    let url = user(&redis, "resetchannels -@dangerous -@admin");
    let settings = [("MLFLOW_SERVER_URL", &mlflow.url()[..]), ("REDIS_URL", &url)];
    let _process = Process::serve(folder.path(), &settings);
    assert_eq!(the_line(folder.path(), "Redis can").await["message"], "Redis can be used");
    let line = the_line(folder.path(), "cannot listen for revocations").await;
    assert_eq!(line["code"], "HG-R10");
    assert!(words(&line, &["fix"]).contains("&hokusai:*"), "{line}");
    let gateway = GatewayBuilder::default().set("REDIS__URL", &url).start(&mlflow).await;
    until_redis_up(&gateway, 1).await;
    redis_up_stays(&gateway, 1).await;
    assert_eq!(lines(folder.path(), "cannot listen for revocations").len(), 1);
}

#[actix_web::test]
async fn a_redis_that_is_too_far_away_to_be_used_is_told_so_and_stays_down() {
    let (mlflow, auth) =
        (Server::start(|_| Answer::ok("{}")).await, Server::start(|_| Answer::ok(VALID)).await);
    let redis = Redis::start(&[]);
    let far = redis.far_away(Duration::from_millis(36));
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        ("MLFLOW_SERVER_URL", &mlflow.url()[..]),
        ("HOKUSAI_AUTH_SERVICE_URL", &auth.url()),
        ("HOKUSAI__AUTH__PEPPER", "obviously-a-pepper-of-a-test-0000"),
        ("REDIS_URL", &far),
    ];
    let _process = Process::serve(folder.path(), &settings);
    let line = the_line(folder.path(), "Redis can").await;
    assert_eq!(words(&line, &["message", "code"]), "Redis cannot be used | HG-R03");
    let gateway = GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &auth.url())
        .set("AUTH__PEPPER", "obviously-a-pepper-of-a-test-0000")
        .set("REDIS__URL", &far)
        .start(&mlflow)
        .await;
    until_redis_up(&gateway, 0).await;
    redis_up_stays(&gateway, 0).await;
}
