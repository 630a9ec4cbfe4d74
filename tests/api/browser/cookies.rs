//! The sealed cookie: what it opens, and what it does not.

use hokusai_gateway::auth::key_file::edit;

use super::{NAVIGATE, SECRET, behind_a_balancer, cookie_of, log_in, mlflow, send, session};
use crate::support::{Gateway, GatewayBuilder, Server, ask, eventually, gateway::create_key, server::Answer};

const READ: &str = "/mlflow/ajax-api/2.0/mlflow/experiments/get?experiment_id=0";

async fn status(gateway: &Gateway, cookie: &str) -> u16 {
    send(gateway, "GET", READ, cookie).await.status
}

#[actix_web::test]
async fn a_login_sets_a_cookie_for_this_host_alone_and_goes_where_the_person_wanted() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    let response = log_in(&gateway, &gateway.key, "%2Fmlflow%2F%3Fa%3D1").await;
    assert_eq!((response.status, response.header("location")), (303, Some("/mlflow/?a=1")));
    let cookie = response.header("set-cookie").unwrap().to_owned();
    let (value, attributes) = cookie.split_once("; ").unwrap();
    assert!(value.starts_with("__Host-hokusai="), "{cookie}");
    assert_eq!(attributes, "HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=43200");
    assert!(!cookie.contains(&gateway.key), "{cookie}");
    assert_eq!(status(&gateway, &cookie_of(&response)).await, 200);
    let seen = mlflow.request();
    assert_eq!((seen.header("cookie"), seen.header("authorization")), (None, None));
    assert_eq!(seen.header("x-hokusai-user-id"), Some("ada"));
}

#[actix_web::test]
async fn other_cookies_pass_and_those_that_mlflows_page_makes_headers_of_do_not() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    let ours = session(&gateway).await;
    let ours = ours.trim_end();
    for (more, passes) in [
        ("; a=b; c=d", Some("a=b; c=d")),
        ("; mlflow-request-header-X-MLFLOW-WORKSPACE=other; a=b", Some("a=b")),
        ("; hokusai=x", None),
        ("", None),
    ] {
        let response = send(&gateway, "GET", READ, &format!("{ours}{more}\r\n")).await;
        assert_eq!(response.status, 200, "{more}");
        assert_eq!(mlflow.requests().pop().unwrap().header("cookie"), passes, "{more}");
    }
    let beside = format!("{ours}; {}\r\n", vec!["other=x".repeat(20); 58].join("; "));
    assert!(beside.len() > 8 * 1024);
    assert_eq!(status(&gateway, &beside).await, 200);
}

#[actix_web::test]
async fn a_cookie_that_cannot_be_opened_is_no_credential_and_is_removed() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    let good = session(&gateway).await.trim_end().to_owned();
    let (name, value) = good.split_once('=').unwrap();
    let other = behind_a_balancer().start(&mlflow).await;
    let others = session(&other).await.trim_end().to_owned();
    let others = others.split_once('=').unwrap().1;
    let half = value.len() / 2;
    let flipped = if value.starts_with('A') { "B" } else { "A" };
    for (what, broken) in [
        ("cut", value[..value.len() - 4].to_owned()),
        ("half", value[..half].to_owned()),
        ("empty", String::new()),
        ("changed", format!("{flipped}{}", &value[1..])),
        ("two halves", format!("{}{}", &value[..half], &others[half..])),
        ("the key itself", gateway.key.clone()),
        ("not base64", "%%%".to_owned()),
        ("a quoted one", format!("\"{value}\"")),
    ] {
        let response = send(&gateway, "GET", READ, &format!("{name}={broken}\r\n")).await;
        assert_eq!((response.status, &*response.reason()), (401, "credential_missing"), "{what}");
        let removal = response.header("set-cookie").unwrap_or_default();
        assert!(
            removal.starts_with("__Host-hokusai=; ") && removal.contains("Max-Age=0"),
            "{what}: {removal}"
        );
    }
    let twice = send(&gateway, "GET", READ, &format!("{good}; __Host-hokusai={others}\r\n")).await;
    assert_eq!((twice.status, &*twice.reason()), (401, "credential_missing"));
    // Under the name of the other scheme, which a page of a neighbouring host could set.
    assert_eq!(status(&gateway, &format!("cookie: hokusai={value}\r\n")).await, 401);
    assert_eq!(mlflow.requests().len(), 0);
}

