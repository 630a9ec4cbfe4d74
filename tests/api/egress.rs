//! What MLflow is sent where it passes headers on to somebody else, and what may steer it nowhere.

use hokusai_gateway::auth::{key::Environment, key_file::edit::NewKey};

use crate::support::{
    GatewayBuilder, Server, ask,
    server::{Answer, Recorded},
};

const SEARCH: &str = "/api/mlflow/api/2.0/mlflow/experiments/search";
const CALL: &str = "/api/mlflow/gateway/openai/v1/chat/completions";

/// What a client may say, each name once.
const SAID: &str = "accept: application/json\r\nanthropic-beta: b\r\nanthropic-version: v\r\ncontent-type: application/json\r\n\
    content-encoding: zstd\r\nopenai-beta: o\r\nuser-agent: claude-cli/2\r\nx-mlflow-workspace: w\r\n\
    cookie: a=b\r\nx-forwarded-for: 192.0.2.66\r\nforwarded: for=192.0.2.66\r\nx-real-ip: 192.0.2.66\r\n\
    via: 1.1 proxy.example\r\nx-request-id: of-the-client\r\norigin: http://a\r\nreferer: http://a/b\r\n\
    traceparent: 00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01\r\ntracestate: a=b\r\nbaggage: a=b\r\n\
    x-hokusai-user-id: root\r\nx-mlflow-authorization: Basic bGll\r\nx-mlflow-guardrail-bypass: 1\r\n\
    x-mlflow-gateway-caller: judge\r\nx-mlflow-client-version: 3\r\nx-mlflow-run-id: r\r\napi-key: k\r\n\
    x-goog-api-key: k\r\nopenai-organization: o\r\nx-portkey-config: c\r\nx-anything: a\r\n";

fn names(seen: &Recorded) -> Vec<&str> {
    let mut names: Vec<_> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names
}

#[actix_web::test]
async fn where_mlflow_passes_headers_on_only_a_list_of_them_reaches_it() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__AUTH", "bearer")
        .set("MLFLOW__TOKEN", "of-mlflow")
        .set("MLFLOW__HOST_HEADER", "client")
        .scopes(&["mlflow:gateway_invoke"])
        .start(&mlflow)
        .await;
    // However its path is written, and whatever the method is.
    for (method, path) in [
        ("POST", CALL),
        ("POST", "/mlflow/gateway/openai/v1/chat/completions"),
        ("POST", "/api/mlflow/g%61teway/proxy/e/v1/anything"),
        ("POST", "/api/mlflow/gateway/e/mlflow/invocations"),
        ("GET", "/api/mlflow/gateway/mlflow/v1/models"),
    ] {
        let response = ask(gateway.address, gateway.request(method, path, SAID)).await;
        assert_eq!(response.status, 200, "{path}");
        let seen = mlflow.requests().pop().unwrap();
        let expected = [
            "accept",
            "anthropic-beta",
            "anthropic-version",
            "content-encoding",
            "content-type",
            "date",
            "host",
            "openai-beta",
            "user-agent",
            "via",
            "x-mlflow-authorization",
            "x-mlflow-workspace",
        ];
        assert_eq!(names(&seen), expected, "{path}");
        assert_eq!(seen.header("x-mlflow-authorization"), Some("Bearer of-mlflow"));
        assert_eq!(seen.header("via"), Some("1.1 hokusai-gateway-hop"));
        // MLflow calls itself by it.
        assert_eq!(seen.header("host"), Some(mlflow.address.to_string().as_str()));
    }
}

#[actix_web::test]
async fn a_row_of_the_operators_own_changes_nothing_about_it() {
    let rows = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&rows, "[write]\nPOST /gateway/openai/v1/chat/completions\n").unwrap();
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default()
        .set("MLFLOW__ROUTES_FILE", rows.path().to_str().unwrap())
        .start(&mlflow)
        .await;
    assert_eq!(ask(gateway.address, gateway.request("POST", CALL, SAID)).await.status, 200);
    assert!(!names(&mlflow.request()).contains(&"x-hokusai-user-id"));
}

#[actix_web::test]
async fn a_key_that_is_bound_has_its_workspace_there_too() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let workspace = Some("team-a".to_owned().try_into().unwrap());
    let scopes = Some(vec!["mlflow:gateway_invoke".to_owned()]);
    let key = NewKey { workspace, scopes, ..NewKey::of("ada", Environment::Test) };
    let gateway = GatewayBuilder::default().key(key).start(&mlflow).await;
    assert_eq!(ask(gateway.address, gateway.request("POST", CALL, SAID)).await.status, 200);
    assert_eq!(mlflow.request().all("x-mlflow-workspace").collect::<Vec<_>>(), ["team-a"]);
}

#[actix_web::test]
async fn what_steers_mlflow_never_passes_and_what_its_clients_say_does() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default().scopes(&["mlflow:admin"]).start(&mlflow).await;
    for path in [SEARCH, "/ajax-api/2.0/mlflow/gateway-proxy", "/api/3.0/mlflow/traces/get"] {
        let told = "x-mlflow-experiment-id: 7\r\n";
        ask(gateway.address, gateway.request("GET", path, &format!("{SAID}{told}"))).await;
        let seen = mlflow.requests().pop().unwrap();
        for name in [
            "x-mlflow-authorization",
            "x-mlflow-guardrail-bypass",
            "x-mlflow-gateway-caller",
            "api-key",
            "x-goog-api-key",
        ] {
            assert_eq!(seen.header(name), None, "{path}: {name}");
        }
        let clients = [
            ("x-mlflow-client-version", "3"),
            ("x-mlflow-run-id", "r"),
            ("x-mlflow-experiment-id", "7"),
            ("x-mlflow-workspace", "w"),
            ("x-anything", "a"),
        ];
        for (name, value) in clients {
            assert_eq!(seen.header(name), Some(value), "{path}: {name}");
        }
    }
}

#[actix_web::test]
async fn a_key_that_would_go_on_in_a_query_goes_nowhere() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default().scopes(&["mlflow:gateway_invoke"]).start(&mlflow).await;
    let proxied = "/api/mlflow/gateway/proxy/e/v1/anything";
    let encoded = gateway.key.replace('_', "%5f");
    for target in [
        format!("{proxied}?key={}", gateway.key),
        format!("{proxied}?alt=sse&key={encoded}"),
        format!("{proxied}/{}", gateway.key),
    ] {
        let response = ask(gateway.address, gateway.request("POST", &target, "")).await;
        assert_eq!((response.status, response.reason().as_str()), (400, "credential_ambiguous"), "{target}");
        assert!(mlflow.requests().is_empty(), "{target}");
    }
    let response = ask(gateway.address, gateway.request("POST", &format!("{proxied}?alt=sse"), "")).await;
    assert_eq!((response.status, mlflow.requests().len()), (200, 1));
}
