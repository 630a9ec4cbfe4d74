//! Who may do what: every route of MLflow, and what its bodies say.

use hokusai_gateway::{
    routing::{RouteTable, Rule},
    vocabulary::RouteClass,
};

use crate::support::{Gateway, GatewayBuilder, Server, ask, client::Connection, eventually, server::Answer};

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
    match (rule.method.as_str(), rule.pattern.as_str()) {
        ("GET", _) => "",
        (_, "/graphql") => r#"{"query": "{ a }"}"#,
        _ => "{}",
    }
}

/// Sends a body of JSON, in the framing that is asked for.
fn with_body(gateway: &Gateway, method: &str, target: &str, body: &str, chunked: bool) -> String {
    let framed = if chunked && !body.is_empty() {
        format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
    } else {
        format!("content-length: {}\r\n\r\n{body}", body.len())
    };
    gateway.request(method, target, &format!("content-type: application/json\r\n{framed}"))
}

const DELETE_RUN: &str = "/api/2.0/mlflow/runs/delete";
const DELETE_MODEL: &str = "/ajax-api/2.0/mlflow/registered-models/delete";
const RENAME: &str = "/api/2.0/mlflow/registered-models/rename";

#[actix_web::test]
async fn a_body_that_names_its_subject_is_read_in_one_way_and_sent_on_whole() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    for chunked in [false, true] {
        for (method, target, body) in [
            ("POST", DELETE_RUN, "{ \"run_id\":\"1\" }\n"),
            ("DELETE", DELETE_MODEL, r#"{"name": "a", "other": {"name": "b"}}"#),
            ("DELETE", DELETE_MODEL, ""),
            ("POST", RENAME, "{\"name\": \"\u{e9}\", \"new_name\": \"\\u00e9\"}"),
        ] {
            let response = ask(gateway.address, with_body(&gateway, method, target, body, chunked)).await;
            assert_eq!(response.status, 200, "{target} {body}");
            let seen = mlflow.requests().pop().unwrap();
            assert_eq!(seen.text(), body);
            // MLflow takes chunks for an empty body.
            assert_eq!(seen.header("content-length"), Some(&*body.len().to_string()));
            assert_eq!(seen.header("transfer-encoding"), None);
        }
    }
}

#[actix_web::test]
async fn a_body_that_could_be_read_in_two_ways_is_refused() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default().scopes(&["mlflow:admin"]).start(&mlflow).await;
    for (method, target) in [
        ("POST", DELETE_RUN),
        ("DELETE", DELETE_MODEL),
        ("POST", RENAME),
        ("POST", "/api/2.0/mlflow/webhooks"),
    ] {
        for body in [
            r#"{"run_id": "1", "run_id": "2"}"#,
            r#"{"experiment_id": "1", "experimentId": "2"}"#,
            r#"{"a": [{"experimentId": "1", "experiment_id": "1"}]}"#,
            r#""{\"run_id\": \"1\", \"run_id\": \"2\"}""#,
            "[]",
            "run_id=1",
            "{",
        ] {
            for chunked in [false, true] {
                let request = with_body(&gateway, method, target, body, chunked);
                let response = ask(gateway.address, request).await;
                let told = (response.status, response.reason());
                assert_eq!(told, (400, "ambiguous_body".to_owned()), "{method} {target} {body}");
            }
        }
    }
    assert!(mlflow.requests().is_empty());
}

#[actix_web::test]
async fn a_body_that_is_read_is_at_most_1_mib() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let body_of = |size: usize| format!(r#"{{"run_id": "{}"}}"#, "x".repeat(size - 14));
    for chunked in [false, true] {
        let fits = with_body(&gateway, "POST", DELETE_RUN, &body_of(1024 * 1024), chunked);
        assert_eq!(ask(gateway.address, fits).await.status, 200);
        let larger = with_body(&gateway, "POST", DELETE_RUN, &body_of(1024 * 1024 + 1), chunked);
        let refused = ask(gateway.address, larger).await;
        assert_eq!((refused.status, refused.reason().as_str()), (413, "body_too_large"));
    }
    assert_eq!(mlflow.requests().len(), 2);
}