#[actix_web::test]
async fn each_person_is_who_the_own_cookie_says_whatever_else_a_browser_sends() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    let bobs = create_key(&gateway.key_file, "bob", None);
    let key = secrecy::ExposeSecret::expose_secret(&bobs.key).to_owned();
    eventually("the new key is known", || async { log_in(&gateway, &key, "").await.status == 303 }).await;
    let of_bob = cookie_of(&log_in(&gateway, &key, "").await);
    for (cookie, user) in [(session(&gateway).await, "ada"), (of_bob, "bob")] {
        assert_eq!(status(&gateway, &cookie).await, 200);
        assert_eq!(mlflow.requests().pop().unwrap().header("x-hokusai-user-id"), Some(user));
    }
    // A header counts, and the cookie beside it does not.
    let of_bob = cookie_of(&log_in(&gateway, &key, "").await);
    let both = gateway.request("GET", READ, &of_bob);
    assert_eq!(ask(gateway.address, both).await.status, 200);
    assert_eq!(mlflow.requests().pop().unwrap().header("x-hokusai-user-id"), Some("ada"));
    let wrong = format!("authorization: Bearer hk_test_wrong\r\n{of_bob}");
    assert_eq!(status(&gateway, &wrong).await, 401);
}

#[actix_web::test]
async fn a_session_ends_with_its_lifetime_whatever_the_browser_keeps() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().set("AUTH__SESSION__LIFETIME", "1s").start(&mlflow).await;
    // On a busy machine one may have ended before it is used.
    let cookie = loop {
        let cookie = session(&gateway).await;
        if status(&gateway, &cookie).await == 200 {
            break cookie;
        }
    };
    eventually("the session has ended", || async { status(&gateway, &cookie).await == 401 }).await;
    // It is the page that is told why.
    assert_eq!(send(&gateway, "GET", READ, &cookie).await.header("set-cookie"), None);
    let page = send(&gateway, "GET", "/mlflow/", &format!("{NAVIGATE}{cookie}")).await;
    assert_eq!((page.status, page.header("location")), (302, Some("/login?next=/mlflow/&because=ended")));
    assert!(page.header("set-cookie").unwrap().contains("Max-Age=0"));
}

#[actix_web::test]
async fn a_revoked_key_ends_its_sessions() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    let cookie = session(&gateway).await;
    assert_eq!(status(&gateway, &cookie).await, 200);
    edit::revoke(&gateway.key_file, &gateway.key_id).unwrap();
    eventually("the revocation counts", || async { status(&gateway, &cookie).await == 401 }).await;
    let call = send(&gateway, "GET", READ, &cookie).await;
    assert_eq!((&*call.reason(), call.header("set-cookie")), ("credential_rejected", None));
    let page = send(&gateway, "GET", "/mlflow/", &format!("{NAVIGATE}{cookie}")).await;
    assert_eq!((page.status, page.header("location")), (302, Some("/login?next=/mlflow/&because=refused")));
    assert!(page.header("set-cookie").unwrap().contains("Max-Age=0"));
}

#[actix_web::test]
async fn every_instance_with_the_secret_opens_a_session_and_a_rotated_secret_does_for_a_while() {
    let mlflow = mlflow().await;
    let first = behind_a_balancer().start(&mlflow).await;
    let cookie = session(&first).await;
    let newer = "obviously-a-newer-secret-of-the-same-test";
    for (secrets, opens) in
        [(SECRET.to_owned(), true), (format!("{newer},{SECRET}"), true), (newer.to_owned(), false)]
    {
        let other = GatewayBuilder::default()
            .set("SERVER__TRUSTED_PROXIES", "127.0.0.1")
            .set("AUTH__SESSION__SECRET", &secrets)
            .start(&mlflow)
            .await;
        // Its key file is another: that the key is unknown shows that it was read.
        let reason = send(&other, "GET", READ, &cookie).await.reason();
        assert_eq!(reason, if opens { "credential_rejected" } else { "credential_missing" }, "{opens}");
    }
    let rotated =
        behind_a_balancer().set("AUTH__SESSION__SECRET", &format!("{newer},{SECRET}")).start(&mlflow).await;
    let sealed_anew = session(&rotated).await;
    let last = behind_a_balancer().set("AUTH__SESSION__SECRET", newer).start(&mlflow).await;
    assert_eq!(send(&last, "GET", READ, &sealed_anew).await.reason(), "credential_rejected");
    let by_pepper = || {
        let pepper = "obviously-a-pepper-of-a-test";
        GatewayBuilder::default().set("SERVER__TRUSTED_PROXIES", "127.0.0.1").set("AUTH__PEPPER", pepper)
    };
    let cookie_by_pepper = session(&by_pepper().start(&mlflow).await).await;
    let other = by_pepper().start(&mlflow).await;
    assert_eq!(send(&other, "GET", READ, &cookie_by_pepper).await.reason(), "credential_rejected");
    let without = GatewayBuilder::default().set("SERVER__TRUSTED_PROXIES", "127.0.0.1").start(&mlflow).await;
    assert_eq!(send(&without, "GET", READ, &cookie).await.reason(), "credential_missing");
}

