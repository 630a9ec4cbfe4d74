//! What people are shown, and what programs get in its place.

use serde_json::json;

use super::{NAVIGATE, behind_a_balancer, log_in, mlflow, send, session};
use crate::support::{
    ask,
    client::Response,
    server::{Answer, Server},
};

const IN_FRAME: &str = "sec-fetch-mode: navigate\r\nsec-fetch-dest: iframe\r\nsec-fetch-site: cross-site\r\n";
const BY_SCRIPT: &str = "sec-fetch-mode: cors\r\nsec-fetch-dest: empty\r\nsec-fetch-site: same-origin\r\n";
const OLD_BROWSER: &str = "accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nuser-agent: Mozilla/5.0\r\n";

fn leads(response: &Response) -> (u16, Option<&str>) {
    (response.status, response.header("location"))
}

#[actix_web::test]
async fn a_person_without_a_session_is_led_to_the_login_page_and_a_program_gets_a_401() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    for (method, target, by, status, location) in [
        ("GET", "/mlflow/", NAVIGATE, 302, Some("/login?next=/mlflow/")),
        ("HEAD", "/mlflow/", NAVIGATE, 302, Some("/login?next=/mlflow/")),
        ("GET", "/mlflow/", OLD_BROWSER, 302, Some("/login?next=/mlflow/")),
        ("GET", "/account", NAVIGATE, 302, Some("/login?next=/account")),
        (
            "GET",
            "/mlflow/get-artifact?path=a&run_uuid=b",
            NAVIGATE,
            302,
            Some("/login?next=/mlflow/get-artifact%3Fpath%3Da%26run_uuid%3Db"),
        ),
        ("GET", "/mlflow/", BY_SCRIPT, 401, None),
        ("GET", "/mlflow/", "accept: */*\r\n", 401, None),
        ("GET", "/mlflow/", &format!("{BY_SCRIPT}accept: text/html\r\n"), 401, None),
        ("POST", "/mlflow/ajax-api/2.0/mlflow/runs/search", NAVIGATE, 401, None),
        ("GET", "/mlflow/", IN_FRAME, 401, None),
    ] {
        let response = send(&gateway, method, target, by).await;
        assert_eq!(leads(&response), (status, location), "{method} {target} {by}");
    }
    let framed =
        send(&gateway, "GET", "/mlflow/static-files/lib/notebook-trace-renderer/index.html", IN_FRAME).await;
    assert_eq!(framed.header("x-frame-options"), None);
    assert_eq!(framed.header("www-authenticate"), Some("Bearer realm=\"hokusai-gateway\""));
    assert!(!framed.header("content-security-policy").unwrap().contains("frame-ancestors"));
    assert!(
        framed.text().contains("target=\"_blank\"") && !framed.text().contains("<form"),
        "{}",
        framed.text()
    );
    assert_eq!(mlflow.requests().len(), 0);
}

#[actix_web::test]
async fn only_browsers_are_not_told_of_basic_and_only_where_they_can_log_in() {
    let mlflow = mlflow().await;
    let with_login = behind_a_balancer().start(&mlflow).await;
    let without = behind_a_balancer().set("AUTH__SESSION__LIFETIME", "0s").start(&mlflow).await;
    for (gateway, by, told) in [
        (&with_login, BY_SCRIPT, false),
        (&with_login, "user-agent: Mozilla/5.0 (X11)\r\n", false),
        (&with_login, "user-agent: Wget/1.21\r\n", true),
        (&without, BY_SCRIPT, true),
        (&without, NAVIGATE, true),
    ] {
        let response = send(gateway, "GET", "/mlflow/", by).await;
        let challenges: Vec<_> = response
            .headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate"))
            .collect();
        assert_eq!(response.status, 401, "{by}");
        assert_eq!(challenges.iter().any(|(_, value)| value.starts_with("Basic")), told, "{by}");
        assert!(challenges.iter().any(|(_, value)| value.starts_with("Bearer")), "{by}");
    }
    assert_eq!(log_in(&without, &without.key, "").await.status, 404);
    assert_eq!(send(&without, "GET", "/login", NAVIGATE).await.status, 404);
}

