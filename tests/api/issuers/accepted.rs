//! Tokens that are credentials, and what MLflow hears of who sent them.

use super::*;

#[actix_web::test]
async fn every_algorithm_of_the_settings_is_one() {
    let stage = Stage::set().await;
    let keys = [
        SigningKey::rsa("rsa"),
        SigningKey::p256("p256"),
        SigningKey::p384("p384"),
        SigningKey::ed25519("ed"),
    ];
    stage.issuer.publish(keys.iter().map(SigningKey::public));
    let gateway = stage.gateway().await;
    let [rsa, p256, p384, ed25519] = &keys;
    let cases = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"].map(|algorithm| (rsa, algorithm));
    for (key, algorithm) in cases.into_iter().chain([(p256, "ES256"), (p384, "ES384"), (ed25519, "EdDSA")]) {
        let head = json!({ "alg": algorithm, "kid": key.id }).to_string();
        let response = get(&gateway, &key.sign(&head, &stage.claims().to_string())).await;
        assert_eq!(response.status, 200, "{algorithm}: {response:?}");
    }
    assert_eq!(stage.issuer.asked(), 1);
}

#[actix_web::test]
async fn what_may_be_otherwise_in_a_good_token_is() {
    let stage = Stage::set().await;
    let alone = SigningKey::ed25519("alone");
    stage.issuer.publish([stage.key.public(), alone.public()]);
    let gateway = stage.gateway().await;
    let (now, head) =
        (Timestamp::now().as_second(), |changes| changed(stage.key.head(), changes).to_string());
    let claims = |changes| changed(stage.claims(), changes).to_string();
    for (name, token) in [
        ("a list of audiences with ours", stage.token(json!({ "aud": ["other.example", AUDIENCE] }))),
        ("no time of issue", stage.token(json!({ "iat": null }))),
        ("a clock that is a little ahead", stage.token(json!({ "iat": now + 20, "nbf": now + 20 }))),
        ("a clock that is a little behind", stage.token(json!({ "exp": now - 20 }))),
        ("a fraction of a second", stage.token(json!({ "exp": now as f64 + 60.5 }))),
        ("a subject of 255 bytes", stage.token(json!({ "sub": "x".repeat(255) }))),
        ("a token of access", stage.key.sign(&head(json!({ "typ": "at+jwt" })), &claims(json!({})))),
        (
            "the same in full",
            stage.key.sign(&head(json!({ "typ": "application/AT+JWT" })), &claims(json!({}))),
        ),
        ("no type", stage.key.sign(&head(json!({ "typ": null })), &claims(json!({})))),
        (
            "members that nobody knows",
            stage.key.sign(&head(json!({ "x5t": "a", "jku": "http://127.0.0.1:1" })), &claims(json!({}))),
        ),
        ("no id, where one key fits", alone.sign(r#"{"alg":"EdDSA"}"#, &claims(json!({})))),
    ] {
        let response = get(&gateway, &token).await;
        assert_eq!(response.status, 200, "{name}: {response:?}");
    }
    assert_eq!(stage.issuer.requests().len(), 2, "{:?}", stage.issuer.requests());
}

#[actix_web::test]
async fn mlflow_hears_of_the_user_and_of_whose_token_it_is() {
    let stage = Stage::set().await;
    let gateway = stage.gateway().await;
    assert_eq!(
        get(&gateway, &stage.token(json!({ "sub": "a b%", "repository": "acme/Größe" }))).await.status,
        200
    );
    let request = stage.mlflow.request();
    assert_eq!(request.header("x-hokusai-user-id"), Some("acme/Gr%C3%B6%C3%9Fe"));
    assert_eq!(request.header("x-hokusai-key-id"), Some(&*format!("{}|a%20b%25", stage.issuer.url())));
    assert_eq!(request.header("authorization"), None);
}

#[actix_web::test]
async fn a_token_is_a_credential_however_it_is_sent() {
    let stage = Stage::set().await;
    let gateway = stage.gateway().await;
    let token = stage.token(json!({}));
    let basic = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("anybody:{token}"));
    for header in [
        format!("authorization: bearer {token}"),
        format!("authorization: Basic {basic}"),
        format!("authorization: ApiKey {token}"),
        format!("x-api-key: {token}"),
    ] {
        let get = format!("GET /api/2.0/mlflow/runs/get?run_id=a HTTP/1.1\r\nhost: a\r\n{header}\r\n\r\n");
        assert_eq!(ask(gateway.address, get).await.status, 200, "{header}");
    }
}
