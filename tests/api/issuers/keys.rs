//! The keys of an issuer that is down, slow or lying, or changes them. How time passes for them is tested beside `keys.rs`.

use super::*;
use crate::support::{eventually, metric};

const UNAVAILABLE: (u16, &str) = (503, "auth_unavailable");

#[actix_web::test]
async fn an_issuer_that_is_down_at_the_start_is_an_outage_until_it_answers() {
    let stage = Stage::set().await;
    stage.issuer.answer_keys(Some(Answer::json(500, "{}")));
    let gateway = stage.gateway().await;
    let token = stage.token(json!({}));
    let down = get(&gateway, &token).await;
    assert_eq!((down.status, down.reason().as_str()), UNAVAILABLE);
    assert!(down.header("retry-after").is_some() && down.header("www-authenticate").is_none());
    assert_eq!(metric(&gateway, r#"auth_validations_total{outcome="unavailable"}"#).await, 1.0);
    assert!(stage.mlflow.requests().is_empty() && stage.auth.requests().is_empty());

    stage.issuer.answer_keys(None);
    eventually("it is asked again", async || get(&gateway, &token).await.status == 200).await;
    // It is down again, and its last keys are good, for tokens that were never seen, too.
    stage.issuer.answer_keys(Some(Answer::Close));
    for token in [token, stage.token(json!({ "jti": "new" }))] {
        assert_eq!(get(&gateway, &token).await.status, 200);
    }
}

#[actix_web::test]
async fn requests_that_come_together_at_the_start_ask_the_issuer_once() {
    let stage = Stage::set().await;
    let gateway = stage.gateway().await;
    let tokens: Vec<_> = (0..24).map(|number| stage.token(json!({ "jti": number.to_string() }))).collect();
    let responses = futures_util::future::join_all(tokens.iter().map(|token| get(&gateway, token))).await;
    assert!(responses.iter().all(|response| response.status == 200));
    assert_eq!(stage.issuer.requests().len(), 2, "its document, and its keys: {:?}", stage.issuer.requests());
}

#[actix_web::test]
async fn two_hundred_tokens_of_unknown_keys_do_not_ask_the_issuer_again() {
    let stage = Stage::set().await;
    let gateway = stage.gateway().await;
    assert_eq!(get(&gateway, &stage.token(json!({}))).await.status, 200);
    let (stranger, now) = (SigningKey::p256("stranger"), Timestamp::now().as_second());
    for number in 0..200 {
        let head = json!({ "alg": "ES256", "kid": number.to_string() }).to_string();
        // Half of them could be of a key that was published a moment ago: nobody knows.
        let (issued_at, status) = if number % 2 == 0 { (now - 3600, 401) } else { (now, 503) };
        let token = stranger.sign(&head, &changed(stage.claims(), json!({ "iat": issued_at })).to_string());
        let response = get_from(&gateway, &format!("203.0.113.{number}"), &token).await;
        assert_eq!(response.status, status, "{number}");
        assert!(status == 401 || response.header("retry-after").is_some());
    }
    assert_eq!(stage.issuer.asked(), 1);
}

#[actix_web::test]
async fn a_stranger_cannot_make_the_gateway_look_as_if_its_issuer_were_down() {
    let stage = Stage::set().await;
    let gateway = stage.gateway().await;
    assert_eq!(get(&gateway, &stage.token(json!({}))).await.status, 200);
    // Nobody knows whether its key was published a moment ago; an address has another such token in each second.
    let claims = changed(stage.claims(), json!({ "iat": Timestamp::now().as_second() }));
    let unknown = SigningKey::p256("stranger").token(&claims);
    let mut unanswered = 0;
    while get(&gateway, &unknown).await.status == 503 {
        unanswered += 1;
        assert!(unanswered < 200, "for ever");
    }
    let refused = get(&gateway, &unknown).await;
    assert_eq!((refused.status, refused.reason().as_str()), (429, "rate_limited"));
    assert!(unanswered >= 60 && refused.header("retry-after").is_some(), "{unanswered}");
    assert_eq!(get_from(&gateway, "203.0.113.9", &unknown).await.status, 503);
    assert_eq!(get_from(&gateway, "203.0.113.9", &stage.token(json!({ "jti": "new" }))).await.status, 200);
}

#[actix_web::test]
async fn a_key_that_was_withdrawn_ends_what_it_has_signed() {
    let stage = Stage::set().await;
    let (old, new) = (&stage.key, SigningKey::p256("key-2"));
    let gateway = stage.gateway().await;
    let by = |key: &SigningKey| {
        key.token(&changed(stage.claims(), json!({ "iat": Timestamp::now().as_second() })))
    };
    let (remembered, later) = (by(old), by(&new));
    assert_eq!(get(&gateway, &remembered).await.status, 200);
    stage.issuer.publish([new.public()]);
    // The token of a new key is what makes it look.
    eventually("the new key is good", async || get(&gateway, &later).await.status == 200).await;
    assert_eq!(stage.issuer.asked(), 2);
    // It was issued before its key was gone, by a key that is no longer published.
    let refused = get(&gateway, &stage.token(json!({}))).await;
    assert_eq!((refused.status, refused.reason().as_str()), (401, "credential_rejected"));
    assert_ne!(get(&gateway, &remembered).await.status, 200);
    assert!(stage.auth.validations().is_empty());
}

#[actix_web::test]
async fn two_keys_with_one_id_are_both_tried() {
    let stage = Stage::set().await;
    let (second, third) = (SigningKey::p256("key-1"), SigningKey::p256("key-1"));
    stage.issuer.publish([stage.key.public(), second.public()]);
    let gateway = stage.gateway().await;
    for (key, status) in [(&stage.key, 200), (&second, 200), (&third, 401)] {
        assert_eq!(get(&gateway, &key.token(&stage.claims())).await.status, status);
    }
}

#[actix_web::test]
async fn keys_are_taken_from_the_issuer_itself_and_in_json_of_some_length_only() {
    let page = "HTTP/1.1 200 X\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>";
    let redirect = "HTTP/1.1 302 X\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n";
    let key = SigningKey::p256("key-1");
    let much = json!({ "keys": [key.public()], "more": "x".repeat(10_000_000) });
    let only = |keys: Value| Answer::ok(&json!({ "keys": keys }).to_string());
    let encrypting = changed(key.public(), json!({ "use": "enc" }));
    for (name, answer) in [
        ("500", Answer::json(500, "{}")),
        ("a page", Answer::bytes(page)),
        ("a redirect", Answer::bytes(redirect)),
        ("10 MB", Answer::ok(&much.to_string())),
        ("without an end", Answer::Endless),
        ("half", Answer::bytes_then_close("HTTP/1.1 200 X\r\ncontent-length: 900\r\n\r\n{\"keys\": []}")),
        ("no set", Answer::ok("[]")),
        ("an empty set", only(json!([]))),
        ("keys for encryption", only(json!([encrypting]))),
        ("short keys", only(json!([SigningKey::short_rsa("key-1").public()]))),
        ("secrets", only(json!([SigningKey::secret("key-1", b"secret").public()]))),
        (
            "junk",
            only(
                json!([null, 7, "key", {}, { "kty": "EC" }, { "kty": "EC", "crv": "P-256", "x": "?", "y": "?" }]),
            ),
        ),
    ] {
        let stage = Stage::set().await;
        stage.issuer.answer_keys(Some(answer));
        let gateway = stage.gateway().await;
        let response = get(&gateway, &key.token(&stage.claims())).await;
        assert_eq!((response.status, response.reason().as_str()), UNAVAILABLE, "{name}");
        assert!(stage.issuer.requests().len() <= 2, "{name}: {:?}", stage.issuer.requests());
    }
}

#[actix_web::test]
async fn a_document_of_another_issuer_or_with_an_open_way_to_its_keys_is_not_believed() {
    for (name, describe) in [
        ("a slash more", (|url| (format!("{url}/"), format!("{url}/jwks"))) as fn(&str) -> (String, String)),
        ("another issuer", |url| ("https://issuer.example".to_owned(), format!("{url}/jwks"))),
        ("keys over http", |url| (url.to_owned(), "http://issuer.example/jwks".to_owned())),
        ("keys in a file", |url| (url.to_owned(), "file:///etc/passwd".to_owned())),
        ("keys nowhere", |url| (url.to_owned(), "jwks".to_owned())),
    ] {
        let stage = Stage::set().await;
        let (issuer, keys) = describe(&stage.issuer.url());
        stage.issuer.describe(&issuer, &keys);
        let gateway = stage.gateway().await;
        let response = get(&gateway, &stage.token(json!({}))).await;
        assert_eq!((response.status, response.reason().as_str()), UNAVAILABLE, "{name}");
        assert_eq!(stage.issuer.asked(), 0, "{name}");
    }
}

#[actix_web::test]
async fn an_issuer_that_hangs_keeps_nobody_for_long_and_no_others() {
    let stage = Stage::set().await;
    stage.issuer.answer_discovery(Answer::Silence);
    let gateway = stage.gateway().await;
    let others = stage.auth.validations().len();
    let token = stage.token(json!({}));
    let (waiting, key) = tokio::join!(get(&gateway, &token), get(&gateway, "a-key"));
    assert_eq!((waiting.status, waiting.reason().as_str()), UNAVAILABLE);
    assert_eq!((key.status, stage.auth.validations().len()), (200, others + 1));
}
