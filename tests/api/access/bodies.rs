//! Bodies that say what a request is about.

use super::{DELETE_RUN, with_body};
use crate::support::{Gateway, GatewayBuilder, Server, ask, client::Connection, eventually, server::Answer};

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
