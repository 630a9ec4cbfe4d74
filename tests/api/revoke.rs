//! A revocation reaches gateways that do not read the file of the machine where it is made.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::support::{
    Gateway, GatewayBuilder, Server, ask, eventually,
    gateway::create_key,
    process::{Process, command},
    redis::Redis,
    server::Answer,
};

const VALID: &str = r#"{"is_valid": true, "user_id": "u-1", "key_id": "k-1"}"#;

async fn status_with(gateway: &Gateway, key: &str) -> u16 {
    let get = format!("GET /api/2.0/mlflow/runs/get HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\n\r\n");
    ask(gateway.address, get).await.status
}

async fn until_listening(redis: &Redis, listeners: usize) {
    let listening = || {
        let answer = redis.cli(&["pubsub", "numsub", "hokusai:revoked"]);
        answer.split_whitespace().last().and_then(|count| count.parse().ok()).unwrap_or(0)
    };
    eventually("the gateways listen", async || listening() == listeners).await;
}

fn keys(folder: &Path, redis: &str, arguments: &[&str]) -> Command {
    let mut command = command(folder);
    command.arg("keys").args(arguments).env("REDIS_URL", redis);
    command
}

fn run(folder: &Path, redis: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = keys(folder, redis, arguments).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// The operator's copy of a gateway's key file.
fn copy_of(gateway: &Gateway) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(&gateway.key_file, folder.path().join("keys.toml")).unwrap();
    folder
}

#[actix_web::test]
async fn a_gateway_with_a_copy_of_the_file_ends_a_key_that_was_revoked_elsewhere() {
    let (redis, mlflow) = (Redis::start(&[]), Server::start(|_| Answer::ok("{}")).await);
    let gateway = GatewayBuilder::default().set("REDIS__URL", &redis.url()).start(&mlflow).await;
    let second = create_key(&gateway.key_file, "grace", None).key;
    let second = secrecy::ExposeSecret::expose_secret(&second);
    eventually("the second key works", async || status_with(&gateway, second).await == 200).await;
    until_listening(&redis, 1).await;
    let operator = copy_of(&gateway);

    let (code, told) = run(operator.path(), &redis.url(), &["revoke", &gateway.key_id]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("is revoked") && told.contains("1 gateway received the revocation"), "{told}");
    eventually("the key has ended", async || status_with(&gateway, &gateway.key).await == 401).await;
    assert_eq!(status_with(&gateway, second).await, 200, "it is the only one");

    // Its own copy, which says otherwise, is taken over without making the key good again.
    let third = create_key(&gateway.key_file, "third", None).key;
    let third = secrecy::ExposeSecret::expose_secret(&third);
    eventually("the file is taken over", async || status_with(&gateway, third).await == 200).await;
    assert_eq!(status_with(&gateway, &gateway.key).await, 401);
    // Messages that name none of its keys, or all that is remembered, end nothing.
    for message in ["somebody-elses", "*", ""] {
        redis.cli(&["publish", "hokusai:revoked", message]);
    }
    redis.cli(&["publish", "hokusai:revoked", &gateway.key_id]);
    assert_eq!(status_with(&gateway, second).await, 200);
}

#[actix_web::test]
async fn a_copy_that_arrives_after_the_message_does_not_bring_the_key_back() {
    let (redis, mlflow) = (Redis::start(&[]), Server::start(|_| Answer::ok("{}")).await);
    let gateway = GatewayBuilder::default().set("REDIS__URL", &redis.url()).start(&mlflow).await;
    until_listening(&redis, 1).await;
    let operator = copy_of(&gateway);
    let new = create_key(&operator.path().join("keys.toml"), "grace", None);
    let before = fs::read(operator.path().join("keys.toml")).unwrap();
    assert_eq!(run(operator.path(), &redis.url(), &["revoke", &new.id]).0, Some(0));
    fs::write(&gateway.key_file, before).unwrap();
    let later = create_key(&gateway.key_file, "later", None).key;
    let (new, later) =
        (secrecy::ExposeSecret::expose_secret(&new.key), secrecy::ExposeSecret::expose_secret(&later));
    eventually("the file is taken over", async || status_with(&gateway, later).await == 200).await;
    assert_eq!(status_with(&gateway, new).await, 401);
}

#[actix_web::test]
async fn a_rotation_without_an_overlap_tells_redis_and_one_with_it_does_not() {
    let (redis, mlflow) = (Redis::start(&[]), Server::start(|_| Answer::ok("{}")).await);
    let gateway = GatewayBuilder::default().set("REDIS__URL", &redis.url()).start(&mlflow).await;
    until_listening(&redis, 1).await;
    let operator = copy_of(&gateway);
    let (code, told) = run(operator.path(), &redis.url(), &["rotate", &gateway.key_id]);
    assert!(code == Some(0) && !told.contains("Redis"), "{told}");
    let (code, told) = run(operator.path(), &redis.url(), &["rotate", &gateway.key_id, "--overlap", "0s"]);
    assert!(code == Some(0) && told.contains("1 gateway received"), "{told}");
    eventually("the key has ended", async || status_with(&gateway, &gateway.key).await == 401).await;
}

