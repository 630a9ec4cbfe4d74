//! Who decides which version of a model is in use: aliases and stages, apart from registering.

use std::collections::BTreeSet;

use hokusai_gateway::{routing::RouteTable, vocabulary::RouteClass};
use serde_json::Value;

use crate::support::{
    Gateway, GatewayBuilder, Server, ask, client::Response, gateway::create_key, process::command,
    server::Answer,
};

const REGISTER: (&str, &str) = ("POST", "/api/2.0/mlflow/model-versions/create");
const SET_ALIAS: (&str, &str) = ("POST", "/api/2.0/mlflow/registered-models/alias");

/// A request of each row that promotes.
const PROMOTING: [(&str, &str); 12] = [
    SET_ALIAS,
    ("DELETE", "/api/2.0/mlflow/registered-models/alias"),
    ("POST", "/api/2.0/mlflow/model-versions/transition-stage"),
    ("POST", "/api/2.0/mlflow/registered-models/rename"),
    ("POST", "/api/3.0/mlflow/skills/reviewer/aliases"),
    ("POST", "/api/3.0/mlflow/skills/@acme/reviewer/aliases"),
    ("DELETE", "/api/3.0/mlflow/skills/reviewer/aliases/champion"),
    ("DELETE", "/api/3.0/mlflow/skills/@acme/reviewer/aliases/champion"),
    ("PATCH", "/api/3.0/mlflow/skills/reviewer/versions/1"),
    ("PATCH", "/api/3.0/mlflow/skills/@acme/reviewer/versions/1"),
    ("POST", "/api/3.0/mlflow/mcp-servers/io.example/server/aliases"),
    ("PATCH", "/api/3.0/mlflow/mcp-servers/io.example/server/versions/1"),
];

async fn send(gateway: &Gateway, (method, target): (&str, &str)) -> Response {
    let rest = "content-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    ask(gateway.address, gateway.request(method, target, rest)).await
}

async fn gateway(mlflow: &Server, promotion: &str, scopes: &[&str]) -> Gateway {
    let promotion = GatewayBuilder::default().set("POLICY__PROMOTION", promotion);
    promotion.set("LIMITS__MODE", "off").scopes(scopes).start(mlflow).await
}

#[actix_web::test]
async fn each_scope_promotes_and_registers_where_the_setting_says_so() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    for (scopes, promotion, promotes, registers) in [
        (&["mlflow:write"][..], "write", true, true),
        (&["mlflow:write"], "separate", false, true),
        (&["mlflow:read", "mlflow:write", "mlflow:delete"], "separate", false, true),
        (&["full_access"], "separate", false, true),
        (&["mlflow:write", "mlflow:promote"], "separate", true, true),
        (&["mlflow:promote"], "write", true, false),
        (&["mlflow:promote"], "separate", true, false),
        (&["mlflow:registry_write"], "write", false, true),
        (&["mlflow:registry_write"], "separate", false, true),
        (&["mlflow:read"], "write", false, false),
        (&["mlflow:admin"], "separate", true, true),
    ] {
        let gateway = gateway(&mlflow, promotion, scopes).await;
        let before = mlflow.requests().len();
        let status = |may: bool| if may { 200 } else { 403 };
        for request in PROMOTING {
            let response = send(&gateway, request).await;
            assert_eq!(response.status, status(promotes), "{request:?} with {scopes:?}, {promotion}");
        }
        assert_eq!(send(&gateway, REGISTER).await.status, status(registers), "{scopes:?}, {promotion}");
        let forwarded = PROMOTING.len() * usize::from(promotes) + usize::from(registers);
        assert_eq!(mlflow.requests().len() - before, forwarded, "{scopes:?}, {promotion}");
    }
}

#[actix_web::test]
async fn a_key_that_may_write_is_told_which_scope_promotes() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let response = send(&gateway(&mlflow, "separate", &["mlflow:write"]).await, SET_ALIAS).await;
    assert_eq!(response.reason(), "scope_missing");
    assert_eq!(
        response.json()["message"],
        "this API key may not POST /api/2.0/mlflow/registered-models/alias: it needs the scope mlflow:promote or \
         mlflow:admin, and has mlflow:write"
    );
    assert!(mlflow.requests().is_empty());
}

#[test]
fn every_row_that_promotes_is_asked_above() {
    let table = RouteTable::open(None).unwrap();
    let rules = table.rules().iter().filter(|rule| rule.class == RouteClass::RegistryPromote);
    let rows: BTreeSet<_> = rules.map(|rule| (rule.method.to_string(), rule.pattern.clone())).collect();
    let api = rows.iter().filter(|(_, pattern)| pattern.starts_with("/api/"));
    let twins = rows.iter().filter(|(_, pattern)| pattern.starts_with("/ajax-api/"));
    assert_eq!((api.count(), twins.count()), (PROMOTING.len(), PROMOTING.len()), "{rows:?}");
}

#[test]
fn an_operator_sees_what_promoting_requires_under_the_setting() {
    let folder = tempfile::tempdir().unwrap();
    create_key(&folder.path().join("keys.toml"), "ada", None);
    for (promotion, expected) in [
        ("write", &["mlflow:promote", "mlflow:write", "mlflow:admin"][..]),
        ("separate", &["mlflow:promote", "mlflow:admin"]),
    ] {
        let json = |arguments: &[&str]| -> Value {
            let output = command(folder.path())
                .args(arguments)
                .args(["--format", "json"])
                .env("MLFLOW_SERVER_URL", "http://127.0.0.1:5000")
                .env("HOKUSAI__POLICY__PROMOTION", promotion)
                .output();
            serde_json::from_slice(&output.unwrap().stdout).unwrap()
        };
        let (method, path) = SET_ALIAS;
        let explained = json(&["explain", "--method", method, "--path", path]);
        assert_eq!(explained["scopes_wanted"], serde_json::json!(expected), "{promotion}");
        let routes = json(&["routes"]);
        let mut rows = routes.as_array().unwrap().iter();
        let row = rows.find(|row| row["method"] == method && row["path"] == path).unwrap();
        assert_eq!(
            (&row["class"], &row["scopes"]),
            (&"registry_promote".into(), &serde_json::json!(expected))
        );
    }
}
