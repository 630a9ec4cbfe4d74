//! What attackers, neighbours and accidents send to the login and beside a session.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;

use super::{NAVIGATE, OVER_TLS, behind_a_balancer, cookie_of, log_in, mlflow, send, session};
use crate::support::{
    ask,
    client::{Connection, Response},
    eventually,
    gateway::create_key,
    server::{Answer, Server},
};

const READ: &str = "/mlflow/ajax-api/2.0/mlflow/experiments/get?experiment_id=0";
const CREATE: &str = "/mlflow/ajax-api/2.0/mlflow/experiments/create";
const OURS: &str = "origin: https://mlflow.example.com\r\n";

#[actix_web::test]
async fn cookies_of_neighbouring_sites_in_any_bytes_do_not_end_a_session() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    let cookie = session(&gateway).await.trim_end().to_owned();
    for beside in ["caf\u{e9}=\u{e9}", "a=\u{2028}", "\u{e9}", "=", "a\tb=\"c", "__host-hokusai=x"] {
        let status = send(&gateway, "GET", READ, &format!("{cookie}; {beside}\r\n")).await.status;
        assert_eq!(status, 200, "{beside}");
        let in_two_lines = format!("cookie: {beside}\r\n{cookie}\r\n");
        assert_eq!(send(&gateway, "GET", READ, &in_two_lines).await.status, 200, "{beside}");
        assert_eq!(send(&gateway, "GET", READ, &format!("cookie: {beside}\r\n")).await.status, 401);
    }
}

#[actix_web::test]
async fn mlflow_sets_no_cookie_that_could_be_taken_for_a_session_or_a_header() {
    let mlflow = Server::start(|_| {
        let set = [
            "a=b; Path=/",
            "__Host-hokusai=x; Secure; Path=/",
            " hokusai =x",
            "=__Host-hokusai=x",
            "hokusai",
            "nameless",
            "mlflow-request-header-X-A=b",
        ];
        let set = set.map(|set| format!("set-cookie: {set}\r\n")).concat();
        Answer::bytes(&format!("HTTP/1.1 200 X\r\n{set}content-length: 2\r\n\r\n{{}}"))
    })
    .await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    let response = send(&gateway, "GET", READ, &session(&gateway).await).await;
    let set = response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    assert_eq!(set.map(|(_, value)| &**value).collect::<Vec<_>>(), ["a=b; Path=/"]);
}

#[actix_web::test]
async fn an_outage_of_the_auth_service_ends_no_session_and_calls_no_key_wrong() {
    let is_down = Arc::new(AtomicBool::new(false));
    let down = Arc::clone(&is_down);
    let auth = Server::start(move |_| {
        if down.load(Ordering::SeqCst) {
            Answer::json(500, "{}")
        } else {
            Answer::ok(r#"{"is_valid": true, "user_id": "u-1", "key_id": "k-1"}"#)
        }
    })
    .await;
    let mlflow = mlflow().await;
    let settings = behind_a_balancer().set("AUTH__SERVICE__URL", &auth.url());
    let settings = settings.set("AUTH__CACHE__TTL", "50ms").set("AUTH__CACHE__NEGATIVE_TTL", "50ms");
    let gateway = settings.set("AUTH__CACHE__STALE_TTL", "0s").start(&mlflow).await;
    let cookie = session(&gateway).await;
    is_down.store(true, Ordering::SeqCst);
    eventually("the outage is noticed", || async {
        send(&gateway, "GET", READ, &cookie).await.status == 503
    })
    .await;
    for (target, rest) in [
        (READ, cookie.clone()),
        ("/mlflow/", format!("{NAVIGATE}{cookie}")),
        ("/account", format!("{NAVIGATE}{cookie}")),
    ] {
        let response = send(&gateway, "GET", target, &rest).await;
        let told = (response.status, response.header("set-cookie"), response.header("location"));
        assert_eq!(told, (503, None, None), "{target}");
    }
    let login = log_in(&gateway, "hk_test_some", "").await;
    assert_eq!((login.status, login.header("set-cookie")), (503, None));
    assert!(login.header("retry-after").is_some() && !login.text().contains("not valid"), "{}", login.text());
    is_down.store(false, Ordering::SeqCst);
    eventually("the session is as before", || async {
        send(&gateway, "GET", READ, &cookie).await.status == 200
    })
    .await;
}

#[actix_web::test]
async fn a_refused_key_in_a_header_takes_no_session_away_and_leads_nowhere() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    let cookie = session(&gateway).await;
    let basic = format!("authorization: Basic {}\r\n", BASE64_STANDARD.encode("any:hk_test_wrong"));
    // What a browser remembers for Basic it sends until it is asked for another.
    for (header, asks) in [
        (&*basic, true),
        ("authorization: Basic !\r\n", true),
        ("authorization: Bearer hk_test_wrong\r\n", false),
        ("authorization: Negotiate YQ==\r\n", false),
        ("x-api-key: hk_test_wrong\r\n", false),
    ] {
        for session in ["", &cookie] {
            let response = send(&gateway, "GET", "/mlflow/", &format!("{NAVIGATE}{header}{session}")).await;
            let told = (response.status, response.header("set-cookie"), &*response.reason());
            assert_eq!(told, (401, None, "credential_rejected"), "{header}");
            let challenges =
                response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate"));
            assert_eq!(
                challenges.filter(|(_, value)| value.starts_with("Basic")).count() > 0,
                asks,
                "{header}"
            );
        }
    }
}

