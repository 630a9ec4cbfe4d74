//! Providers that lie, fail, and speak in other ways.

use serde_json::json;

use super::*;
use crate::issuers::signing::SigningKey;

#[actix_web::test]
async fn a_token_that_is_no_proof_logs_nobody_in() {
    let stage = Stage::set().await;
    let now = Timestamp::now().as_second();
    for (what, changes) in [
        ("no nonce", json!({ "nonce": null })),
        ("another nonce", json!({ "nonce": "obviously-another" })),
        ("another audience", json!({ "aud": "other" })),
        ("the audience of machines", json!({ "aud": "machines" })),
        ("several audiences, and nobody it was given to", json!({ "aud": [CLIENT, "other"] })),
        ("given to another", json!({ "aud": [CLIENT, "other"], "azp": "other" })),
        ("another issuer", json!({ "iss": "https://other.example" })),
        ("expired", json!({ "exp": now - 60 })),
        ("not yet", json!({ "iat": now + 600 })),
    ] {
        let begun = stage.begin().await;
        let response = stage.end(&begun, changes, None).await;
        let told = (response.status, cookie_of(&response, SESSION));
        assert_eq!(told, (303, None), "{what}");
        assert!(response.header("location").unwrap().ends_with("&because=denied"), "{what}");
        assert!(removes(&response, ATTEMPT), "{what}");
    }
    let begun = stage.begin().await;
    let fits = json!({ "aud": [CLIENT, "other"], "azp": CLIENT });
    assert!(cookie_of(&stage.end(&begun, fits, None).await, SESSION).is_some());
}

#[actix_web::test]
async fn a_token_that_somebody_else_signed_logs_nobody_in() {
    let stage = Stage::set().await;
    let begun = stage.begin().await;
    let token = SigningKey::p256("key-1").token(&stage.claims(&begun, json!({})));
    stage.provider.give(tokens(&token, None));
    let query = format!("code=a-code&state={}", begun.query["state"]);
    let response = stage.callback(&begun.cookie, &query).await;
    assert_eq!((response.status, cookie_of(&response, SESSION)), (303, None));
}

/// How a login ends where the token endpoint answers so.
async fn end_by(stage: &Stage, answer: Answer) -> Response {
    let begun = stage.begin().await;
    stage.provider.give(answer);
    stage.callback(&begun.cookie, &format!("code=a-code&state={}", begun.query["state"])).await
}

