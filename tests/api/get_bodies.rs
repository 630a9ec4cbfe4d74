//! A GET with a body, in which MLflow reads the parameters where there is no query.

use hokusai_gateway::auth::{key::Environment, key_file::edit::NewKey};

use crate::support::{Gateway, GatewayBuilder, Server, ask, server::Answer};

const GET_RUN: &str = "/api/mlflow/api/2.0/mlflow/runs/get";
const LIST: &str = "/api/2.0/mlflow-artifacts/artifacts";

async fn echo() -> Server {
    Server::start(|_| Answer::ok("{}")).await
}

async fn bound_to(workspace: &str, mlflow: &Server) -> Gateway {
    let key = NewKey {
        scopes: Some(vec!["mlflow:admin".to_owned()]),
        workspace: Some(workspace.to_owned().try_into().unwrap()),
        ..NewKey::of("ada", Environment::Test)
    };
    GatewayBuilder::default().key(key).start(mlflow).await
}

fn get(gateway: &Gateway, target: &str, body: &str, chunked: bool) -> String {
    let framed = if chunked {
        format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
    } else {
        format!("content-length: {}\r\n\r\n{body}", body.len())
    };
    gateway.request("GET", target, &format!("content-type: application/json\r\n{framed}"))
}

#[actix_web::test]
async fn it_passes_as_it_came() {
    let mlflow = echo().await;
    let gateway = Gateway::start(&mlflow).await;
    for body in [r#"{"run_id": "1"}"#, r#"{"run_id": "1", "runId": "2"}"#, "no JSON\r\n\r\n"] {
        for target in
            [GET_RUN, LIST, "/api/2.0/mlflow-artifacts/artifacts/1/a", "//api/2.0/mlflow/runs/get?a=b"]
        {
            assert_eq!(
                ask(gateway.address, get(&gateway, target, body, false)).await.status,
                200,
                "{target}"
            );
            let seen = mlflow.requests().pop().unwrap();
            assert_eq!((seen.text(), seen.complete), (body.to_owned(), true), "{target}");
            assert_eq!(seen.header("content-length"), Some(&*body.len().to_string()));
            assert_eq!(seen.header("content-type"), Some("application/json"));
            assert_eq!(ask(gateway.address, get(&gateway, target, body, true)).await.status, 200, "{target}");
            let seen = mlflow.requests().pop().unwrap();
            assert_eq!((seen.text(), seen.header("transfer-encoding")), (body.to_owned(), Some("chunked")));
        }
    }
}

#[actix_web::test]
async fn it_is_read_in_one_way_only_for_a_key_that_is_bound() {
    let mlflow = echo().await;
    let gateway = bound_to("team-a", &mlflow).await;
    for chunked in [false, true] {
        for body in [
            "run_id=1",
            "[]",
            "{",
            "\u{feff}{}",
            r#"{"run_id": "1", "run_id": "2"}"#,
            r#"{"run_id": "1", "runId": "2"}"#,
        ] {
            for target in [GET_RUN, "/ajax-api/2.0/mlflow/runs/get?run_id=1", LIST] {
                let response = ask(gateway.address, get(&gateway, target, body, chunked)).await;
                assert_eq!(
                    (response.status, &*response.reason()),
                    (400, "ambiguous_body"),
                    "{target} {body}"
                );
            }
        }
    }
    assert!(mlflow.requests().is_empty());
    for chunked in [false, true] {
        let body = r#"{ "experimentId":"1", "path": {"a": [1]} }"#;
        assert_eq!(ask(gateway.address, get(&gateway, GET_RUN, body, chunked)).await.status, 200);
        let seen = mlflow.requests().pop().unwrap();
        // MLflow takes chunks for an empty body: what was judged is what it is to read.
        assert_eq!(
            (seen.text(), seen.header("content-length")),
            (body.to_owned(), Some(&*body.len().to_string()))
        );
        assert_eq!(seen.header("x-mlflow-workspace"), Some("team-a"));
    }
    assert_eq!(gateway.get(GET_RUN).await.status, 200);
}

#[actix_web::test]
async fn a_listing_of_the_store_is_judged_by_the_path_in_it_too() {
    let mlflow = echo().await;
    let gateway = bound_to("team-a", &mlflow).await;
    let listings = [
        LIST,
        "/ajax-api/2.0/mlflow-artifacts/artifacts",
        "//api/2.0/mlflow-artifacts/artifacts",
        "/mlflow//api/2.0/mlflow-artifacts/artifacts",
    ];
    for (path, status) in [
        (r#""1/run/artifacts""#, 200),
        (r#""workspaces/team-a/1""#, 200),
        ("null", 200),
        (r#""workspaces/team-b/1""#, 403),
        (r#""workspaces""#, 403),
        (r#""workspaces%2fteam-b""#, 403),
        (r#"" workspaces/team-b""#, 403),
        (r#""work\tspaces/team-b""#, 403),
        (r#""\u0077orkspaces/team-b""#, 403),
        (r#""1/../workspaces/team-b""#, 403),
        (r#"["workspaces/team-b"]"#, 403),
        ("7", 403),
    ] {
        for listing in listings {
            // A query decides for MLflow, if it has anything in it.
            for query in ["", "?", "?&&", "?path=1", "?a=b"] {
                let request =
                    get(&gateway, &format!("{listing}{query}"), &format!(r#"{{"path": {path}}}"#), false);
                let before = mlflow.requests().len();
                assert_eq!(ask(gateway.address, request).await.status, status, "{listing}{query} {path}");
                assert_eq!(
                    mlflow.requests().len() - before,
                    usize::from(status == 200),
                    "{listing}{query} {path}"
                );
            }
        }
    }
    let escaped = get(&gateway, LIST, r#"{"p\u0061th": "workspaces/team-b"}"#, false);
    assert_eq!(ask(gateway.address, escaped).await.status, 403);
    let gateway = bound_to("default", &mlflow).await;
    for (query, path, status) in
        [("?path=1", "1", 200), ("?path=1", "workspaces/team-b", 403), ("?path=1", "", 403), ("", "1", 403)]
    {
        let request = get(&gateway, &format!("{LIST}{query}"), &format!(r#"{{"path": "{path}"}}"#), false);
        assert_eq!(ask(gateway.address, request).await.status, status, "{query} {path}");
    }
}

#[actix_web::test]
async fn a_graphql_document_in_it_is_judged() {
    let mlflow = echo().await;
    let gateway = GatewayBuilder::default().scopes(&["mlflow:read"]).start(&mlflow).await;
    for (query, status) in [("{ a }", 200), ("mutation { a }", 403)] {
        for target in ["/graphql", "/api/mlflow//graphql", "//graphql?query={a}"] {
            let request = get(&gateway, target, &format!(r#"{{"query": "{query}"}}"#), true);
            assert_eq!(ask(gateway.address, request).await.status, status, "{target} {query}");
        }
    }
    assert_eq!(mlflow.requests().len(), 3);
}

#[actix_web::test]
async fn it_is_not_sent_twice() {
    for (rest, sent) in [
        ("content-length: 2\r\n\r\n{}", 1),
        ("transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 1),
        ("", 2),
    ] {
        // As MLflow closes a kept connection under a request.
        let mlflow = Server::start(|_| Answer::Close).await;
        let gateway = Gateway::start(&mlflow).await;
        let response = ask(gateway.address, gateway.request("GET", GET_RUN, rest)).await;
        assert_eq!((&*response.reason(), mlflow.requests().len()), ("upstream_unavailable", sent), "{rest}");
    }
}