/// A login whose form never comes.
async fn without_a_form(fields: &str) -> Response {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    send(&gateway, "POST", "/login", &format!("{fields}\r\n\r\n")).await
}

#[actix_web::test]
async fn what_cannot_log_anybody_in_is_refused_before_its_form_is_waited_for() {
    for (fields, status) in [
        ("origin: https://evil.example\r\ncontent-length: 100", 403),
        ("sec-fetch-site: cross-site\r\ntransfer-encoding: chunked", 403),
        ("origin: https://mlflow.example.com\r\ncontent-length: 32769", 413),
        ("x_forwarded_host: evil.example\r\ncontent-length: 100", 400),
        ("upgrade: websocket\r\ncontent-length: 100", 501),
        ("via: 1.1 hokusai-gateway-hop\r\ncontent-length: 100", 508),
    ] {
        let response = without_a_form(fields).await;
        assert_eq!((response.status, response.header("set-cookie")), (status, None), "{fields}");
    }
}

#[actix_web::test]
async fn a_form_is_read_as_a_browser_writes_it_however_it_arrives_and_as_nothing_else() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    let key = &gateway.key;
    let chunked =
        |form: &str| format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{form}\r\n0\r\n\r\n", form.len());
    let sized = |kind: &str, form: &str| {
        format!("content-type: {kind}\r\ncontent-length: {}\r\n\r\n{form}", form.len())
    };
    let multipart = format!("--b\r\ncontent-disposition: form-data; name=\"key\"\r\n\r\n{key}\r\n--b--\r\n");
    let utf16: String = key.chars().map(|character| format!("{character}%00")).collect();
    for (rest, status) in [
        (chunked(&format!("next=%2F&key={key}")), 303),
        (chunked(&format!("key={key}&key=hk_test_wrong")), 303),
        (chunked(&format!("key=%20{key}%0D%0A")), 303),
        (chunked(&format!("key=hk_test_wrong&key={key}")), 401),
        (sized("application/json", &format!("{{\"key\":\"{key}\"}}")), 401),
        (sized("multipart/form-data; boundary=b", &multipart), 401),
        (chunked(&format!("key={utf16}")), 401),
        (chunked(&format!("key={key}%E9")), 401),
        (chunked(&format!("KEY={key}")), 401),
        ("\r\n".to_owned(), 401),
    ] {
        let response = send(&gateway, "POST", "/login", &format!("{OURS}{rest}")).await;
        assert_eq!(response.status, status, "{rest}");
        assert_eq!(response.header("set-cookie").is_some(), status == 303, "{rest}");
        assert!(!response.text().contains(key.as_str()), "{rest}");
    }
}

