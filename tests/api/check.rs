//! What `check` says of settings, and of what they lead to.

use crate::support::{
    Server,
    commands::{check, folder_with_a_key, mlflow},
    process::command,
    server::Answer,
};
use serde_json::Value;

/// Exit code, and what is said of the one check that fails.
async fn probed(settings: &[(&str, String)]) -> (Option<i32>, String) {
    let impatient = [
        ("HOKUSAI__MLFLOW__CONNECT_TIMEOUT", "100ms"),
        ("HOKUSAI__MLFLOW__PROBE_INTERVAL", "40ms"),
        ("HOKUSAI__AUTH__SERVICE__TIMEOUT", "200ms"),
    ];
    let given = settings.iter().map(|(name, value)| (*name, &**value));
    let report = check(&["--probe"], &impatient.into_iter().chain(given).collect::<Vec<_>>()).await;
    let failed = report.failed();
    assert!(failed.len() < 2, "{failed:?}");
    let told = failed.into_iter().next().map(|(name, words)| format!("{name} | {words}"));
    (report.code, told.unwrap_or_default())
}

#[actix_web::test]
async fn problems_warnings_and_what_to_write_are_told_to_programs_too() {
    let report = check(&[], &[("HOKUSAI__SERVER__WORKERS", "many")]).await;
    let said = &report.said;
    assert_eq!((report.code, &said["ok"]), (Some(64), &false.into()));
    let keys: Vec<_> = said["problems"].as_array().unwrap().iter().map(|problem| &problem["key"]).collect();
    assert_eq!(keys, ["server.workers", "mlflow.url"]);
    assert_eq!(said["problems"][0]["found"], "a text of 4 characters, in the environment");
    assert_eq!(said["problems"][0]["write"], "a whole number");
    assert_eq!(said["problems"][1]["variables"][1], "MLFLOW_SERVER_URL");

    let risky = [("MLFLOW_SERVER_URL", "http://127.0.0.1:1"), ("HOKUSAI__POLICY__MODE", "off")];
    let report = check(&[], &risky).await;
    let said = &report.said;
    assert_eq!((report.code, &said["ok"]), (Some(0), &true.into()));
    assert_eq!(said["warnings"][0]["key"], "policy.mode");
    assert_eq!(said["config_hash"].as_str().unwrap().len(), 16);
}

#[test]
fn files_that_are_missing_are_told_with_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path())
        .args(["check", "--format", "json"])
        .env("MLFLOW_SERVER_URL", "https://mlflow")
        .env("HOKUSAI__MLFLOW__TLS__CA", "none/ca.pem")
        .env("HOKUSAI__MLFLOW__ROUTES_FILE", "none/more.routes")
        .env("HOKUSAI__AUDIT__OUTPUT", "none/audit.jsonl")
        .env("HOKUSAI__SERVER__TLS__CERT", "none/cert.pem")
        .env("HOKUSAI__SERVER__TLS__KEY", "none/key.pem")
        .env("HOKUSAI__LIMITS__PER_HOUR", "none")
        .env("HOKUSAI__AUTH__PEPPER_FILE", "none/pepper")
        .env("HOKUSAI__AUDIT__MAX_SIZE", "1MiB")
        .output()
        .unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let problems = said["problems"].as_array().unwrap();
    let mut keys: Vec<_> = problems
        .iter()
        .map(|problem| (problem["key"].as_str().unwrap(), problem["found"].as_str().unwrap_or_default()))
        .collect();
    keys.sort_unstable();
    let expected = [
        ("audit.output", "none/audit.jsonl"),
        ("auth.pepper_file", "a text of 11 characters, in the environment"),
        ("limits.per_hour", "a text of 4 characters, in the environment"),
        ("mlflow.routes_file", ""),
        ("mlflow.tls.ca", "none/ca.pem"),
        ("server.tls.cert", "none/cert.pem"),
    ];
    assert_eq!((output.status.code(), &keys[..]), (Some(64), &expected[..]));
}

#[actix_web::test]
async fn a_settings_file_that_is_not_there_has_no_variable_and_risks_are_told_beside_problems() {
    let said = check(&["--config", "none.toml"], &[]).await.said;
    assert_eq!(said["problems"][0]["variables"], serde_json::json!([]));
    let odd = [("HOKUSAI__POLICY__MODE", "off"), ("MLFLOW_SERVER_URL", "http://a"), ("HOKUSAI__X", "1")];
    let said = check(&[], &odd).await.said;
    assert_eq!(
        (&said["warnings"][0]["key"], &said["problems"][0]["key"]),
        (&"policy.mode".into(), &"…".into())
    );
}

