//! A key, and a session that it is sealed in, go everywhere that they can go, and are found nowhere afterwards.

use std::{collections::BTreeSet, fs};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use crate::support::{
    Server, ask,
    client::Connection,
    metrics_at,
    process::Process,
    redis::Redis,
    server::{Answer, Recorded},
};

/// Obviously not a key of anybody's.
const CANARY: &str = "hk_test_CANARYcanaryCANARYcanary00000000";

/// The headers that a key or a session comes in, or that somebody puts it in.
fn ways(session: &str) -> Vec<String> {
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
        format!("cookie: hokusai={session}\r\n"),
        format!("cookie: a=b; hokusai={session}; mlflow-request-header-x={CANARY}\r\n{bearer}"),
        format!("cookie: hokusai={session}; hokusai={session}\r\n"),
        format!("cookie: hokusai={}\r\n", &session[..session.len() - 9]),
        format!("{bearer}expect: 100-continue\r\n"),
        format!("{bearer}x_api_key: {CANARY}\r\n"),
    ]
}

/// What a person's browser keeps who logs in with the key.
async fn log_in(gateway: &Process) -> String {
    let form = format!("key={CANARY}");
    let head = format!("POST /login HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", form.len());
    let answer = ask(gateway.address, head + &form).await;
    let cookie = answer.header("set-cookie").unwrap_or_else(|| panic!("{answer:?}"));
    cookie.split(';').next().unwrap().strip_prefix("hokusai=").unwrap().to_owned()
}

/// Sends both in every way to every kind of place; no answer has them. The statuses of the answers.
async fn everywhere(gateway: &Process, session: &str) -> BTreeSet<u16> {
    let mut seen = BTreeSet::new();
    for way in ways(session) {
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
            ("GET", format!("/nowhere?key={CANARY}&cookie={session}"), String::new()),
            ("GET", format!("/account?key={CANARY}"), String::new()),
            ("GET", format!("/login?because={session}&key={CANARY}"), String::new()),
            ("POST", "/login".to_owned(), format!("next=/account&key={CANARY}+")),
            ("POST", "/login".to_owned(), format!("key={session}")),
            ("POST", "/logout".to_owned(), format!("key={CANARY}")),
            ("GET", format!("/api/mlflow/../x?key={CANARY}"), String::new()),
            ("TRACE", "/api/mlflow/version".to_owned(), String::new()),
        ] {
            let length =
                if method == "POST" { format!("content-length: {}\r\n", body.len()) } else { String::new() };
            let mut connection = Connection::open(gateway.address).await;
            connection
                .send(format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\n{way}{length}\r\n{body}"))
                .await;
            let mut answer = connection.response(false).await;
            if answer.status == 100 {
                answer = connection.response(false).await;
            }
            for secret in [CANARY, session] {
                let head = answer.headers.iter().any(|(_, value)| value.contains(secret));
                assert!(!head && !answer.text().contains(secret), "{method} {target} {way}: {answer:?}");
            }
            seen.insert(answer.status);
        }
    }
    seen
}

#[actix_web::test]
async fn a_key_and_a_session_are_in_no_log_metric_audit_record_span_or_report_and_not_in_redis() {
    let good = r#"{"is_valid": true, "key_id": "k-1", "user_id": "u-1", "scopes": ["mlflow:read", "mlflow:delete"]}"#;
    let (mlflow, auth) =
        (Server::start(|_| Answer::ok("{}")).await, Server::start(move |_| Answer::ok(good)).await);
    let collector = Server::start(|_| Answer::bytes("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    let (redis, folder) = (Redis::start(&["--rdbcompression", "no"]), tempfile::tempdir().unwrap());
    let settings = [
        ("MLFLOW_SERVER_URL", &*mlflow.url()),
        ("HOKUSAI_AUTH_SERVICE_URL", &auth.url()),
        ("HOKUSAI__AUTH__CACHE__TTL", "200ms"),
        ("HOKUSAI__AUTH__SERVICE__USAGE_INTERVAL", "100ms"),
        ("HOKUSAI__AUTH__PEPPER", "obviously-a-pepper-of-a-test-0000"),
        ("REDIS_URL", &redis.url()),
        ("HOKUSAI__AUDIT__OUTPUT", "./audit.jsonl"),
        ("HOKUSAI__TELEMETRY__EMF", "true"),
        ("HOKUSAI__TELEMETRY__EMF_INTERVAL", "1s"),
        ("HOKUSAI__TELEMETRY__FILTER", "trace"),
        ("HOKUSAI__TELEMETRY__OTLP_ENDPOINT", &collector.url()),
    ];
    let mut gateway = Process::serve(folder.path(), &settings);
    let session = log_in(&gateway).await;
    let mut seen = everywhere(&gateway, &session).await;
    let is_report = |request: &Recorded| request.target().ends_with("/usage");
    auth.until(is_report).await;
    auth.kill();
    seen.extend(everywhere(&gateway, &session).await);
    mlflow.kill();
    seen.extend(everywhere(&gateway, &session).await);
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
        session.into_bytes(),
    ];
    let file = |name: &str| fs::read(folder.path().join(name)).unwrap();
    let told = |requests: Vec<Recorded>| {
        let texts =
            requests.into_iter().map(|request| [format!("{request:?}").into_bytes(), request.body].concat());
        texts.collect::<Vec<_>>().concat()
    };
    let reports = auth.requests().into_iter().filter(is_report).collect();
    for (name, content) in [
        ("metrics", metrics),
        ("log", file("log")),
        ("audit", file("audit.jsonl")),
        ("Redis", dump),
        ("spans", told(collector.requests())),
        ("reports of usage", told(reports)),
    ] {
        assert!(content.len() > 500, "{name}");
        let has = |form: &Vec<u8>| content.windows(form.len()).any(|window| window == form);
        assert!(!forms.iter().any(has), "the key is in {name}");
    }
}