#[actix_web::test]
async fn a_body_that_does_not_come_is_not_waited_for_without_end() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = GatewayBuilder::default().set("SERVER__BODY_IDLE_TIMEOUT", "200ms").start(&mlflow).await;
    let stalled = gateway.request("POST", DELETE_RUN, "content-length: 20\r\n\r\n{\"run_id\"");
    let response = ask(gateway.address, stalled).await;
    assert_eq!((response.status, response.reason().as_str()), (408, "body_timeout"));
    let mut broken = Connection::open(gateway.address).await;
    broken.send(gateway.request("POST", DELETE_RUN, "content-length: 20\r\n\r\n{\"run_id\"")).await;
    broken.finish().await;
    assert!([0, 400].contains(&broken.response(false).await.status));
    assert!(mlflow.requests().is_empty());
}

const SET_TAG: &str = "/api/2.0/mlflow/model-versions/set-tag";
const DELETE_TAG: &str = "/ajax-api/2.0/mlflow/model-versions/delete-tag";
const TEXT: &str = r#"{"name": "p", "version": "1", "key": "mlflow.prompt.text", "value": "x"}"#;
const NOTE: &str = r#"{"name": "p", "version": "1", "key": "note", "value": "mlflow.prompt.text"}"#;

#[actix_web::test]
async fn a_tag_that_is_more_than_a_remark_wants_more_than_its_route() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let write = &["mlflow:read", "mlflow:write"][..];
    let delete = &["mlflow:write", "mlflow:delete"];
    let schedule = r#"{"experiment_id": "1", "key": "mlflow.issueDetection.schedule", "value": "{}"}"#;
    let with_schedule =
        r#"{"name": "a", "tags": [{"key": "mlflow.issueDetection.schedule", "value": "{}"}]}"#;
    let place = r#"{"key": "mlflow.artifactLocation", "value": "s3://other"}"#;
    for (scopes, method, target, body, status) in [
        (write, "POST", SET_TAG, NOTE, 200),
        (write, "POST", SET_TAG, TEXT, 403),
        (delete, "POST", SET_TAG, TEXT, 403),
        (&["mlflow:admin"], "POST", SET_TAG, TEXT, 200),
        (write, "DELETE", DELETE_TAG, NOTE, 200),
        (write, "DELETE", DELETE_TAG, TEXT, 403),
        (delete, "DELETE", DELETE_TAG, TEXT, 200),
        (&["mlflow:delete"], "DELETE", DELETE_TAG, TEXT, 403),
        (write, "POST", "/api/2.0/mlflow/experiments/set-experiment-tag", schedule, 403),
        (write, "POST", "/api/2.0/mlflow/experiments/delete-experiment-tag", schedule, 403),
        (write, "POST", "/api/2.0/mlflow/experiments/create", with_schedule, 403),
        (write, "POST", "/api/2.0/mlflow/experiments/create", r#"{"name": "a", "tags": []}"#, 200),
        (write, "PATCH", "/api/3.0/mlflow/traces/tr-1/tags", place, 403),
        (write, "PATCH", "/ajax-api/2.0/mlflow/traces/tr-1/tags", place, 403),
        (write, "DELETE", "/api/3.0/mlflow/traces/tr-1/tags", place, 403),
        (write, "PATCH", "/api/3.0/mlflow/traces/tr-1/tags", r#"{"key": "a", "value": "b"}"#, 200),
    ] {
        let gateway = GatewayBuilder::default().scopes(scopes).start(&mlflow).await;
        let before = mlflow.requests().len();
        let response = ask(gateway.address, with_body(&gateway, method, target, body, false)).await;
        assert_eq!(response.status, status, "{scopes:?} {method} {target} {body}");
        assert_eq!(mlflow.requests().len() - before, usize::from(status == 200), "{target} {body}");
    }
}

#[actix_web::test]
async fn a_denial_for_a_tag_names_it() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    let response = ask(gateway.address, with_body(&gateway, "POST", SET_TAG, TEXT, false)).await;
    assert_eq!((response.status, response.reason().as_str()), (403, "scope_missing"));
    let expected = "this API key may not POST /api/2.0/mlflow/model-versions/set-tag for the protected tag \
                    mlflow.prompt.text: it needs the scope mlflow:admin, and has";
    assert!(response.json()["message"].as_str().unwrap().starts_with(expected), "{}", response.text());
}

