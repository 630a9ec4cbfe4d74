//! The way to the issuer and back.

use std::fs;

use base64::{Engine as _, prelude::*};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::support::{eventually, metrics_at};

#[actix_web::test]
async fn the_login_page_has_a_button_for_each_issuer_and_runs_one_script() {
    let stage = Stage::set().await;
    let page = stage.send("GET", "/login?next=/account", NAVIGATE).await;
    let text = page.text();
    assert!(text.contains("action=\"/login/1\"") && text.contains("Log in at Example"), "{text}");
    let (_, script) = text.split_once("<script>").unwrap();
    let hash = BASE64_STANDARD.encode(Sha256::digest(script.split_once("</script>").unwrap().0));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains(&format!("script-src 'sha256-{hash}'")) && policy.contains("form-action 'self'"));
    let without = GatewayBuilder::default().start(&stage.mlflow).await;
    let page = send_to(&without, "GET", "/login", NAVIGATE).await;
    assert!(
        !page.text().contains("script")
            && !page.header("content-security-policy").unwrap().contains("script")
    );
}

#[actix_web::test]
async fn a_login_asks_for_a_code_with_pkce_state_and_nonce_and_seals_them_in_a_cookie_of_its_own() {
    let stage = Stage::set().await;
    let page = stage.post("/login/1", OURS, "next=%2Faccount").await;
    let Begun { url, query, cookie } = Begun::of(&page);
    assert_eq!(url.as_str().split('?').next().unwrap(), format!("{}/authorize", stage.provider.url()));
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("redirect_uri", "https://mlflow.example.com/login/callback"),
        ("scope", "openid profile email"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(query[name], value, "{name}");
    }
    let kept = opened(&cookie);
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(kept["verifier"].as_str().unwrap()));
    assert_eq!(query["code_challenge"], challenge);
    let set = page.header("set-cookie").unwrap();
    assert!(set.ends_with("HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600"), "{set}");
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let other = stage.begin().await;
    for name in ["state", "nonce", "code_challenge"] {
        assert_ne!(other.query[name], query[name], "{name}");
    }
}

#[actix_web::test]
async fn a_code_becomes_a_session_and_the_browser_goes_where_the_person_wanted() {
    let stage = Stage::set().await;
    let begun = stage.begin().await;
    let response = stage.end(&begun, json!({}), None).await;
    assert_eq!((response.status, response.header("location")), (303, Some("/mlflow/?a=1#/experiments/1")));
    assert_eq!(response.header("referrer-policy"), Some("no-referrer"));
    assert!(removes(&response, ATTEMPT));
    let asked = stage.provider.asked();
    let form: HashMap<_, _> = url::form_urlencoded::parse(&asked[0].body).into_owned().collect();
    assert_eq!(form["grant_type"], "authorization_code");
    assert_eq!(
        (&*form["code"], &*form["redirect_uri"]),
        ("a-code", "https://mlflow.example.com/login/callback")
    );
    assert_eq!(form["code_verifier"], opened(&begun.cookie)["verifier"].as_str().unwrap());
    let basic = BASE64_STANDARD.encode(format!("{CLIENT}:obviously-a-secret"));
    assert_eq!(asked[0].header("authorization"), Some(&*format!("Basic {basic}")));
    let cookie = cookie_of(&response, SESSION).unwrap();
    assert_eq!(stage.read(&cookie).await.status, 200);
    let seen = stage.mlflow.request();
    assert_eq!(seen.header("x-hokusai-user-id"), Some("ada@example.com"));
    assert_eq!((seen.header("cookie"), seen.header("authorization")), (None, None));
}

#[actix_web::test]
async fn a_session_holds_what_the_rules_need_and_no_more() {
    let stage = Stage::set().await;
    let session = opened(&stage.log_in(Some("obviously-a-refresh-token")).await);
    let claims =
        json!({ "sub": "248289761001", "email": "ada@example.com", "groups": ["all", "data-science"] });
    assert_eq!(session["claims"], claims);
    let names: Vec<_> = session.as_object().unwrap().keys().collect();
    assert_eq!(names, ["id", "issuer", "claims", "since", "checked", "refresh", "ends"]);
}

