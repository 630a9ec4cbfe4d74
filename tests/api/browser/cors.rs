//! Sites that the operator lets in.

use super::{behind_a_balancer, mlflow, send, session};
use crate::support::{
    GatewayBuilder,
    client::Response,
    server::{Answer, Server},
};

const SEARCH: &str = "/mlflow/ajax-api/2.0/mlflow/runs/search";
const PREFLIGHT: &str =
    "access-control-request-method: POST\r\naccess-control-request-headers: content-type,x-api-key\r\n";

fn let_in() -> GatewayBuilder {
    behind_a_balancer().set("SERVER__CORS__ALLOWED_ORIGINS", "https://dashboards.example.com")
}

fn told(response: &Response, name: &str) -> Option<String> {
    response.header(&format!("access-control-{name}")).map(str::to_owned)
}

#[actix_web::test]
async fn a_preflight_is_answered_before_authentication_for_sites_that_are_let_in() {
    let mlflow = mlflow().await;
    let gateway = let_in().start(&mlflow).await;
    let let_in = format!("origin: https://dashboards.example.com\r\n{PREFLIGHT}");
    let response = send(&gateway, "OPTIONS", SEARCH, &let_in).await;
    assert_eq!(response.status, 200);
    assert_eq!(told(&response, "allow-origin").as_deref(), Some("https://dashboards.example.com"));
    assert_eq!(told(&response, "allow-credentials").as_deref(), Some("true"));
    let headers = told(&response, "allow-headers").unwrap();
    assert!(headers.contains("content-type") && headers.contains("x-api-key"), "{headers}");
    assert!(response.header("vary").unwrap().to_lowercase().contains("origin"));
    for other in ["https://evil.example", "https://dashboards.example.com.evil.example", "null"] {
        let response = send(&gateway, "OPTIONS", SEARCH, &format!("origin: {other}\r\n{PREFLIGHT}")).await;
        assert_eq!(told(&response, "allow-origin"), None, "{other}");
    }
    assert_eq!(mlflow.requests().len(), 0);
}

#[actix_web::test]
async fn a_page_of_such_a_site_may_use_a_session_and_read_answers_and_refusals() {
    let mlflow = mlflow().await;
    let gateway = let_in().start(&mlflow).await;
    let page = "origin: https://dashboards.example.com\r\n";
    let body = "content-length: 2\r\n\r\n{}";
    for (credential, status) in [(session(&gateway).await, 200), (String::new(), 401)] {
        let response = send(&gateway, "POST", SEARCH, &format!("{page}{credential}{body}")).await;
        assert_eq!(response.status, status);
        assert_eq!(told(&response, "allow-origin").as_deref(), Some("https://dashboards.example.com"));
        assert!(told(&response, "expose-headers").unwrap().contains("x-request-id"));
        let vary = response.header("vary").unwrap().to_lowercase();
        assert!(vary.contains("origin") && vary.contains("authorization"), "{vary}");
    }
    let cookie = session(&gateway).await;
    let other =
        send(&gateway, "POST", SEARCH, &format!("origin: https://evil.example\r\n{cookie}{body}")).await;
    assert_eq!((other.status, &*other.reason(), told(&other, "allow-origin")), (403, "cross_origin", None));
}

#[actix_web::test]
async fn by_default_there_are_no_cors_headers_and_mlflows_do_not_pass() {
    let mlflow = Server::start(|_| {
        Answer::bytes("HTTP/1.1 200 X\r\naccess-control-allow-origin: *\r\naccess-control-allow-credentials: true\r\ncontent-length: 2\r\n\r\n{}")
    })
    .await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    let page = "origin: https://mlflow.example.com\r\n";
    let cookie = session(&gateway).await;
    let response =
        send(&gateway, "POST", SEARCH, &format!("{page}{cookie}content-length: 2\r\n\r\n{{}}")).await;
    assert_eq!(
        (response.status, told(&response, "allow-origin"), told(&response, "allow-credentials")),
        (200, None, None)
    );
    let preflight = send(&gateway, "OPTIONS", SEARCH, &format!("{page}{PREFLIGHT}")).await;
    assert_eq!((preflight.status, told(&preflight, "allow-origin")), (405, None));
    assert_eq!(mlflow.requests().len(), 1);
}