#[actix_web::test]
async fn the_root_leads_a_person_to_mlflow_and_tells_programs_what_this_is() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    assert_eq!(leads(&send(&gateway, "GET", "/", NAVIGATE).await), (302, Some("/mlflow/")));
    let told = send(&gateway, "GET", "/", "").await;
    assert_eq!((told.status, &told.json()["name"]), (200, &json!("hokusai-gateway")));
    for (target, by, expected) in [
        ("/mlflow", NAVIGATE, (308, Some("/mlflow/"))),
        ("/api/mlflow", OLD_BROWSER, (308, Some("/api/mlflow/"))),
        ("/mlflow?a=b", NAVIGATE, (308, Some("/mlflow/?a=b"))),
        ("/mlflow", "", (401, None)),
    ] {
        assert_eq!(leads(&send(&gateway, "GET", target, by).await), expected, "{target} {by}");
    }
}

#[actix_web::test]
async fn no_site_can_frame_the_pages_and_nothing_foreign_belongs_to_them() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    let cookie = session(&gateway).await;
    for (target, rest) in [("/login", NAVIGATE.to_owned()), ("/account", format!("{NAVIGATE}{cookie}"))] {
        let page = send(&gateway, "GET", target, &rest).await;
        assert_eq!(page.status, 200, "{target}");
        let policy = page.header("content-security-policy").unwrap();
        for directive in
            ["default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"]
        {
            assert!(policy.contains(directive), "{target}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{target}: {policy}");
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(page.header(name), Some(value), "{target}");
        }
        assert!(page.header("vary").unwrap().contains("Cookie"), "{target}");
        assert!(!page.text().contains("<script") && !page.text().contains("http-equiv"), "{target}");
    }
}

#[actix_web::test]
async fn what_an_address_says_is_shown_as_text_or_not_at_all() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    let target =
        "/login?because=%3Cscript%3Ealert(1)%3C/script%3E&next=/a%22%3E%3Cscript%3Ealert(2)%3C/script%3E";
    let page = send(&gateway, "GET", target, NAVIGATE).await;
    assert!(page.status == 200 && !page.text().contains("<script"), "{}", page.text());
    let elsewhere = log_in(&gateway, &gateway.key, "https://evil.example/").await;
    assert_eq!(leads(&elsewhere), (303, Some("/mlflow/")));
    let elsewhere = log_in(&gateway, &gateway.key, "//evil.example/").await;
    assert_eq!(leads(&elsewhere), (303, Some("/mlflow/")));
}

#[actix_web::test]
async fn the_account_says_who_one_is_and_what_is_left() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().set("LIMITS__PER_HOUR", "100").start(&mlflow).await;
    let cookie = session(&gateway).await;
    for _ in 0..3 {
        send(&gateway, "GET", "/mlflow/", &cookie).await;
    }
    let account = send(&gateway, "GET", "/account", &cookie).await.json();
    assert_eq!(account["user_id"], "ada");
    assert_eq!(account["key_id"], *gateway.key_id);
    assert_eq!(account["scopes"], json!(["mlflow:read", "mlflow:write", "mlflow:delete"]));
    assert_eq!(
        (&account["limits"]["reads"]["remaining"], &account["limits"]["writes"]["remaining"]),
        (&json!(97), &json!(100))
    );
    assert!(account["may"].as_array().unwrap().contains(&json!("delete")));
    let by_header = ask(gateway.address, gateway.request("GET", "/account", "")).await;
    assert_eq!(by_header.json()["user_id"], "ada");
    let page = send(&gateway, "GET", "/account", &format!("{NAVIGATE}{cookie}")).await;
    for text in [
        "ada",
        &gateway.key_id,
        "MLFLOW_TRACKING_URI=https://mlflow.example.com/api/mlflow",
        "Log out",
        "97 now",
        "64 requests, of which 0 are under way",
    ] {
        assert!(page.text().contains(text), "{text}: {}", page.text());
    }
    assert!(!page.text().contains(&gateway.key));
    // At the name in the browser, where a balancer says it.
    let by_two = format!("{NAVIGATE}{cookie}x-forwarded-host: people.example, inner.example:8080\r\n");
    let page = send(&gateway, "GET", "/account", &by_two).await;
    assert!(page.text().contains("MLFLOW_TRACKING_URI=https://people.example/api/mlflow"), "{}", page.text());
}