#[actix_web::test]
async fn the_account_tells_the_issuer_and_the_user() {
    let stage = Stage::set().await;
    let cookie = stage.log_in(None).await;
    let page = stage.send("GET", "/account", &format!("{NAVIGATE}{cookie}")).await;
    assert!(
        page.text().contains(&stage.provider.url()) && page.text().contains("ada@example.com"),
        "{}",
        page.text()
    );
    let account: Value = serde_json::from_str(stage.send("GET", "/account", &cookie).await.text()).unwrap();
    assert_eq!(
        (&account["issuer"], &account["user_id"]),
        (&stage.provider.url().into(), &"ada@example.com".into())
    );
    assert_eq!(account["key_id"], format!("{}|248289761001", stage.provider.url()));
}

#[actix_web::test]
async fn whom_no_rule_knows_gets_a_page_that_says_so_and_no_session() {
    let stage = Stage::set().await;
    let begun = stage.begin().await;
    let response = stage.end(&begun, json!({ "groups": ["sales"] }), None).await;
    assert_eq!((response.status, cookie_of(&response, SESSION)), (403, None));
    assert!(response.text().contains("no rule of this gateway") && !response.text().contains("sales"));
    assert!(removes(&response, ATTEMPT));
    assert_eq!(response.header("referrer-policy"), Some("no-referrer"));
}

#[actix_web::test]
async fn a_page_of_another_site_begins_no_login() {
    let stage = Stage::set().await;
    let response = stage.post("/login/1", "origin: https://evil.example\r\n", "next=%2F").await;
    assert_eq!((response.status, cookie_of(&response, ATTEMPT)), (403, None));
    assert_eq!(stage.send("GET", "/login/1", NAVIGATE).await.status, 405);
    assert_eq!(stage.provider.discoveries(), 1, "its keys are read at start, and nothing else");
}

#[actix_web::test]
async fn what_is_no_answer_to_this_browsers_question_leads_to_the_login_page() {
    let stage = Stage::set().await;
    let (begun, other) = (stage.begin().await, stage.begin().await);
    let state = &begun.query["state"];
    let good = format!("code=a-code&state={state}");
    let url = stage.provider.url();
    for (cookie, query) in [
        ("", &*good),
        (&other.cookie, &good),
        (&begun.cookie, "code=a-code"),
        (&begun.cookie, "code=a-code&state="),
        (&begun.cookie, &format!("{good}&state={state}")),
        (&begun.cookie, &format!("{good}&code=b")),
        (&begun.cookie, &format!("{good}&iss=https%3A%2F%2Fother.example")),
        (&begun.cookie, &format!("{good}&iss={url}&iss=https%3A%2F%2Fother.example")),
        (&begun.cookie.replace(ATTEMPT, SESSION), &good),
        ("", "error=access_denied"),
    ] {
        let response = stage.callback(cookie, query).await;
        let location = response.header("location").unwrap();
        assert!(response.status == 303 && location.ends_with("&because=again"), "{query}: {location}");
        assert!(!location.contains("code") && removes(&response, ATTEMPT), "{query}: {location}");
        assert_eq!(cookie_of(&response, SESSION), None, "{query}");
    }
    assert_eq!(stage.provider.asked().len(), 0);
    let issuer = url::form_urlencoded::byte_serialize(url.as_bytes()).collect::<String>();
    let token = stage.provider.key.token(&stage.claims(&begun, json!({})));
    stage.provider.give(tokens(&token, None));
    let response = stage.callback(&begun.cookie, &format!("{good}&iss={issuer}")).await;
    assert!(cookie_of(&response, SESSION).is_some(), "{response:?}");
}