#[actix_web::test]
async fn a_key_that_was_refused_is_written_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().set("AUDIT__OUTPUT", file.to_str().unwrap()).start(&mlflow).await;
    let wrong = "hk_test_obviously_wrong_and_long_enough_to_be_found";
    let page = log_in(&gateway, wrong, "/account").await;
    assert!(page.status == 401 && !page.text().contains(wrong), "{}", page.text());
    let good = log_in(&gateway, &gateway.key, "/account").await;
    let cookie = cookie_of(&good);
    let sealed = cookie.trim_end().split_once('=').unwrap().1;
    send(&gateway, "GET", READ, &cookie).await;
    send(&gateway, "POST", CREATE, &format!("{OURS}{cookie}content-length: 12\r\n\r\n{{\"name\":\"a\"}}"))
        .await;
    let records = || fs::read_to_string(&file).unwrap_or_default();
    eventually("all is recorded", || async { records().lines().count() >= 3 }).await;
    let metrics = ask(gateway.metrics_address.unwrap(), "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let seen: Vec<_> = mlflow.requests().iter().map(|request| format!("{request:?}")).collect();
    for text in [&records(), metrics.text(), &seen.concat()] {
        for secret in [wrong, &gateway.key, sealed] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    assert!(records().contains("/login"), "{}", records());
}

#[actix_web::test]
async fn a_body_that_waits_for_permission_gets_it_for_a_session_and_its_own_page_alone() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    let cookie = session(&gateway).await;
    for (page, begins) in [(OURS, "HTTP/1.1 100"), ("origin: https://evil.example\r\n", "HTTP/1.1 403")] {
        let mut connection = Connection::open(gateway.address).await;
        let head = format!("POST {CREATE} HTTP/1.1\r\nhost: mlflow.example.com\r\n{OVER_TLS}{page}{cookie}");
        connection.send(format!("{head}expect: 100-continue\r\ncontent-length: 12\r\n\r\n")).await;
        assert!(connection.begins_with(begins.as_bytes()).await, "{page}");
    }
}

#[actix_web::test]
async fn no_cache_keeps_what_one_person_is_shown() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    let cookie = session(&gateway).await;
    let shown = [
        send(&gateway, "GET", "/mlflow/", NAVIGATE).await,
        send(&gateway, "GET", "/login", NAVIGATE).await,
        send(&gateway, "GET", "/account", &cookie).await,
        send(&gateway, "GET", "/account", &format!("{NAVIGATE}{cookie}")).await,
        send(&gateway, "POST", "/logout", &format!("{OURS}{cookie}")).await,
        log_in(&gateway, &gateway.key, "").await,
        log_in(&gateway, "hk_test_wrong", "").await,
    ];
    for response in shown {
        assert_eq!(response.header("cache-control"), Some("no-store"), "{response:?}");
    }
    let away = send(&gateway, "GET", "/mlflow/", NAVIGATE).await;
    assert!(away.header("vary").unwrap().contains("Cookie"), "{away:?}");
}

#[actix_web::test]
async fn what_a_browser_asks_about_origins_is_the_gateways_to_answer() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    let asked = "access-control-request-method: POST\r\naccess-control-request-headers: a\r\n";
    send(&gateway, "GET", READ, &format!("{OURS}{asked}{}", session(&gateway).await)).await;
    let seen = mlflow.request();
    for name in ["origin", "access-control-request-method", "access-control-request-headers"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
}

#[actix_web::test]
async fn a_key_that_expires_ends_its_session_and_one_that_has_expired_begins_none() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    let soon = Timestamp::now() + SignedDuration::from_secs(4);
    let key = create_key(&gateway.key_file, "bob", Some(soon)).key.expose_secret().to_owned();
    eventually("the new key is known", || async { log_in(&gateway, &key, "").await.status == 303 }).await;
    let cookie = cookie_of(&log_in(&gateway, &key, "").await);
    eventually("it has expired", || async { send(&gateway, "GET", "/account", &cookie).await.status == 401 })
        .await;
    assert_eq!(send(&gateway, "GET", READ, &cookie).await.status, 401);
    let login = log_in(&gateway, &key, "").await;
    assert_eq!((login.status, login.header("set-cookie")), (401, None));
}
