//! What a browser sends by itself may change things only for pages of the gateway's own.

use hokusai_gateway::routing::RouteTable;

use super::{OVER_TLS, behind_a_balancer, log_in, mlflow, send, session};
use crate::support::{GatewayBuilder, ask};

const CREATE: &str = "/mlflow/ajax-api/2.0/mlflow/experiments/create";
const BODY: &str = "content-type: application/json\r\ncontent-length: 12\r\n\r\n{\"name\":\"a\"}";

fn basic(key: &str) -> String {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    format!("authorization: Basic {}\r\n", BASE64_STANDARD.encode(format!("any:{key}")))
}

#[actix_web::test]
async fn only_pages_of_the_gateways_own_may_use_what_a_browser_remembers() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer()
        .set("SERVER__CORS__ALLOWED_ORIGINS", "https://dashboards.example.com")
        .start(&mlflow)
        .await;
    let remembered = [session(&gateway).await, basic(&gateway.key)];
    for (page, may) in [
        ("", true),
        ("origin: https://mlflow.example.com\r\n", true),
        ("origin: https://mlflow.example.com:443\r\n", true),
        ("origin: https://dashboards.example.com\r\n", true),
        ("sec-fetch-site: same-origin\r\n", true),
        ("sec-fetch-site: none\r\n", true),
        ("origin: https://MLFLOW.example.com\r\n", true),
        ("origin: http://mlflow.example.com\r\n", false),
        ("origin: https://mlflow.example.com:8443\r\n", false),
        ("origin: https://mlflow.example.com.evil.example\r\n", false),
        ("origin: https://dashboards.example.com.evil.example\r\n", false),
        ("origin: https://evil.example\r\n", false),
        ("origin: https://example.com\r\n", false),
        ("origin: https://other.example.com\r\n", false),
        ("origin: null\r\n", false),
        ("origin: \r\n", false),
        ("origin: file://\r\n", false),
        ("origin: mlflow.example.com\r\n", false),
        ("origin: https://mlflow.example.com https://evil.example\r\n", false),
        ("origin: https://mlflow.example.com\r\norigin: https://evil.example\r\n", false),
        ("sec-fetch-site: cross-site\r\n", false),
        ("sec-fetch-site: same-site\r\n", false),
        ("sec-fetch-site: nonsense\r\n", false),
        ("origin: https://evil.example\r\nsec-fetch-site: same-origin\r\n", false),
        ("origin: https://evil.example\r\nx-forwarded-host: mlflow.example.com\r\n", false),
    ] {
        for credential in &remembered {
            let response = send(&gateway, "POST", CREATE, &format!("{page}{credential}{BODY}")).await;
            let expected = if may { 200 } else { 403 };
            assert_eq!(response.status, expected, "{page}{credential}: {}", response.text());
            assert!(may || response.reason() == "cross_origin", "{page}");
        }
        // A key in another header is no browser's doing.
        let explicit = format!("{page}x-api-key: {}\r\n{BODY}", gateway.key);
        assert_eq!(send(&gateway, "POST", CREATE, &explicit).await.status, 200, "{page}");
    }
    // MLflow would refuse its own page for it.
    let seen = mlflow.requests();
    assert!(seen.iter().all(|request| request.header("origin").is_none()));
}

#[actix_web::test]
async fn no_route_can_be_changed_by_a_foreign_page() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().scopes(&["mlflow:admin"]).start(&mlflow).await;
    let cookie = session(&gateway).await;
    let table = RouteTable::open(None).unwrap();
    let mut tried = 0;
    for rule in table.rules().iter().filter(|rule| !(rule.class.is_read() && rule.method.is_safe())) {
        let path = rule.pattern.replace(['{', '}', '*'], "");
        let rest = format!("origin: https://evil.example\r\n{cookie}content-length: 0\r\n");
        let response = send(&gateway, rule.method.as_str(), &format!("/mlflow{path}"), &rest).await;
        assert_eq!((response.status, &*response.reason()), (403, "cross_origin"), "{} {path}", rule.method);
        tried += 1;
    }
    assert!(tried > 250, "{tried}");
    assert_eq!(mlflow.requests().len(), 0);
}

