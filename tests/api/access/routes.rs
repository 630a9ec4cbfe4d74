//! Every route of MLflow, and the scopes that allow it.

use hokusai_gateway::{
    routing::{RouteTable, Rule},
    vocabulary::RouteClass,
};

use super::{DELETE_RUN, with_body};
use crate::support::{GatewayBuilder, Server, ask, server::Answer};

/// A path that a row of the table is found by.
fn sample(rule: &Rule) -> String {
    let segments = rule.pattern.split('/').map(|segment| match segment.find('{') {
        Some(at) if segment[at..].starts_with("{*") => "a/b".to_owned(),
        Some(at) => {
            let end = segment.find('}').unwrap();
            format!("{}x{}", &segment[..at], &segment[end + 1..])
        }
        None => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

/// What interface and documentation say of the scopes, apart from the code.
fn allows(scope: Option<&str>, class: RouteClass) -> bool {
    use RouteClass as Class;
    match scope {
        Some("mlflow:read") => [Class::Read, Class::ArtifactRead, Class::Ui].contains(&class),
        Some("mlflow:write") => [
            Class::Write,
            Class::RegistryWrite,
            Class::RegistryPromote,
            Class::ArtifactWrite,
            Class::TraceWrite,
        ]
        .contains(&class),
        Some("mlflow:delete") => class == Class::Delete,
        Some("mlflow:admin") => true,
        _ => false,
    }
}

#[actix_web::test]
async fn every_route_is_forwarded_for_the_scopes_that_allow_it_and_for_no_others() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let table = RouteTable::open(None).unwrap();
    assert!(table.rules().len() > 400);
    let mut expected = Vec::new();
    for scope in
        [None, Some("mlflow:read"), Some("mlflow:write"), Some("mlflow:delete"), Some("mlflow:admin")]
    {
        let gateway = GatewayBuilder::default()
            .set("LIMITS__MODE", "off")
            .set("MLFLOW__DIRECT_ARTIFACTS", "allow")
            .scopes(scope.as_slice())
            .start(&mlflow)
            .await;
        // MLflow reads a GraphQL request from its body only, and a GET has none.
        for rule in
            table.rules().iter().filter(|rule| (rule.method.as_str(), &*rule.pattern) != ("GET", "/graphql"))
        {
            let (path, body) = (sample(rule), body_for(rule));
            let rest = format!("content-length: {}\r\n\r\n{body}", body.len());
            let request = gateway.request(rule.method.as_str(), &format!("/api/mlflow{path}"), &rest);
            let response = ask(gateway.address, request).await;
            let what = format!("{} {path}", rule.method);
            if allows(scope, rule.class) {
                assert_eq!(response.status, 200, "{what} with {scope:?}");
                expected.push(what);
            } else {
                let denied = (response.status, response.reason());
                assert_eq!(denied, (403, "scope_missing".to_owned()), "{what} with {scope:?}");
            }
        }
    }
    let seen: Vec<String> =
        mlflow.requests().into_iter().map(|seen| seen.line.replace(" HTTP/1.1", "")).collect();
    assert_eq!(seen, expected);
}

fn body_for(rule: &Rule) -> &'static str {
    match (rule.method.as_str(), &*rule.pattern) {
        ("GET", _) => "",
        (_, "/graphql") => r#"{"query": "{ a }"}"#,
        _ => "{}",
    }
}

#[actix_web::test]
async fn a_denial_says_in_mlflows_words_what_is_missing() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default().scopes(&["model:read"]).start(&mlflow).await;
    let response = ask(gateway.address, with_body(&gateway, "POST", DELETE_RUN, "{}", false)).await;
    assert_eq!(response.status, 403);
    let body = response.json();
    assert_eq!(body["error_code"], "PERMISSION_DENIED");
    assert_eq!(body["reason"], "scope_missing");
    assert_eq!(
        body["message"],
        "this API key may not POST /api/2.0/mlflow/runs/delete: it needs the scope mlflow:delete or mlflow:admin, \
         and has model:read"
    );
    assert_eq!(body["detail"], body["message"]);
    assert!(response.header("www-authenticate").is_none());
}

#[actix_web::test]
async fn report_lets_through_what_it_would_have_denied_but_nothing_that_is_unknown() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    for mode in ["report", "off"] {
        let gateway = GatewayBuilder::default().set("POLICY__MODE", mode).scopes(&[]).start(&mlflow).await;
        let delete = with_body(&gateway, "POST", DELETE_RUN, "{}", false);
        assert_eq!(ask(gateway.address, delete).await.status, 200, "{mode}");
        let mutation = with_body(&gateway, "POST", "/graphql", r#"{"query": "mutation { a }"}"#, false);
        assert_eq!(ask(gateway.address, mutation).await.status, 200, "{mode}");
        assert_eq!(gateway.get("/api/2.0/mlflow/secrets").await.reason(), "route_unknown", "{mode}");
    }
}
