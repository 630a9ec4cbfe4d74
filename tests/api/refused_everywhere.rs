//! A key that the auth service refuses creates nothing at any instance; a load balancer's page refuses no key, and is logged.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use crate::support::{
    Gateway, GatewayBuilder, Server, ask, eventually, process::Process, redis::Redis, server::Answer,
};

const REFUSED: &str = r#"{"is_valid": false}"#;

fn create(key: &str, name: &str, client: &str) -> String {
    let body = format!(r#"{{"name": "{name}"}}"#);
    format!(
        "POST /api/2.0/mlflow/experiments/create HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\
         x-forwarded-for: {client}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// How many experiments MLflow was asked to create whose names begin so.
fn created(mlflow: &Server, prefix: &str) -> usize {
    mlflow.requests().iter().filter(|seen| seen.text().contains(&format!("\"{prefix}"))).count()
}

async fn until_listening(redis: &Redis, listeners: &str) {
    let answer = || redis.cli(&["pubsub", "numsub", "hokusai:revoked"]);
    eventually("the gateways listen", async || answer().split_whitespace().last() == Some(listeners)).await;
}

#[actix_web::test]
async fn a_key_that_one_instance_was_told_to_refuse_creates_nothing_at_another() {
    for key_id in [r#""k-1""#, "null"] {
        let refuses = Arc::new(AtomicBool::new(false));
        let refusing = Arc::clone(&refuses);
        let valid = format!(r#"{{"is_valid": true, "user_id": "ada", "key_id": {key_id}}}"#);
        let auth =
            Server::start(move |_| Answer::ok(if refusing.load(Relaxed) { REFUSED } else { &valid })).await;
        let (redis, mlflow) = (Redis::start(&[]), Server::start(|_| Answer::ok("{}")).await);
        let start = || {
            GatewayBuilder::default()
                .set("AUTH__SERVICE__URL", &auth.url())
                .set("AUTH__PEPPER", "a pepper of the fleet's")
                .set("REDIS__URL", &redis.url())
                .set("SERVER__TRUSTED_PROXIES", "127.0.0.1")
                .start(&mlflow)
        };
        let (here, there) = (start().await, start().await);
        until_listening(&redis, "2").await;
        let status = async |gateway: &Gateway, name: &str, client: &str| {
            ask(gateway.address, create("the-key", name, client)).await.status
        };
        let elsewhere = "198.51.100.7";
        eventually("its yes is remembered there, for a minute", async || {
            let asked = auth.validations().len();
            status(&there, "before", elsewhere).await == 200 && auth.validations().len() == asked
        })
        .await;
        refuses.store(true, Relaxed);
        eventually("it is refused at both", async || {
            // Again, where Redis could not tell in 50 ms whose key it was.
            assert_eq!(status(&here, "here", "192.0.2.1").await, 401);
            status(&there, "meanwhile", elsewhere).await == 401
        })
        .await;
        for _ in 0..20 {
            assert_eq!(status(&there, "late", elsewhere).await, 401);
        }
        assert_eq!((created(&mlflow, "here"), created(&mlflow, "late")), (0, 0), "{key_id}");
    }
}

#[actix_web::test]
async fn a_load_balancer_that_has_lost_the_auth_service_is_named_in_the_log_and_refuses_nobody() {
    let lost = Arc::new(AtomicBool::new(false));
    let is_lost = Arc::clone(&lost);
    let auth = Server::start(move |request| {
        let is_the_key = request.header("authorization") == Some("Bearer the-key");
        match (is_lost.load(Relaxed), is_the_key) {
            (true, _) => Answer::page(404),
            (false, true) => Answer::ok(r#"{"is_valid": true, "user_id": "ada"}"#),
            (false, false) => Answer::ok(REFUSED),
        }
    })
    .await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    let (mlflow_url, auth_url) = (mlflow.url(), auth.url());
    let settings = [
        ("MLFLOW_SERVER_URL", &*mlflow_url),
        ("HOKUSAI_AUTH_SERVICE_URL", &*auth_url),
        ("HOKUSAI__AUTH__CACHE__TTL", "50ms"),
    ];
    let gateway = Process::serve(folder.path(), &settings);
    let status =
        async |key: &str, name: &str| ask(gateway.address, create(key, name, "192.0.2.1")).await.status;
    assert_eq!(status("the-key", "before").await, 200);
    assert_eq!(status("wrong", "wrong").await, 401);
    lost.store(true, Relaxed);
    let asked = auth.validations().len();
    eventually("the answer from before is not fresh any more", async || {
        assert_eq!(status("the-key", "after").await, 200);
        auth.validations().len() > asked
    })
    .await;
    for _ in 0..10 {
        assert_eq!(status("the-key", "after").await, 200);
    }
    assert_eq!(status("a-stranger", "stranger").await, 503);
    assert!(created(&mlflow, "after") > 10);
    assert_eq!((created(&mlflow, "wrong"), created(&mlflow, "stranger")), (0, 0));
    let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    eventually("it is named", async || log().contains("404 with text/html")).await;
}
