//! What is no token of a configured issuer's is a key, as it always was.

use super::*;

#[actix_web::test]
async fn a_token_of_an_issuer_that_nobody_named_goes_to_the_auth_service() {
    let stage = Stage::set().await;
    let gateway = stage.gateway().await;
    let others = format!("{}/", stage.issuer.url());
    for (name, key) in [
        ("an issuer with a slash more", stage.token(json!({ "iss": others }))),
        ("no issuer", stage.token(json!({ "iss": null }))),
        ("a list of issuers", stage.token(json!({ "iss": [stage.issuer.url()] }))),
        ("a key", "a-key".to_owned()),
        ("a key with dots", "e.e.e".to_owned()),
    ] {
        let before = stage.auth.validations().len();
        assert_eq!(get(&gateway, &key).await.status, 200, "{name}");
        let validations = stage.auth.validations();
        assert_eq!(validations.len(), before + 1, "{name}");
        assert_eq!(validations[before].header("authorization"), Some(&*format!("Bearer {key}")), "{name}");
    }
    assert_eq!(stage.issuer.asked(), 1, "of none of them");
}

#[actix_web::test]
async fn a_token_of_an_issuer_that_nobody_named_is_an_unknown_key_of_the_key_file() {
    let stage = Stage::set().await;
    let gateway = GatewayBuilder::default().file(&stage.settings()).start(&stage.mlflow).await;
    let response = get(&gateway, &stage.token(json!({ "iss": "https://other.example" }))).await;
    assert_eq!((response.status, response.reason().as_str()), (401, "credential_rejected"));
    for key in [&stage.token(json!({})), &gateway.key] {
        assert_eq!(get(&gateway, key).await.status, 200, "keys and tokens work beside each other");
    }
}
