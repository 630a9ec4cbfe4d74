//! What a person is shown of the gateway's own errors, and programs are told.

use super::{NAVIGATE, behind_a_balancer, mlflow, send, session};
use crate::support::{
    ask,
    server::{Answer, Server},
};

const IN_FRAME: &str = "sec-fetch-mode: navigate\r\nsec-fetch-dest: iframe\r\n";

#[actix_web::test]
async fn a_person_gets_a_page_for_an_error_where_programs_get_json() {
    let (mlflow, broken) = (mlflow().await, Server::start(|_| Answer::bytes("nonsense\r\n\r\n")).await);
    let gateway = behind_a_balancer().scopes(&[]).start(&mlflow).await;
    let limited = behind_a_balancer().set("LIMITS__PER_HOUR", "1").start(&mlflow).await;
    let before_broken = behind_a_balancer().set("AUTH__SESSION__LIFETIME", "0s").start(&broken).await;
    for (gateway, target, status, reason) in [
        (&gateway, "/nothing", 404, "route_unknown"),
        (&gateway, "/mlflow/", 403, "scope_missing"),
        (&gateway, "/mlflow/%2e%2e/", 400, "bad_path"),
        (&limited, "/mlflow/", 429, "rate_limited"),
        (&before_broken, "/mlflow/", 502, "upstream_protocol"),
    ] {
        let ask_as = |by: &str| {
            let key = format!("authorization: Bearer {}\r\n", gateway.key);
            ask(gateway.address, format!("GET {target} HTTP/1.1\r\nhost: a\r\n{by}{key}\r\n"))
        };
        if status == 429 {
            assert_eq!(ask_as("").await.status, 200);
        }
        let told = ask_as("").await;
        assert_eq!((told.status, &*told.reason()), (status, reason), "{target}");
        let json = told.json();
        for (by, is_framed) in [(NAVIGATE, false), (IN_FRAME, true)] {
            let page = ask_as(by).await;
            assert_eq!(
                (page.status, page.header("content-type")),
                (status, Some("text/html; charset=utf-8"))
            );
            let message = json["message"].as_str().unwrap().replace('"', "&quot;");
            for text in [&*message, reason, page.header("x-request-id").unwrap()] {
                assert!(page.text().contains(text), "{text}: {}", page.text());
            }
            assert!(!page.text().contains("<form") && page.text().contains("<a ") != is_framed);
            let policy = page.header("content-security-policy").unwrap();
            assert!(policy.contains("default-src 'none'"), "{policy}");
            assert_eq!(policy.contains("frame-ancestors 'none'"), !is_framed, "{policy}");
            for name in ["retry-after", "ratelimit-limit", "cache-control", "vary", "x-hokusai-error-source"]
            {
                assert_eq!(page.header(name).is_some(), told.header(name).is_some(), "{target}: {name}");
            }
        }
    }
    let session = session(&gateway).await;
    let by_script = format!("sec-fetch-mode: cors\r\n{session}");
    assert_eq!(send(&gateway, "GET", "/nothing", &by_script).await.reason(), "route_unknown");
    let by_session = send(&gateway, "GET", "/mlflow/", &format!("{NAVIGATE}{session}")).await;
    assert!(by_session.status == 403 && by_session.text().contains("scope_missing"));
}