#[actix_web::test]
async fn a_redis_that_was_not_told_is_told_when_the_command_is_run_again() {
    let (mut redis, mlflow) = (Redis::start(&[]), Server::start(|_| Answer::ok("{}")).await);
    let gateway = GatewayBuilder::default().set("REDIS__URL", &redis.url()).start(&mlflow).await;
    let operator = copy_of(&gateway);
    redis.stop();
    let (code, told) = run(operator.path(), &redis.url(), &["revoke", &gateway.key_id]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("is revoked") && told.contains("the revocation did not reach Redis: "), "{told}");
    assert!(fs::read_to_string(operator.path().join("keys.toml")).unwrap().contains("revoked_at"));
    assert_eq!(status_with(&gateway, &gateway.key).await, 200);

    redis.start_again();
    until_listening(&redis, 1).await;
    let (code, told) = run(operator.path(), &redis.url(), &["revoke", &gateway.key_id]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("already revoked") && told.contains("1 gateway received"), "{told}");
    eventually("the key has ended", async || status_with(&gateway, &gateway.key).await == 401).await;

    let (code, told) = run(operator.path(), "redis.internal", &["revoke", &gateway.key_id]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("redis.url (HOKUSAI__REDIS__URL or REDIS_URL): has no scheme"), "{told}");
}

#[actix_web::test]
async fn what_gateways_remember_of_an_auth_services_key_is_forgotten_at_once() {
    let redis = Redis::start(&[]);
    let (auth, mlflow) =
        (Server::start(|_| Answer::ok(VALID)).await, Server::start(|_| Answer::ok("{}")).await);
    let gateway = GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &auth.url())
        .set("AUTH__PEPPER", "a pepper of the fleet's")
        .set("REDIS__URL", &redis.url())
        .start(&mlflow)
        .await;
    until_listening(&redis, 1).await;
    let folder = tempfile::tempdir().unwrap();
    let revoke = |id: &str, redis: &str| {
        let output = keys(folder.path(), redis, &["revoke", id])
            .env("HOKUSAI_AUTH_SERVICE_URL", auth.url())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for id in ["k-1", "*"] {
        eventually("it is remembered", async || {
            let before = auth.validations().len();
            let status = status_with(&gateway, "the-key").await;
            status == 200 && auth.validations().len() == before
        })
        .await;
        let (code, told) = revoke(id, &redis.url());
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("1 gateway received") && told.contains("must refuse it from now on"), "{told}");
        let before = auth.validations().len();
        eventually("the service is asked again", async || {
            status_with(&gateway, "the-key").await;
            auth.validations().len() > before
        })
        .await;
    }

    for key in [
        "hk_live_".to_owned() + &"a".repeat(33),
        "a".repeat(129),
        "eyJhbGciOiJub25lIn0.e30.aaaa".to_owned(),
        "Bearer eyJhbGciOiJub25lIn0.e30.aaaa".to_owned(),
    ] {
        let (code, told) = revoke(&key, &redis.url());
        assert!(code == Some(1) && !told.contains("aaaa") && told.contains("and not the key"), "{told}");
    }
    let nobodys = Redis::start(&[]);
    let (code, told) = revoke("k-1", &nobodys.url());
    assert!(code == Some(1) && told.contains("no gateway listens at this Redis"), "{told}");
    let output = command(folder.path())
        .args(["keys", "revoke", "k-1"])
        .env("HOKUSAI_AUTH_SERVICE_URL", auth.url())
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && told.contains("redis.url is not set"), "{told}");
}

#[actix_web::test]
async fn what_somebody_took_for_an_id_is_in_no_log() {
    let redis = Redis::start(&[]);
    let (auth, mlflow) =
        (Server::start(|_| Answer::ok(VALID)).await, Server::start(|_| Answer::ok("{}")).await);
    let folder = tempfile::tempdir().unwrap();
    let gateway = Process::serve(
        folder.path(),
        &[
            ("MLFLOW_SERVER_URL", &mlflow.url()),
            ("HOKUSAI_AUTH_SERVICE_URL", &auth.url()),
            ("HOKUSAI__AUTH__PEPPER", "a pepper of the fleet's"),
            ("REDIS_URL", &redis.url()),
        ],
    );
    until_listening(&redis, 1).await;
    let get = "GET /api/2.0/mlflow/runs/get HTTP/1.1\r\nhost: a\r\nx-api-key: the-key\r\n\r\n";
    assert_eq!(ask(gateway.address, get).await.status, 200);
    for message in ["another-services-key", &"junk".repeat(20_000), "k-1"] {
        redis.cli(&["publish", "hokusai:revoked", message]);
    }
    let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    eventually("the one that is remembered is named", async || {
        log().lines().any(|line| line.contains("revoked") && line.contains("k-1"))
    })
    .await;
    assert!(!log().contains("another-services-key") && !log().contains("junk"), "{:.2000}", log());
}