#[actix_web::test]
async fn a_token_endpoint_that_does_not_work_is_an_outage_and_nobodys_refusal() {
    let stage = Stage::set().await;
    for (what, answer) in [
        ("no token", Answer::ok(r#"{"access_token": "a", "token_type": "Bearer"}"#)),
        ("a page", Answer::page(200)),
        ("a page in place of a refusal", Answer::page(400)),
        ("the gateway is no client", Answer::json(401, r#"{"error": "invalid_client"}"#)),
        ("down", Answer::json(503, "{}")),
        ("another place", Answer::bytes("HTTP/1.1 302 X\r\nlocation: /jwks\r\ncontent-length: 0\r\n\r\n")),
        ("nothing", Answer::Close),
        ("too much", Answer::Endless),
    ] {
        let response = end_by(&stage, answer).await;
        assert_eq!((response.status, cookie_of(&response, SESSION)), (503, None), "{what}");
        assert!(removes(&response, ATTEMPT) && response.header("retry-after").is_some(), "{what}");
    }
    let refused = end_by(&stage, Answer::json(400, r#"{"error": "invalid_grant"}"#)).await;
    assert!(refused.header("location").unwrap().ends_with("&because=denied"), "{refused:?}");
}

#[actix_web::test]
async fn an_issuer_that_cannot_be_asked_is_told_of_on_the_login_page() {
    let provider = Provider::start().await;
    let mlflow = Server::start(|_| Answer::ok("{}")).await;
    provider.describe("issuer", "https://other.example".into());
    let stage = Stage { gateway: gateway_of(&provider, "").start(&mlflow).await, provider, mlflow };
    for _ in 0..20 {
        let response = stage.post("/login/1", OURS, "next=%2F").await;
        assert_eq!((response.status, cookie_of(&response, ATTEMPT)), (503, None));
        assert!(response.text().contains("single sign-on cannot be reached"), "{}", response.text());
    }
    assert_eq!(stage.provider.discoveries(), 2, "once for its keys, and once for all logins");
}

#[actix_web::test]
async fn a_document_that_sends_people_or_secrets_past_tls_is_not_followed() {
    for endpoint in ["authorization_endpoint", "token_endpoint"] {
        let provider = Provider::start().await;
        provider.describe(endpoint, "http://provider.example/elsewhere".into());
        let mlflow = Server::start(|_| Answer::ok("{}")).await;
        let stage = Stage { gateway: gateway_of(&provider, "").start(&mlflow).await, provider, mlflow };
        assert_eq!(stage.post("/login/1", OURS, "next=%2F").await.status, 503, "{endpoint}");
    }
}

#[actix_web::test]
async fn a_client_without_a_secret_and_one_whose_issuer_wants_it_in_the_form_are_known_by_it() {
    let stage = Stage::set().await;
    stage.provider.describe("token_endpoint_auth_methods_supported", json!(["client_secret_post"]));
    let begun = stage.begin().await;
    stage.end(&begun, json!({}), None).await;
    let asked = stage.provider.asked().pop().unwrap();
    assert_eq!(asked.header("authorization"), None);
    assert!(
        asked.text().contains(&format!("client_id={CLIENT}&client_secret=obviously-a-secret")),
        "{}",
        asked.text()
    );
}

#[actix_web::test]
async fn a_provider_that_always_says_who_it_is_is_not_believed_where_it_does_not() {
    let stage = Stage::set().await;
    stage.provider.describe("authorization_response_iss_parameter_supported", true.into());
    let begun = stage.begin().await;
    let token = stage.provider.key.token(&stage.claims(&begun, json!({})));
    stage.provider.give(tokens(&token, None));
    let query = format!("code=a-code&state={}", begun.query["state"]);
    let response = stage.callback(&begun.cookie, &query).await;
    assert!(response.header("location").unwrap().ends_with("&because=again"), "{response:?}");
    assert_eq!(
        (cookie_of(&response, SESSION), stage.provider.asked().len()),
        (None, 0),
        "nobody gets the code"
    );
    let begun = stage.begin().await;
    let token = stage.provider.key.token(&stage.claims(&begun, json!({})));
    stage.provider.give(tokens(&token, None));
    let issuer = url::form_urlencoded::byte_serialize(stage.provider.url().as_bytes()).collect::<String>();
    let query = format!("code=a-code&state={}&iss={issuer}", begun.query["state"]);
    assert!(cookie_of(&stage.callback(&begun.cookie, &query).await, SESSION).is_some());
}

#[actix_web::test]
async fn what_a_page_of_another_site_sends_browsers_back_with_holds_up_nobody_and_refused_codes_do() {
    let stage = Stage::set().await;
    let other = stage.begin().await.cookie;
    for number in 0..70 {
        let cookie = if number % 2 == 0 { "" } else { &other };
        let response = stage.callback(cookie, "code=a-code&state=obviously-forged").await;
        assert_eq!(response.status, 303, "{number}");
    }
    stage.log_in(None).await;
    // An address has another one in each second.
    let mut refused = 0;
    while end_by(&stage, Answer::json(400, r#"{"error": "invalid_grant"}"#)).await.status == 303 {
        refused += 1;
        assert!(refused < 200, "codes can be guessed for ever");
    }
    assert_eq!(stage.provider.asked().len(), 1 + refused, "and the issuer is not asked");
    assert!(refused >= 60, "{refused}");
}