#[actix_web::test]
async fn over_plain_http_people_log_in_at_their_own_machine_alone() {
    let mlflow = mlflow().await;
    let gateway = GatewayBuilder::default().start(&mlflow).await;
    for (host, may) in [
        ("localhost:8001", true),
        ("LOCALHOST:8001", true),
        ("127.0.0.1:8001", true),
        ("[::1]:8001", true),
        ("mlflow.localhost", true),
        ("10.0.0.7:8001", false),
        ("mlflow.example.com", false),
        ("localhost.example.com", false),
        ("evillocalhost", false),
    ] {
        let form = format!("key={}", gateway.key);
        let head =
            format!("POST /login HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\r\n{form}", form.len());
        let response = ask(gateway.address, head).await;
        assert_eq!(response.status, if may { 303 } else { 403 }, "{host}: {}", response.text());
        if may {
            let cookie = cookie_of(&response);
            assert!(cookie.starts_with("cookie: hokusai="), "{cookie}");
            assert!(!response.header("set-cookie").unwrap().contains("Secure"));
            let read = |host: &str| format!("GET {READ} HTTP/1.1\r\nhost: {host}\r\n{cookie}\r\n");
            assert_eq!(ask(gateway.address, read(host)).await.status, 200, "{host}");
            assert_eq!(ask(gateway.address, read("mlflow.example.com")).await.status, 401, "{host}");
        }
    }
}

#[actix_web::test]
async fn a_key_in_an_address_or_plain_in_a_cookie_is_no_credential() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    let key = gateway.key.clone();
    for (target, rest) in [
        (format!("{READ}&key={key}"), String::new()),
        (format!("{READ}&access_token={key}"), String::new()),
        (READ.to_owned(), format!("cookie: key={key}\r\n")),
        (format!("/account?key={key}"), String::new()),
    ] {
        assert_eq!(send(&gateway, "GET", &target, &rest).await.status, 401, "{target}");
    }
    let login = send(&gateway, "GET", &format!("/login?key={key}"), "").await;
    assert!(login.status == 200 && login.header("set-cookie").is_none() && !login.text().contains(&key));
    let post = send(&gateway, "POST", &format!("/login?key={key}"), "content-length: 0\r\n").await;
    assert_eq!((post.status, post.header("set-cookie")), (401, None));
}

#[actix_web::test]
async fn a_wrong_login_shows_the_form_again_and_sets_nothing() {
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().start(&mlflow).await;
    for wrong in ["hk_test_wrong", "", "a b", "%0D%0Aset-cookie:x"] {
        let response = log_in(&gateway, wrong, "/account").await;
        assert_eq!((response.status, response.header("set-cookie")), (401, None), "{wrong}");
        assert_eq!(response.header("www-authenticate"), Some("Bearer realm=\"hokusai-gateway\""), "{wrong}");
        assert!(response.text().contains("value=\"/account\""), "{wrong}");
        assert!(response.text().contains("This API key is not valid"), "{wrong}");
    }
    let long = "k".repeat(3100);
    assert_eq!(log_in(&gateway, &long, "").await.status, 401);
    assert_eq!(log_in(&gateway, &"k".repeat(33 * 1024), "").await.status, 413);
    let chunk = format!("8400\r\n{}\r\n0\r\n\r\n", "k".repeat(0x8400));
    let chunked = format!("transfer-encoding: chunked\r\n\r\n{chunk}");
    assert_eq!(send(&gateway, "POST", "/login", &chunked).await.status, 413);
}

#[actix_web::test]
async fn a_key_that_no_cookie_holds_is_told_so() {
    let auth =
        Server::start(|_| Answer::ok(r#"{"is_valid": true, "user_id": "u-1", "key_id": "k-1"}"#)).await;
    let mlflow = mlflow().await;
    let gateway = behind_a_balancer().set("AUTH__SERVICE__URL", &auth.url()).start(&mlflow).await;
    for (length, status) in [(2900, 303), (3100, 403), (8192, 403)] {
        let response = log_in(&gateway, &"k".repeat(length), "").await;
        assert_eq!(response.status, status, "{length}");
        assert_eq!(response.text().contains("browsers keep no cookie as long"), status == 403, "{length}");
    }
}
