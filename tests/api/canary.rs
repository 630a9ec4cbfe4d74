//! A key goes everywhere that a key can go, and is found nowhere afterwards.

use std::{collections::BTreeSet, fs};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use crate::support::{
    Server, client::Connection, metrics_at, process::Process, redis::Redis, server::Answer,
};

/// Obviously not a key of anybody's.
const CANARY: &str = "hk_test_CANARYcanaryCANARYcanary00000000";

/// The headers that a key comes in, or that somebody puts it in.
fn ways() -> Vec<String> {
    let basic = STANDARD.encode(format!("ada:{CANARY}"));
    let bearer = format!("authorization: Bearer {CANARY}\r\n");
    vec![
        bearer.clone(),
        format!("authorization: Basic {basic}\r\n"),
        format!("authorization: ApiKey {CANARY}\r\n"),
        format!("x-api-key: {CANARY}\r\n"),
        format!("x-api-key: {CANARY}\r\n{bearer}"),
        format!("authorization: Digest {CANARY}\r\n"),
        format!("cookie: token={CANARY}\r\n"),
        format!("{bearer}expect: 100-continue\r\n"),
        format!("{bearer}x_api_key: {CANARY}\r\n"),
    ]
}

/// Sends the key in every way to every kind of place; no answer has it. The statuses of the answers.
async fn everywhere(gateway: &Process) -> BTreeSet<u16> {
    let mut seen = BTreeSet::new();
    for way in ways() {
        for (method, target, body) in [
            ("GET", "/api/mlflow/version".to_owned(), String::new()),
            ("GET", format!("/api/2.0/mlflow/runs/get?token={CANARY}"), String::new()),
            (
                "POST",
                "/api/2.0/mlflow/runs/delete".to_owned(),
                format!(r#"{{"run_id": "1", "note": "{CANARY}"}}"#),
            ),
            (
                "POST",
                "/api/2.0/mlflow/runs/delete".to_owned(),
                format!(r#"{{"note": "{CANARY}", "note": ""}}"#),
            ),
            ("POST", "/api/2.0/mlflow/runs/create".to_owned(), "{}".to_owned()),
            ("GET", format!("/nowhere?key={CANARY}"), String::new()),
            ("GET", format!("/api/mlflow/../x?key={CANARY}"), String::new()),
            ("TRACE", "/api/mlflow/version".to_owned(), String::new()),
        ] {
            let length =
                if method == "POST" { format!("content-length: {}\r\n", body.len()) } else { String::new() };
            let mut connection = Connection::open(gateway.address).await;
            connection
                .send(format!("{method} {target} HTTP/1.1\r\nhost: a\r\n{way}{length}\r\n{body}"))
                .await;
            let mut answer = connection.response(false).await;
            if answer.status == 100 {
                answer = connection.response(false).await;
            }
            let head = answer.headers.iter().any(|(_, value)| value.contains(CANARY));
            assert!(!head && !answer.text().contains(CANARY), "{method} {target} {way}: {answer:?}");
            seen.insert(answer.status);
        }
    }
    seen
}

#[actix_web::test]
async fn a_key_is_in_no_log_no_metric_no_audit_record_and_not_in_redis() {
    let good = r#"{"is_valid": true, "key_id": "k-1", "user_id": "u-1", "scopes": ["mlflow:read", "mlflow:delete"]}"#;
    let (mlflow, auth) =
        (Server::start(|_| Answer::ok("{}")).await, Server::start(move |_| Answer::ok(good)).await);
    let (redis, folder) = (Redis::start(&["--rdbcompression", "no"]), tempfile::tempdir().unwrap());
    let settings = [
        ("MLFLOW_SERVER_URL", &*mlflow.url()),
        ("HOKUSAI_AUTH_SERVICE_URL", &auth.url()),
        ("HOKUSAI__AUTH__CACHE__TTL", "200ms"),
        ("HOKUSAI__AUTH__PEPPER", "obviously-a-pepper-of-a-test-0000"),
        ("REDIS_URL", &redis.url()),
        ("HOKUSAI__AUDIT__OUTPUT", "./audit.jsonl"),
        ("HOKUSAI__TELEMETRY__EMF", "true"),
        ("HOKUSAI__TELEMETRY__EMF_INTERVAL", "1s"),
        ("HOKUSAI__TELEMETRY__FILTER", "trace"),
    ];
    let mut gateway = Process::serve(folder.path(), &settings);
    let mut seen = everywhere(&gateway).await;
    auth.kill();
    seen.extend(everywhere(&gateway).await);
    mlflow.kill();
    seen.extend(everywhere(&gateway).await);
    assert!([200, 400, 401, 403, 404, 405].iter().all(|status| seen.contains(status)), "{seen:?}");
    assert!(seen.contains(&502) || seen.contains(&503), "{seen:?}");

    let metrics = metrics_at(gateway.metrics_address.unwrap()).await.body;
    let dump = redis.dump();
    gateway.terminate();
    assert!(gateway.wait().success());
    // The raw key, and what it could be found by again.
    let digest = Sha256::digest(CANARY);
    let forms = [
        CANARY.as_bytes().to_vec(),
        STANDARD.encode(format!("ada:{CANARY}")).into_bytes(),
        hex::encode(digest).into_bytes(),
        digest.to_vec(),
    ];
    let file = |name: &str| fs::read(folder.path().join(name)).unwrap();
    for (name, content) in
        [("metrics", metrics), ("log", file("log")), ("audit", file("audit.jsonl")), ("Redis", dump)]
    {
        assert!(content.len() > 500, "{name}");
        let has = |form: &Vec<u8>| content.windows(form.len()).any(|window| window == form);
        assert!(!forms.iter().any(has), "the key is in {name}");
    }
}