#[test]
fn a_key_file_that_lets_nobody_in_is_warned_about() {
    let folder = folder_with_a_key();
    let run = |arguments: &[&str]| {
        let mut command = command(folder.path());
        command.args(arguments).env("MLFLOW_SERVER_URL", "http://127.0.0.1:1");
        let output = command.env("HOKUSAI__SERVER__BIND", "127.0.0.1:0").output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    assert_eq!(run(&["check", "--format", "json"])["warnings"], serde_json::json!([]));
    let id = run(&["keys", "list", "--format", "json"])[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(run(&["keys", "revoke", &id, "--format", "json"])["revoked"], true);
    assert_eq!(run(&["check", "--format", "json"])["warnings"][0]["key"], "auth.key_file.path");
}

#[actix_web::test]
async fn a_well_mlflow_passes_and_is_asked_as_the_gateway_asks() {
    let mlflow = mlflow(|_| None).await;
    let settings = [
        ("MLFLOW_SERVER_URL", format!("{}/behind", mlflow.url())),
        ("HOKUSAI__MLFLOW__HOST_HEADER", "mlflow.internal".to_owned()),
        ("HOKUSAI__MLFLOW__AUTH", "bearer".to_owned()),
        ("HOKUSAI__MLFLOW__TOKEN", "for-mlflow".to_owned()),
    ];
    // The path of its URL comes before every path.
    let (code, failed) = probed(&settings).await;
    assert_eq!(code, Some(69));
    assert!(failed.contains("mlflow.api | /api answered 404"), "{failed}");
    let seen = mlflow.requests();
    assert!(seen.iter().all(|request| request.target().starts_with("/behind/")), "{seen:?}");
    assert!(seen.iter().all(|request| request.header("host") == Some("mlflow.internal")));
    assert!(seen.iter().all(|request| request.header("authorization") == Some("Bearer for-mlflow")));
}

#[actix_web::test]
async fn what_is_wrong_with_mlflow_is_told_apart() {
    let api = |answer: fn() -> Answer| move |path: &str| path.contains("/experiments/search").then(answer);
    let of = |name: &'static str, answer: fn() -> Answer| move |path: &str| path.contains(name).then(answer);
    let gateways = "HTTP/1.1 401 X\r\nx-hokusai-error-source: gateway\r\ncontent-length: 2\r\n\r\n{}";
    for (server, expected) in [
        (mlflow(|_| None).await, ""),
        // Clients have made what it tells, and what its store holds.
        (mlflow(api(|| Answer::ok(&format!(r#"{{"a": "{}"}}"#, "a".repeat(5_000_000))))).await, ""),
        (mlflow(of("mlflow-artifacts", || Answer::ok(&"a".repeat(5_000_000)))).await, ""),
        (mlflow(of("/health", || Answer::Silence)).await, "mlflow.http | "),
        (mlflow(of("/health", || Answer::bytes("SSH-2.0-OpenSSH_9\r\n"))).await, "gives no HTTP answer"),
        (mlflow(of("/health", || Answer::json(503, "no servers"))).await, "answered its /health with 503"),
        (
            mlflow(api(|| Answer::json(401, "who are you"))).await,
            "MLflow refuses the gateway (401: who are you)",
        ),
        (
            mlflow(api(|| Answer::json(403, "Invalid Host header - possible DNS rebinding"))).await,
            "--allowed-hosts 127.0.0.1:",
        ),
        (mlflow(api(|| Answer::Silence)).await, "hangs when it needs its database"),
        (mlflow(api(|| Answer::ok("<html>"))).await, "/api answered 200: <html>"),
        (
            mlflow(of("mlflow-artifacts", || Answer::json(503, "--no-serve-artifacts"))).await,
            "mlflow.artifacts | artifacts cannot be listed: 503",
        ),
        (
            mlflow(move |path| path.contains("/experiments/search").then(|| Answer::bytes(gateways))).await,
            "leads back to a gateway",
        ),
    ] {
        let (code, failed) = probed(&[("MLFLOW_SERVER_URL", server.url())]).await;
        assert_eq!(code, Some(if expected.is_empty() { 0 } else { 69 }), "{expected}");
        assert!(
            failed.contains(expected) && failed.is_empty() == expected.is_empty(),
            "{expected}: {failed}"
        );
    }
}

#[actix_web::test]
async fn artifact_servers_are_asked_for_artifacts_only() {
    let (api, artifacts) = (
        mlflow(|path| path.contains("artifacts").then(|| Answer::json(404, ""))).await,
        mlflow(|_| None).await,
    );
    let settings = [("MLFLOW_SERVER_URL", api.url()), ("HOKUSAI__MLFLOW__ARTIFACTS_URL", artifacts.url())];
    assert_eq!(probed(&settings).await, (Some(0), String::new()));
    assert!(artifacts.requests().iter().all(|request| !request.target().contains("experiments")));
}

#[actix_web::test]
async fn what_is_wrong_with_the_auth_service_is_told_apart() {
    let mlflow = mlflow(|_| None).await;
    let no = || Answer::ok(r#"{"is_valid": false}"#);
    for (answer, expected) in [
        (no as fn() -> Answer, "auth.key | the key is refused for the service `platform`"),
        (
            || Answer::json(403, r#"{"error": "no"}"#),
            "auth.key | the key is refused for the service `platform`",
        ),
        (
            || Answer::json(404, r#"{"detail": "Not Found"}"#),
            "something else than an auth service answers at this address",
        ),
        (|| Answer::json(401, "{}"), "auth.service.bare_refusals = true"),
        (|| Answer::json(403, ""), "answered 403 with application/json, which is not how a key is refused"),
        (|| Answer::page(404), "answered 404 with text/html, which is not how a key is refused"),
        (|| Answer::page(403), "the page of a load balancer or a firewall, not an answer"),
        (|| Answer::ok(r#"{"status": "ok"}"#), "something else than an auth service answers at this address"),
        (|| Answer::ok(r#"{"is_valid": true, "service_id": "x; rm"}"#), "accepts an invalid key"),
        (|| Answer::Silence, "no answer in time"),
        (|| Answer::page(200), "answered 200 with text/html, which is not JSON"),
        (|| Answer::ok("<html>"), "the page of a load balancer"),
        (|| Answer::json(405, ""), "something else than the auth service answers"),
        (|| Answer::json(503, ""), "the load balancer before it has no server"),
        (|| Answer::Close, "does not speak HTTP"),
    ] {
        let auth = Server::start(move |_| answer()).await;
        let settings = [
            ("MLFLOW_SERVER_URL", mlflow.url()),
            ("HOKUSAI_AUTH_SERVICE_URL", auth.url()),
            ("HOKUSAI_API_KEY", "a-key".to_owned()),
        ];
        let (code, failed) = probed(&settings).await;
        assert_eq!(code, Some(69), "{expected}");
        assert!(failed.contains(expected), "{expected}: {failed}");
    }
}

#[actix_web::test]
async fn an_auth_service_that_says_404_of_an_unknown_key_is_one() {
    let (mlflow, auth) = (
        mlflow(|_| None).await,
        Server::start(|request| match request.target() {
            "/api/v1/keys/validate" => Answer::json(404, r#"{"detail": "no such key"}"#),
            _ => Answer::json(404, r#"{"detail": "Not Found"}"#),
        })
        .await,
    );
    let settings = [("MLFLOW_SERVER_URL", mlflow.url()), ("HOKUSAI_AUTH_SERVICE_URL", auth.url())];
    assert_eq!(probed(&settings).await, (Some(0), String::new()));
}

#[actix_web::test]
async fn what_is_sent_to_mlflow_is_never_printed_whatever_it_sends_back() {
    for (settings, secrets) in [
        (vec![("AUTH", "bearer"), ("TOKEN", "s3cr3t-token")], ["s3cr3t-token", "-"]),
        // As curl -u gateway:s3cr3t-password sends it.
        (
            vec![("AUTH", "basic"), ("USERNAME", "gateway"), ("PASSWORD", "s3cr3t-password")],
            ["s3cr3t-password", "Z2F0ZXdheTpzM2NyM3QtcGFzc3dvcmQ"],
        ),
    ] {
        let echo = Server::start(|request| {
            let said = request.header("authorization").unwrap_or_default();
            let value = said.rsplit(' ').next().unwrap();
            // Escaped, cut in the middle by whoever shortens it, and as it came.
            let escaped: String = value.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
            let body = format!(r#"{{"x": "{escaped}", "y": "{}{value}"}}"#, "z".repeat(340));
            Answer::json(500, &body)
        })
        .await;
        let folder = folder_with_a_key();
        let mut command = command(folder.path());
        command.args(["check", "--probe"]).env("MLFLOW_SERVER_URL", echo.url());
        command.envs(settings.iter().map(|(name, value)| (format!("HOKUSAI__MLFLOW__{name}"), *value)));
        let output = actix_web::web::block(move || command.output().unwrap()).await.unwrap();
        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(printed.contains("FAIL  mlflow.http") && printed.contains("(the key)"), "{printed}");
        for secret in secrets.iter().filter(|secret| secret.len() > 1) {
            assert!(!printed.contains(&secret[..secret.len() - 2]), "{secret}: {printed}");
        }
    }
}

#[actix_web::test]
async fn a_secret_that_is_a_word_is_taken_out_of_others_words_only() {
    let echo = Server::start(|_| Answer::json(500, r#"{"said": "no /health of mine"}"#)).await;
    let folder = folder_with_a_key();
    let mut command = command(folder.path());
    command.args(["check", "--probe"]).env("MLFLOW_SERVER_URL", echo.url());
    let basic = [("AUTH", "basic"), ("USERNAME", "gateway"), ("PASSWORD", "health")];
    command.envs(basic.map(|(name, value)| (format!("HOKUSAI__MLFLOW__{name}"), value)));
    let output = actix_web::web::block(move || command.output().unwrap()).await.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("answered its /health with 500"), "{printed}");
    assert!(printed.contains(r#"{"said":"no /(the key) of mine"}"#), "{printed}");
}
