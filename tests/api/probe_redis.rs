//! `check --probe` at a real Redis: what the gateway may not do there is named, and no password is printed.

use crate::support::{
    GatewayBuilder, Server, ask,
    certificates::Certificate,
    commands::{Report, check, mlflow},
    redis::{Redis, free_port},
    server::Answer,
};

const AUTHENTICATION: &str = "redis.authentication";

async fn auth_service() -> Server {
    Server::start(|request| {
        let is_valid = request.header("authorization") == Some("Bearer good-key");
        Answer::ok(&format!(r#"{{"is_valid": {is_valid}, "key_id": "k-1", "user_id": "ada"}}"#))
    })
    .await
}

async fn probe(settings: &[(&str, &str)]) -> Report {
    let mlflow = mlflow(|_| None).await;
    check(&["--probe"], &[&[("MLFLOW_SERVER_URL", &*mlflow.url())], settings].concat()).await
}

#[actix_web::test]
async fn no_redis_is_looked_for_unless_it_is_set() {
    let report = probe(&[]).await;
    assert_eq!(report.code, Some(0), "{}", report.printed);
    assert!(!report.passed().iter().any(|check| check.starts_with("redis")), "{}", report.printed);
}

#[actix_web::test]
async fn a_bare_host_name_is_named() {
    let settings = [("MLFLOW_SERVER_URL", "http://127.0.0.1:1"), ("REDIS_URL", "redis.internal:6379")];
    let report = check(&[], &settings).await;
    assert_eq!(report.code, Some(64));
    let problem = report.problem("redis.url");
    assert!(problem.contains("has no scheme") && problem.contains("redis:// before it"), "{problem}");
}

#[actix_web::test]
async fn a_missing_or_wrong_password_is_named_and_never_printed() {
    let redis = Redis::start(&["--requirepass", "obviously-a-password"]);
    let probe_as =
        async |user: &str| probe(&[("REDIS_URL", &format!("redis://{user}127.0.0.1:{}", redis.port))]).await;
    probe_as("").await.assert_failed(AUTHENTICATION, "requires a password");
    let wrong = probe_as(":not-the-password@").await;
    wrong.assert_failed(AUTHENTICATION, "refuses the password");
    assert!(!wrong.printed.contains("not-the-password"), "{}", wrong.printed);
    assert!(probe_as(":obviously-a-password@").await.passed().contains(AUTHENTICATION));
}

#[actix_web::test]
async fn a_user_who_may_not_do_what_the_gateway_does_is_named() {
    let (redis, auth) = (Redis::start(&[]), auth_service().await);
    let url = format!("redis://gateway:obviously@127.0.0.1:{}", redis.port);
    let service = ("HOKUSAI_AUTH_SERVICE_URL", auth.url());
    for (rules, by_service, is_enough) in [
        ("~hokusai:* &hokusai:* +@all -@dangerous -@admin", true, true),
        ("~hokusai:* resetchannels +@all -@dangerous -@admin", true, false),
        ("~hokusai:* resetchannels +@all -@dangerous -@admin", false, true),
        ("~hokusai:* &hokusai:* +@all -@sortedset", true, false),
        ("~hokusai:* &hokusai:* +@all -@sortedset -publish", false, true),
        ("~hokusai:* &hokusai:* +ping +set", false, false),
        ("~other:* &* +@all", false, false),
    ] {
        let user = ["acl", "setuser", "gateway", "reset", "on", ">obviously"];
        let set = redis.cli(&[&user[..], &rules.split(' ').collect::<Vec<_>>()].concat());
        assert_eq!(set.trim(), "OK", "{rules}");
        let mut settings = vec![("REDIS_URL", &*url)];
        settings.extend(by_service.then_some((service.0, &*service.1)));
        let report = probe(&settings).await;
        if is_enough {
            assert!(report.failed().is_empty(), "{rules}: {}", report.printed);
        } else {
            report.assert_failed(AUTHENTICATION, "ACL is too narrow");
        }
    }
}

#[actix_web::test]
async fn a_replica_is_named() {
    let master = Redis::start(&[]);
    let replica = Redis::start(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
    probe(&[("REDIS_URL", &replica.url())]).await.assert_failed(AUTHENTICATION, "is a replica");
}

#[actix_web::test]
async fn a_redis_that_wants_tls_or_is_not_trusted_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::self_signed(&folder.path().join("certificate"));
    let port = free_port();
    let (tls, path) = (port.to_string(), certificate.path());
    let files = ["--tls-cert-file", path, "--tls-key-file", certificate.key(), "--tls-ca-cert-file", path];
    let _redis = Redis::start(&[&["--tls-port", &tls, "--tls-auth-clients", "no"][..], &files].concat());
    probe(&[("REDIS_URL", &format!("redis://127.0.0.1:{port}"))])
        .await
        .assert_failed(AUTHENTICATION, "rediss://");
    let url = format!("rediss://127.0.0.1:{port}");
    let trusted = probe(&[("REDIS_URL", &url), ("SSL_CERT_FILE", path)]).await;
    assert!(trusted.failed().is_empty(), "{}", trusted.printed);
    probe(&[("REDIS_URL", &url)]).await.assert_failed("redis.tls", "no trusted authority");
}

#[actix_web::test]
async fn a_redis_that_is_not_there_is_named_and_costs_no_request_its_answer() {
    let auth = auth_service().await;
    let nobody = "redis://127.0.0.1:1";
    let report = probe(&[("REDIS_URL", nobody), ("HOKUSAI_AUTH_SERVICE_URL", &auth.url())]).await;
    report.assert_failed("redis.tcp", "nothing listens");

    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default()
        .set("AUTH__SERVICE__URL", &auth.url())
        .set("REDIS__URL", nobody)
        .start(&mlflow)
        .await;
    let get = "GET /api/2.0/mlflow/runs/get HTTP/1.1\r\nhost: a\r\nauthorization: Bearer good-key\r\n\r\n";
    assert_eq!(ask(gateway.address, get).await.status, 200);
}