#[actix_web::test]
async fn nobody_is_logged_in_or_out_by_a_foreign_page() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    let form = format!("key={}", gateway.key);
    for path in ["/login", "/logout"] {
        for page in ["origin: https://evil.example\r\n", "origin: null\r\n", "sec-fetch-site: cross-site\r\n"]
        {
            let rest = format!("{page}content-length: {}\r\n\r\n{form}", form.len());
            let response = send(&gateway, "POST", path, &rest).await;
            assert_eq!((response.status, response.header("set-cookie")), (403, None), "{path} {page}");
        }
    }
    assert_eq!(log_in(&gateway, &gateway.key, "").await.status, 303);
}

#[actix_web::test]
async fn the_host_is_the_one_that_the_client_used_as_trusted_proxies_say_it() {
    let mlflow = mlflow().await;
    let direct = GatewayBuilder::default().start(&mlflow).await;
    let behind = behind_a_balancer().start(&mlflow).await;
    let by_forwarded = behind_a_balancer().set("SERVER__FORWARDED_HEADER", "forwarded").start(&mlflow).await;
    let forwarded_host = format!("{OVER_TLS}x-forwarded-host: mlflow.example.com\r\n");
    let by_two = format!("{OVER_TLS}x-forwarded-host: mlflow.example.com, inner.example:8080\r\n");
    let rfc7239 = "forwarded: for=203.0.113.9;proto=https\r\nx-forwarded-host: mlflow.example.com\r\n";
    for (gateway, host, fields, origin, outcome) in [
        (&behind, "10.0.0.5", &*forwarded_host, "https://mlflow.example.com", "forwarded"),
        (&behind, "10.0.0.5", &*forwarded_host, "https://10.0.0.5", "forwarded"),
        (&behind, "10.0.0.5", &*by_two, "https://mlflow.example.com", "forwarded"),
        (&behind, "10.0.0.5", &*by_two, "https://inner.example:8080", "forwarded"),
        (&behind, "10.0.0.5", &*by_two, "https://evil.example", "cross_origin"),
        (&behind, "10.0.0.5", OVER_TLS, "https://mlflow.example.com", "cross_origin"),
        // Who is no trusted proxy cannot say it, and one that writes `Forwarded` passes the other header on.
        (&direct, "10.0.0.5", &*forwarded_host, "https://mlflow.example.com", "cross_origin"),
        (&direct, "10.0.0.5", &*forwarded_host, "http://mlflow.example.com", "cross_origin"),
        (&by_forwarded, "10.0.0.5", rfc7239, "https://mlflow.example.com", "cross_origin"),
        (&by_forwarded, "mlflow.example.com", rfc7239, "https://mlflow.example.com", "forwarded"),
        (&direct, "localhost:8001", "", "http://localhost:8001", "forwarded"),
        (&direct, "localhost:8001", "", "http://localhost:9000", "cross_origin"),
        (&direct, "localhost:8001", "", "http://127.0.0.1:8001", "cross_origin"),
    ] {
        let basic = basic(&gateway.key);
        let request =
            format!("POST {CREATE} HTTP/1.1\r\nhost: {host}\r\n{fields}origin: {origin}\r\n{basic}{BODY}");
        let response = ask(gateway.address, request).await;
        let reason = if response.status == 200 { "forwarded".to_owned() } else { response.reason() };
        assert_eq!(reason, outcome, "{host} {fields} {origin}");
    }
}

#[actix_web::test]
async fn an_operator_who_forgot_the_load_balancer_is_told() {
    let mlflow = mlflow().await;
    let gateway = GatewayBuilder::default().start(&mlflow).await;
    let page = format!("origin: https://mlflow.example.com\r\n{}{BODY}", basic(&gateway.key));
    let response = send(&gateway, "POST", CREATE, &page).await;
    assert_eq!((response.status, &*response.reason()), (403, "cross_origin"));
    assert!(response.text().contains("server.trusted_proxies"), "{}", response.text());
}

#[actix_web::test]
async fn what_only_reads_may_be_opened_from_anywhere() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    let rest = format!(
        "sec-fetch-site: cross-site\r\nreferer: https://evil.example/\r\n{}",
        session(&gateway).await
    );
    assert_eq!(send(&gateway, "GET", "/mlflow/", &rest).await.status, 200);
}