#[actix_web::test]
async fn a_login_ends_at_a_page_of_the_gateways_own() {
    let stage = Stage::set().await;
    for next in
        ["https%3A%2F%2Fevil.example%2F", "%2F%2Fevil.example%2F", "%2F%5Cevil.example", "%2Flogin%2F1"]
    {
        let begun = Begun::of(&stage.post("/login/1", OURS, &format!("next={next}")).await);
        let response = stage.end(&begun, json!({}), None).await;
        assert_eq!((response.status, response.header("location")), (303, Some("/mlflow/")), "{next}");
    }
}

#[actix_web::test]
async fn a_login_ends_once() {
    let stage = Stage::set().await;
    let begun = stage.begin().await;
    assert!(cookie_of(&stage.end(&begun, json!({}), None).await, SESSION).is_some());
    let again = stage.end(&begun, json!({}), None).await;
    assert_eq!((cookie_of(&again, SESSION), stage.provider.asked().len()), (None, 1));
}

#[actix_web::test]
async fn an_issuer_that_says_no_is_told_of_and_none_of_its_words_is_shown() {
    let stage = Stage::set().await;
    let begun = stage.begin().await;
    let query = format!("error=access_denied&error_description=obvious-words&state={}", begun.query["state"]);
    let response = stage.callback(&begun.cookie, &query).await;
    assert!(response.header("location").unwrap().ends_with("&because=denied"), "{response:?}");
    assert!(!format!("{response:?}").contains("obvious-words"));
}

#[actix_web::test]
async fn a_login_that_took_too_long_is_begun_again() {
    let stage = Stage::set().await;
    let begun = stage.begin().await;
    let mut kept = opened(&begun.cookie);
    kept["ends"] = Timestamp::now().as_second().into();
    let query = format!("code=a-code&state={}", begun.query["state"]);
    let response = stage.callback(&sealed(ATTEMPT, &kept), &query).await;
    assert!(response.header("location").unwrap().ends_with("&because=again"), "{response:?}");
}

#[actix_web::test]
async fn several_instances_with_one_secret_are_one() {
    let stage = Stage::set().await;
    let other = Stage { gateway: gateway_of(&stage.provider, "").start(&stage.mlflow).await, ..stage };
    let stage = gateway_of(&other.provider, "").start(&other.mlflow).await;
    let begun = other.begin().await;
    let token = other.provider.key.token(&other.claims(&begun, json!({})));
    other.provider.give(tokens(&token, None));
    let target = format!("/login/callback?code=a-code&state={}", begun.query["state"]);
    let response = send_to(&stage, "GET", &target, &format!("{NAVIGATE}{}", begun.cookie)).await;
    assert_eq!(other.read(&cookie_of(&response, SESSION).unwrap()).await.status, 200);
}

#[actix_web::test]
async fn neither_codes_nor_tokens_nor_cookies_are_written_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let audit = file.to_str().unwrap().to_owned();
    let stage = Stage::with(move |settings| settings.set("AUDIT__OUTPUT", &audit), "").await;
    let begun = stage.begin().await;
    let response = stage.end(&begun, json!({}), Some("obviously-a-refresh-token")).await;
    let cookie = cookie_of(&response, SESSION).unwrap();
    stage.read(&cookie).await;
    stage.callback("", "code=obviously-a-code&state=obviously-a-state").await;
    let records = || fs::read_to_string(&file).unwrap_or_default();
    eventually("both are recorded", || async { records().lines().count() >= 2 }).await;
    let seen: Vec<_> = stage.mlflow.requests().iter().map(|request| format!("{request:?}")).collect();
    for text in [&*records(), metrics_at(stage.gateway.metrics_address.unwrap()).await.text(), &seen.concat()]
    {
        for secret in ["a-code", "obviously-a", &begun.query["state"], &begun.query["nonce"], &cookie[20..]] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    let record = records();
    assert!(record.contains("/login/callback") && record.contains("ada@example.com"), "{record}");
}

#[actix_web::test]
async fn the_metrics_of_a_login_name_its_route_and_not_its_number() {
    let stage = Stage::set().await;
    stage.begin().await;
    let answer = metrics_at(stage.gateway.metrics_address.unwrap()).await;
    let metrics = answer.text();
    assert!(metrics.contains(r#"endpoint="/login/{number}""#), "{metrics}");
}