#[actix_web::test]
async fn other_bodies_are_never_read() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    for target in ["/api/2.0/mlflow/runs/log-batch", "/v1/traces", "/api/3.0/mlflow/traces"] {
        let mut connection = Connection::open(gateway.address).await;
        // A head is sent on with the first piece of its body.
        let first = format!("content-length: 2000000\r\n\r\n{{\"a\": 1, \"a\": {}", "2".repeat(200_000));
        let begun = mlflow.begun();
        connection.send(gateway.request("POST", target, &first)).await;
        eventually(target, async || mlflow.begun() > begun).await;
    }
}

#[actix_web::test]
async fn a_mutation_wants_more_than_a_query() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let query = r#"{"query": "query A { a } mutation B { b }", "operationName": "A"}"#;
    let mutation = query.replace(r#""A""#, r#""B""#);
    for (scopes, body, status) in [
        (&["mlflow:read"][..], query, 200),
        (&["mlflow:read"], &mutation, 403),
        (&["mlflow:read", "mlflow:write"], &mutation, 200),
        (&["mlflow:write"], query, 403),
        (&["mlflow:read"], r#"{"query": "query A { a } mutation B { b }"}"#, 400),
        (&["mlflow:read"], r#"{"query": "{ a }", "query": "mutation { b }"}"#, 400),
        (&["mlflow:read"], r#"{"query": ["{ a }"]}"#, 400),
        (&["mlflow:read"], r#"{"query": "{ a }", "operationName": 1}"#, 400),
        (&["mlflow:read"], r#"[{"query": "{ a }"}]"#, 400),
        (&["mlflow:admin"], "", 400),
    ] {
        let gateway = GatewayBuilder::default().scopes(scopes).start(&mlflow).await;
        let before = mlflow.requests().len();
        let response = ask(gateway.address, with_body(&gateway, "POST", "/graphql", body, false)).await;
        assert_eq!(response.status, status, "{scopes:?} {body}");
        let get = gateway.get("/graphql?query=mutation%7Ba%7D").await.status;
        assert!([400, 403].contains(&get), "{get}");
        assert_eq!(mlflow.requests().len() - before, usize::from(status == 200), "{scopes:?} {body}");
    }
}

#[actix_web::test]
async fn graphql_of_more_than_64_kib_is_refused_and_other_bodies_are_of_more_than_a_mebibyte() {
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    let gateway = Gateway::start(&mlflow).await;
    for (target, most, body) in [
        ("/graphql", 64 * 1024, r#"{"query": "{ a }", "variables": ""#),
        (DELETE_RUN, 1024 * 1024, r#"{"run_id": ""#),
    ] {
        for (size, status) in [(most, 200), (most + 1, 413)] {
            for chunked in [false, true] {
                let body = format!("{body}{}\"}}", "x".repeat(size - body.len() - 2));
                let response =
                    ask(gateway.address, with_body(&gateway, "POST", target, &body, chunked)).await;
                assert_eq!(response.status, status, "{target} {size} {chunked}");
                assert!(status == 200 || response.reason() == "body_too_large", "{target} {size} {chunked}");
            }
        }
    }
    assert_eq!(mlflow.requests().len(), 4);
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