#[actix_web::test]
async fn logging_out_makes_the_browser_forget() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    let rest =
        format!("origin: https://mlflow.example.com\r\n{}content-length: 0\r\n", session(&gateway).await);
    let response = send(&gateway, "POST", "/logout", &rest).await;
    assert_eq!(leads(&response), (303, Some("/login?because=out")));
    assert!(response.header("set-cookie").unwrap().starts_with("__Host-hokusai=; "));
    assert_eq!(response.header("clear-site-data"), Some("\"cache\""));
    assert_eq!(send(&gateway, "GET", "/logout", NAVIGATE).await.status, 405);
}

#[actix_web::test]
async fn the_setting_names_what_is_wrong_with_an_origin_or_a_secret() {
    for (variable, value, told) in [
        ("SERVER__CORS__ALLOWED_ORIGINS", "*", "would let every site act"),
        ("SERVER__CORS__ALLOWED_ORIGINS", "https://a.example/path", "has a path"),
        ("SERVER__CORS__ALLOWED_ORIGINS", "a.example", "is not a URL"),
        ("AUTH__SESSION__SECRET", "short", "shorter than 32"),
        ("AUTH__SESSION__LIFETIME", "999ms", "shorter than 1s"),
        ("AUTH__SESSION__SECRET", &format!("{},short", super::SECRET), "shorter than 32"),
    ] {
        let pairs = [
            ("MLFLOW_SERVER_URL".to_owned(), "http://a".to_owned()),
            (format!("HOKUSAI__{variable}"), value.to_owned()),
        ];
        let problems = hokusai_gateway::settings::Settings::load(None, pairs).unwrap_err().to_string();
        assert!(problems.contains(told) && !problems.contains("short\""), "{variable}: {problems}");
    }
}

#[actix_web::test]
async fn a_file_that_is_opened_as_a_page_acts_as_nobody() {
    let mlflow = Server::start(|_| {
        let head = "HTTP/1.1 200 X\r\ncontent-type: text/html\r\ncontent-security-policy: default-src *\r\nx-content-type-options: mlflows\r\ncontent-length: 2\r\n\r\n<p";
        Answer::bytes(head)
    })
    .await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    let cookie = session(&gateway).await;
    for (target, is_file) in [
        ("/mlflow/get-artifact?path=a.html&run_uuid=b", true),
        ("/mlflow/model-versions/get-artifact?path=a.html&name=b&version=1", true),
        ("/api/2.0/mlflow-artifacts/artifacts/1/b/artifacts/a.html", true),
        ("/mlflow/", false),
    ] {
        let page = send(&gateway, "GET", target, &format!("{NAVIGATE}{cookie}")).await;
        let all = |wanted: &str| -> Vec<_> {
            let named = page.headers.iter().filter(|(name, _)| name == wanted);
            named.map(|(_, value)| &**value).collect()
        };
        let policies = all("content-security-policy");
        assert_eq!(policies.contains(&"sandbox"), is_file, "{target}: {policies:?}");
        assert!(policies.contains(&"default-src *"), "{target}");
        assert_eq!(all("x-content-type-options"), [if is_file { "nosniff" } else { "mlflows" }], "{target}");
    }
}
