//! Tokens that are no credentials: each is a 401 without a word about its fault, and nobody else sees it.

use std::net::Ipv4Addr;

use super::*;
use crate::support::Response;

const REJECTED: (u16, &str) = (401, "credential_rejected");

/// Fails unless each token is refused, and neither MLflow nor the auth service has been sent anything.
async fn assert_refused(stage: &Stage, gateway: &Gateway, tokens: Vec<(&str, String)>) {
    // Many bad ones of one address are refused for another reason.
    for (number, (name, token)) in (0xcb00_7100..).zip(tokens) {
        let response = get_from(gateway, &Ipv4Addr::from_bits(number).to_string(), &token).await;
        assert_eq!((response.status, response.reason().as_str()), REJECTED, "{name}: {response:?}");
        assert!(response.header("www-authenticate").is_some(), "{name}");
        assert!(message(&response).ends_with(" is not valid"), "{name}: {}", message(&response));
    }
    assert!(stage.mlflow.requests().is_empty());
    assert!(stage.auth.requests().is_empty(), "{:?}", stage.auth.requests());
}

fn message(response: &Response) -> String {
    response.json()["message"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn a_head_that_chooses_how_it_is_believed_is_refused() {
    let stage = Stage::set().await;
    let (rsa, attackers) = (SigningKey::rsa("rsa"), SigningKey::p256("key-1"));
    stage.issuer.publish([stage.key.public(), rsa.public()]);
    let gateway = stage.gateway().await;
    let claims = stage.claims().to_string();
    let head = |changes| changed(stage.key.head(), changes);
    let with = |key: &SigningKey, changes| key.sign(&head(changes).to_string(), &claims);
    let by_secret = |secret: &[u8], id| SigningKey::secret(id, secret).token(&stage.claims());
    let none = |name: &str| {
        format!("{}.{}.", signing::encode(json!({ "alg": name }).to_string()), signing::encode(&claims))
    };
    let chain = json!([base64::Engine::encode(&base64::prelude::BASE64_STANDARD, attackers.public_bytes())]);
    let tokens = vec![
        ("none", none("none")),
        ("None", none("None")),
        ("none with a signature", {
            let token = with(&stage.key, json!({}));
            let (_, rest) = token.split_once('.').unwrap();
            format!("{}.{rest}", signing::encode(r#"{"alg":"none","kid":"key-1"}"#))
        }),
        ("the public key as secret", by_secret(&rsa.public_bytes(), "rsa")),
        (
            "the public key as it is published as secret",
            by_secret(rsa.public().to_string().as_bytes(), "rsa"),
        ),
        ("the public point as secret", by_secret(&stage.key.public_bytes(), "key-1")),
        ("an empty secret", by_secret(b"", "key-1")),
        ("crit", with(&stage.key, json!({ "crit": ["exp"] }))),
        ("crit of an extension", with(&stage.key, json!({ "crit": ["b64"], "b64": true }))),
        ("a key in the head", with(&attackers, json!({ "jwk": attackers.public() }))),
        (
            "a key in the head without an id",
            with(&attackers, json!({ "jwk": attackers.public(), "kid": null })),
        ),
        ("jku", with(&attackers, json!({ "jku": format!("{}/jwks", stage.auth.url()) }))),
        ("x5u", with(&attackers, json!({ "x5u": format!("{}/x5u", stage.auth.url()) }))),
        ("x5c", with(&attackers, json!({ "x5c": chain }))),
        ("a token for logging out", with(&stage.key, json!({ "typ": "logout+jwt" }))),
        ("a number for an id", with(&stage.key, json!({ "kid": 1 }))),
        ("an algorithm twice", stage.key.sign(r#"{"alg":"ES256","kid":"key-1","alg":"ES256"}"#, &claims)),
        ("an id twice", stage.key.sign(r#"{"kid":"other","alg":"ES256","kid":"key-1"}"#, &claims)),
        ("another algorithm than its key's", with(&stage.key, json!({ "alg": "RS256" }))),
        ("an algorithm of another length", with(&stage.key, json!({ "alg": "ES384" }))),
    ];
    assert_refused(&stage, &gateway, tokens).await;
    assert_eq!(get(&gateway, &with(&stage.key, json!({}))).await.status, 200, "it is the head");
}

#[actix_web::test]
async fn a_claim_that_is_not_for_us_and_now_is_refused() {
    let stage = Stage::set().await;
    let gateway = stage.gateway().await;
    let now = Timestamp::now().as_second();
    let with = |changes| stage.token(changes);
    let twice = |claim: &str| {
        let claims = stage.claims().to_string();
        stage.key.sign(&stage.key.head().to_string(), &format!("{{{claim}, {}", &claims[1..]))
    };
    let tokens = vec![
        ("another audience", with(json!({ "aud": "other.example" }))),
        ("no audience", with(json!({ "aud": null }))),
        ("a list of others", with(json!({ "aud": ["other.example", "mlflow.example.org"] }))),
        ("an empty list", with(json!({ "aud": [] }))),
        ("an audience that is no text", with(json!({ "aud": { AUDIENCE: true } }))),
        ("not before later", with(json!({ "nbf": now + 120 }))),
        ("issued later", with(json!({ "iat": now + 120 }))),
        ("not before a text", with(json!({ "nbf": "now" }))),
        ("issued at a text", with(json!({ "iat": "now" }))),
        ("no end", with(json!({ "exp": null }))),
        ("a text for an end", with(json!({ "exp": "2999-01-01" }))),
        ("a number in a text for an end", with(json!({ "exp": (now + 3600).to_string() }))),
        ("an end beyond all time", with(json!({ "exp": 1e300 }))),
        ("no subject", with(json!({ "sub": null }))),
        ("an empty subject", with(json!({ "sub": "" }))),
        ("a number for a subject", with(json!({ "sub": 7 }))),
        ("a subject of 256 bytes", with(json!({ "sub": "x".repeat(256) }))),
        ("a subject of two lines", with(json!({ "sub": "a\nb" }))),
        ("a subject with a null", with(json!({ "sub": "a\0b" }))),
        ("an issuer twice", twice(&format!("\"iss\": \"{}\"", stage.issuer.url()))),
        ("a subject twice", twice(r#""sub": "repo:acme/churn""#)),
        ("another's subject first", twice(r#""sub": "root""#)),
        ("a claim of a rule twice", twice(r#""repository": "acme/churn""#)),
        ("an end twice", twice(&format!("\"exp\": {}", now - 10))),
        ("a number that no machine has", twice(r#""more": 1e999"#)),
        ("half a character", twice(r#""more": "\ud800""#)),
        ("a list in 500 others", twice(&format!("\"more\": {}{}", "[".repeat(500), "]".repeat(500)))),
    ];
    assert_refused(&stage, &gateway, tokens).await;
    assert_eq!(get(&gateway, &with(json!({}))).await.status, 200, "it is the claim");
}

#[actix_web::test]
async fn a_form_or_a_signature_that_is_not_the_issuers_is_refused() {
    let stage = Stage::set().await;
    let gateway = stage.gateway().await;
    let good = stage.token(json!({}));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (head, claims) = signed.split_once('.').unwrap();
    let others_claims =
        signing::encode(changed(stage.claims(), json!({ "repository": "acme/other" })).to_string());
    let mut flipped = signature.to_owned();
    flipped.replace_range(9..10, if &signature[9..10] == "A" { "B" } else { "A" });
    let tokens = vec![
        ("four parts", format!("{good}.{signature}")),
        ("two parts", signed.to_owned()),
        ("no signature", format!("{signed}.")),
        ("a cut signature", good[..good.len() - 4].to_owned()),
        ("a longer signature", format!("{good}AAAA")),
        ("a changed signature", format!("{signed}.{flipped}")),
        ("a signature in other letters", format!("{signed}.{}", signature.replace(['-', '_'], "+") + "=")),
        ("a signature of nothing", format!("{signed}.{}", "A".repeat(signature.len()))),
        ("others' claims", format!("{head}.{others_claims}.{signature}")),
        ("no head", format!("eyJ.{claims}.{signature}")),
        ("another issuer's key", SigningKey::p256("key-1").token(&stage.claims())),
    ];
    assert_refused(&stage, &gateway, tokens).await;
    assert_eq!(get(&gateway, &good).await.status, 200, "it is the form");
}

#[actix_web::test]
async fn a_key_that_is_not_for_tokens_signs_none() {
    let stage = Stage::set().await;
    let (encrypting, operating) = (SigningKey::p256("enc"), SigningKey::p256("ops"));
    let (short, secret) =
        (SigningKey::short_rsa("short"), SigningKey::secret("secret", b"published by mistake"));
    let (own, first, second) = (SigningKey::rsa("own"), SigningKey::ed25519("a"), SigningKey::ed25519("b"));
    stage.issuer.publish([
        stage.key.public(),
        changed(encrypting.public(), json!({ "use": "enc" })),
        changed(operating.public(), json!({ "key_ops": ["encrypt"] })),
        short.public(),
        secret.public(),
        changed(own.public(), json!({ "alg": "RS512" })),
        first.public(),
        second.public(),
    ]);
    let gateway = stage.gateway().await;
    let (claims, unknown) = (stage.claims(), SigningKey::p256("unknown"));
    let without_id = json!({ "alg": "EdDSA" }).to_string();
    let tokens = vec![
        ("a key for encryption", encrypting.token(&claims)),
        ("a key for operations of encryption", operating.token(&claims)),
        ("a short key", short.token(&claims)),
        ("a secret", secret.token(&claims)),
        ("another algorithm than its key is published for", own.token(&claims)),
        ("an unknown id", unknown.token(&claims)),
        ("two fit, and none is named", first.sign(&without_id, &claims.to_string())),
    ];
    assert_refused(&stage, &gateway, tokens).await;
    for (key, algorithm) in [(&first, "EdDSA"), (&own, "RS512")] {
        let head = changed(key.head(), json!({ "alg": algorithm }));
        assert_eq!(
            get(&gateway, &key.sign(&head.to_string(), &claims.to_string())).await.status,
            200,
            "{algorithm}"
        );
    }
}

#[actix_web::test]
async fn an_algorithm_that_is_not_pinned_is_refused_without_a_question() {
    let stage = Stage::set().await;
    let (p384, settings) = (SigningKey::p384("p384"), stage.settings().replace("'ES384', ", ""));
    stage.issuer.publish([stage.key.public(), p384.public()]);
    let gateway = stage.gateway_with(&settings).await;
    // Issued now: the issuer could have published its key since it was asked.
    let claims = changed(stage.claims(), json!({ "iat": Timestamp::now().as_second() }));
    let tokens = vec![
        ("not pinned", p384.token(&claims)),
        ("a secret", SigningKey::secret("p384", b"secret").token(&claims)),
    ];
    assert_refused(&stage, &gateway, tokens).await;
}

#[actix_web::test]
async fn a_token_that_is_longer_than_a_key_may_be_is_refused() {
    let stage = Stage::set().await;
    let gateway = stage.gateway().await;
    let with = |bytes| stage.token(json!({ "more": "x".repeat(bytes) }));
    let (good, long) = (with(5 * 1024), with(6 * 1024));
    assert!(
        (7 * 1024..8 * 1024).contains(&good.len()) && long.len() > 8 * 1024,
        "{} {}",
        good.len(),
        long.len()
    );
    assert_eq!(get(&gateway, &good).await.status, 200);
    let refused = get(&gateway, &long).await;
    assert_eq!((refused.status, refused.reason().as_str()), REJECTED);
    assert_eq!((stage.mlflow.requests().len(), stage.auth.validations().len()), (1, 0));
}

#[actix_web::test]
async fn an_expired_token_is_told_that_it_has_expired_and_when() {
    let stage = Stage::set().await;
    let gateway = stage.gateway_with(&stage.settings().replace("user =", "leeway = '1s'\nuser =")).await;
    let now = Timestamp::now().as_second();
    let old = get(&gateway, &stage.token(json!({ "exp": now - 10 }))).await;
    assert_eq!((old.status, old.reason().as_str()), REJECTED);
    let at = Timestamp::from_second(now - 10).unwrap();
    assert!(message(&old).contains(&format!("expired at {at}")), "{}", message(&old));

    // One that is remembered ends, too.
    let brief = stage.token(json!({ "exp": now + 1 }));
    assert_eq!(get(&gateway, &brief).await.status, 200);
    crate::support::eventually("it ends", async || get(&gateway, &brief).await.status == 401).await;
    let ended = get(&gateway, &brief).await;
    assert!(ended.reason() == "credential_rejected" && message(&ended).contains("expired at"), "{ended:?}");
    assert!(stage.auth.validations().is_empty());
}

#[actix_web::test]
async fn an_address_that_sends_bad_tokens_must_wait_and_others_need_not() {
    let stage = Stage::set().await;
    let gateway = stage.gateway().await;
    let (good, bad) = (stage.token(json!({})), stage.token(json!({ "aud": "other.example" })));
    assert_eq!(get(&gateway, &good).await.status, 200);
    // It has another one in each second.
    let mut rejected = 0;
    while get(&gateway, &bad).await.status == 401 {
        rejected += 1;
        assert!(rejected < 200, "for ever");
    }
    assert!(rejected >= 60, "{rejected}");
    let refused = get(&gateway, &bad).await;
    assert_eq!((refused.status, refused.reason().as_str()), (429, "rate_limited"));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(get_from(&gateway, "203.0.113.9", &bad).await.status, 401);
    assert_eq!(get(&gateway, &good).await.status, 200, "what is remembered costs no signature");
}

#[actix_web::test]
async fn tokens_that_have_ended_or_that_no_rule_fits_hold_up_nobody_behind_the_same_address() {
    let stage = Stage::set().await;
    let gateway = stage.gateway().await;
    let ended = Timestamp::now().as_second() - 1000;
    for (changes, status) in [(json!({ "exp": ended }), 401), (json!({ "repository": "other/x" }), 403)] {
        let token = stage.token(changes);
        for _ in 0..70 {
            assert_eq!(get(&gateway, &token).await.status, status);
        }
    }
    assert_eq!(get(&gateway, &stage.token(json!({ "jti": "new" }))).await.status, 200);
}
