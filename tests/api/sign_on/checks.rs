//! How long the word of an issuer counts, and what ends it.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::support::server::Recorded;

const MINUTES: i64 = 60;

/// A provider that gives a new refresh token for each, which is then good no more.
pub fn rotating(stage: &Stage) {
    let current = std::sync::Mutex::new(0);
    stage.provider.give_by(move |request: &Recorded| {
        let mut current = current.lock().unwrap();
        if !request.text().contains(&format!("refresh_token=refresh-{current}")) {
            return Answer::json(400, r#"{"error": "invalid_grant"}"#);
        }
        *current += 1;
        let given = json!({ "access_token": "a", "token_type": "Bearer", "refresh_token": format!("refresh-{current}") });
        Answer::After(Duration::from_millis(50), bytes(&given))
    });
}

fn bytes(body: &Value) -> Vec<u8> {
    let Answer::Bytes(bytes) = Answer::ok(&body.to_string()) else { unreachable!("an answer with a length") };
    bytes
}

#[actix_web::test]
async fn the_issuer_is_not_asked_again_for_five_minutes_and_then_once_for_all_requests() {
    let stage = Stage::set().await;
    let cookie = stage.log_in(Some("refresh-0")).await;
    rotating(&stage);
    for cookie in [&cookie, &later(&cookie, 4 * MINUTES)] {
        let response = stage.read(cookie).await;
        assert_eq!((response.status, cookie_of(&response, SESSION)), (200, None));
    }
    assert_eq!(stage.provider.asked().len(), 1, "for the login");
    let old = later(&cookie, 6 * MINUTES);
    let all = futures_util::future::join_all((0..8).map(|_| stage.read(&old))).await;
    let renewed = all.iter().map(|response| (response.status, cookie_of(response, SESSION).is_some()));
    assert_eq!(renewed.collect::<Vec<_>>(), [(200, true); 8]);
    // Whoever missed that still comes with the old one.
    assert_eq!(stage.read(&old).await.status, 200);
    assert_eq!(stage.provider.asked().len(), 2);
    let session = opened(&cookie_of(&all[0], SESSION).unwrap());
    assert_eq!(session["refresh"], "refresh-1");
    assert_eq!((&session["id"], &session["ends"]), (&opened(&old)["id"], &opened(&old)["ends"]));
}

#[actix_web::test]
async fn an_issuer_that_says_no_ends_the_session() {
    let stage = Stage::set().await;
    let old = later(&stage.log_in(Some("refresh-0")).await, 6 * MINUTES);
    stage.provider.give(Answer::json(400, r#"{"error": "invalid_grant"}"#));
    let response = stage.read(&old).await;
    assert_eq!((response.status, &*response.reason()), (401, "credential_rejected"));
    let page = stage.send("GET", "/mlflow/", &format!("{NAVIGATE}{old}")).await;
    assert_eq!((page.status, page.header("location")), (302, Some("/login?next=/mlflow/&because=ended")));
    assert!(removes(&page, SESSION));
    assert_eq!(stage.provider.asked().len(), 2, "it is asked once");
    assert_eq!(stage.mlflow.requests().len(), 0);
}

#[actix_web::test]
async fn an_outage_of_the_issuer_ends_no_session_for_an_hour_and_is_never_a_refusal() {
    let stage = Stage::set().await;
    let cookie = stage.log_in(Some("refresh-0")).await;
    stage.provider.give(Answer::page(502));
    let old = later(&cookie, 59 * MINUTES);
    for _ in 0..5 {
        assert_eq!(stage.read(&old).await.status, 200);
    }
    assert_eq!(stage.provider.asked().len(), 2, "it is left alone for a while");
    let older = later(&cookie, 61 * MINUTES);
    let response = stage.read(&older).await;
    assert_eq!((response.status, &*response.reason()), (503, "auth_unavailable"));
    let page = stage.send("GET", "/mlflow/", &format!("{NAVIGATE}{older}")).await;
    assert_eq!((page.status, page.header("location"), page.header("set-cookie")), (503, None, None));
}

#[actix_web::test]
async fn what_the_issuer_says_anew_counts_at_once() {
    let stage = Stage::set().await;
    let begun = stage.begin().await;
    let response = stage.end(&begun, json!({}), Some("refresh-0")).await;
    let cookie = cookie_of(&response, SESSION).unwrap();
    for (what, changes, status) in [
        ("the same", json!({ "nonce": null }), 200),
        ("another group", json!({ "groups": ["sales"] }), 403),
        ("another person", json!({ "sub": "obviously-another" }), 401),
        ("another audience", json!({ "aud": "other" }), 401),
    ] {
        let token = stage.provider.key.token(&stage.claims(&begun, changes));
        stage.provider.give(tokens(&token, None));
        // Each a session of its own.
        let mut old = opened(&later(&cookie, 6 * MINUTES));
        old["id"] = what.into();
        let response = stage.read(&sealed(SESSION, &old)).await;
        assert_eq!(response.status, status, "{what}");
    }
}

#[actix_web::test]
async fn a_session_without_a_refresh_token_lasts_for_its_lifetime() {
    let stage = Stage::set().await;
    let old = later(&stage.log_in(None).await, 11 * 60 * MINUTES);
    assert_eq!(stage.read(&old).await.status, 200);
    let mut ended = opened(&old);
    ended["ends"] = Timestamp::now().as_second().into();
    assert_eq!(stage.read(&sealed(SESSION, &ended)).await.status, 401);
}

#[actix_web::test]
async fn what_does_not_fit_into_a_cookie_is_left_out_or_told() {
    let stage = Stage::set().await;
    let cookie = stage.log_in(Some(&"r".repeat(3000))).await;
    assert_eq!(opened(&cookie).get("refresh"), None);
    assert_eq!(stage.read(&cookie).await.status, 200);
    let begun = stage.begin().await;
    let groups: Vec<_> = (0..200).map(|number| format!("data-group-{number}")).collect();
    let response = stage.end(&begun, json!({ "groups": groups }), None).await;
    assert!(response.header("location").unwrap().ends_with("&because=much"), "{response:?}");
    assert_eq!(cookie_of(&response, SESSION), None);
}

#[actix_web::test]
async fn changed_rules_count_for_sessions_that_have_begun() {
    let stage = Stage::set().await;
    let cookie = stage.log_in(None).await;
    let rule =
        |when: &str| format!("[[auth.issuers.rules]]\nwhen = {{ {when} }}\nscopes = ['mlflow:write']\n");
    for (what, settings, status) in [
        ("the first rule that fits decides", rule("groups = 'data-science'"), 403),
        ("a claim that nobody asked for", rule("department = 'x'"), 401),
    ] {
        let gateway = gateway_of(&stage.provider, &settings).start(&stage.mlflow).await;
        assert_eq!(send_to(&gateway, "GET", READ, &cookie).await.status, status, "{what}");
    }
    let without = GatewayBuilder::default()
        .set("SERVER__TRUSTED_PROXIES", "127.0.0.1")
        .set("AUTH__SESSION__SECRET", SECRET)
        .start(&stage.mlflow)
        .await;
    assert_eq!(send_to(&without, "GET", READ, &cookie).await.status, 401, "an issuer that is gone");
}

#[actix_web::test]
async fn a_session_changes_things_for_pages_of_the_gateways_own_alone() {
    let rules = "[[auth.issuers.rules]]\nwhen = { sub = '*' }\nscopes = ['mlflow:write']\n";
    let stage = Stage::with(|settings| settings, rules).await;
    let cookie = stage.log_in(None).await;
    let create = "/mlflow/ajax-api/2.0/mlflow/experiments/create";
    for (origin, status) in [(OURS, 200), ("origin: https://evil.example\r\n", 403)] {
        let rest = format!(
            "{cookie}{origin}content-type: application/json\r\ncontent-length: 12\r\n\r\n{{\"name\":\"a\"}}"
        );
        assert_eq!(stage.send("POST", create, &rest).await.status, status, "{origin}");
    }
}

#[actix_web::test]
async fn logging_out_ends_the_session_here_and_leads_to_the_issuer() {
    let stage = Stage::set().await;
    let cookie = stage.log_in(Some("refresh-0")).await;
    let page = stage.send("POST", "/logout", &format!("{OURS}{cookie}")).await;
    assert!(page.status == 200 && removes(&page, SESSION), "{page:?}");
    let (_, rest) = page.text().split_once("content=\"0; url=").unwrap();
    let url = Url::parse(&rest.split_once('"').unwrap().0.replace("&amp;", "&")).unwrap();
    assert_eq!(url.path(), "/end");
    let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(query["client_id"], CLIENT);
    let back = Url::parse(&query["post_logout_redirect_uri"]).unwrap();
    assert_eq!(query.len(), 2);
    assert_eq!(stage.read(&cookie).await.status, 401, "also for a copy of the cookie");
    let response = stage.send("GET", back.path(), NAVIGATE).await;
    assert_eq!((response.status, response.header("location")), (303, Some("/login?because=out")));
}

#[actix_web::test]
async fn an_issuer_without_a_logout_is_not_led_to() {
    let stage = Stage::set().await;
    stage.provider.describe("end_session_endpoint", Value::Null);
    let cookie = stage.log_in(None).await;
    let response = stage.send("POST", "/logout", &format!("{OURS}{cookie}")).await;
    assert_eq!((response.status, response.header("location")), (303, Some("/login?because=out")));
}
