//! Who may do what: every route of MLflow, and what its bodies say.

use hokusai_gateway::routing::{RouteClass, RouteTable, Rule};

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
        Some("mlflow:write") => {
            [Class::Write, Class::RegistryWrite, Class::ArtifactWrite, Class::TraceWrite].contains(&class)
        }
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
            .scopes(scope.as_slice())
            .start(&mlflow)
            .await;
        for rule in table.rules() {
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
    match (rule.method.as_str(), rule.pattern.as_str()) {
        ("GET", _) => "",
        (_, "/graphql") => r#"{"query": "{ a }"}"#,
        _ => "{}",
    }
}
