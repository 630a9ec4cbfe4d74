//! `check --probe` at issuers, and with an example token.

use super::*;
use crate::support::{
    certificates::Certificate,
    commands::{Report, mlflow},
    tls::{acceptor, terminate},
};

/// `check --probe`, and an example token in a file.
async fn probe_with(settings: &str, token: Option<&str>) -> Report {
    let (folder, mut check) = operator(settings, &["check", "--probe"]);
    if let Some(token) = token {
        std::fs::write(folder.path().join("token"), format!("{token}\n")).unwrap();
        check.args(["--token", "token"]);
    }
    let mlflow = mlflow(|_| None).await;
    check.env("MLFLOW_SERVER_URL", mlflow.url()).env("HOKUSAI__SERVER__BIND", "127.0.0.1:0");
    let report = Report::of(check).await;
    assert!(token.is_none_or(|token| !report.printed.contains(&token[10..])), "the token is printed");
    report
}

async fn probe(settings: &str) -> Report {
    probe_with(settings, None).await
}

#[actix_web::test]
async fn an_issuer_that_is_well_is_told_with_its_keys() {
    let stage = Stage::set().await;
    let rsa = SigningKey::rsa("rsa-1");
    stage.issuer.publish([stage.key.public(), changed(rsa.public(), json!({ "alg": "RS256" }))]);
    let report = probe(&stage.settings()).await;
    assert_eq!(report.code, Some(0), "{}", report.printed);
    let check = |step: &str| format!("auth.issuers[{}].{step}", stage.issuer.url());
    for step in ["dns", "tcp", "discovery", "keys", "clock"] {
        assert!(report.passed().contains(&*check(step)), "{step}: {}", report.printed);
    }
    assert!(report.printed.contains("usable keys: key-1 (ES256), rsa-1 (RS256)"), "{}", report.printed);

    let keys = format!("jwks_url = '{}/jwks'\nuser =", stage.issuer.url());
    let report = probe(&stage.settings().replace("user =", &keys)).await;
    assert!(report.code == Some(0) && !report.printed.contains("discovery"), "{}", report.printed);
}

#[actix_web::test]
async fn a_slash_too_many_or_too_few_is_told_with_what_to_write() {
    let stage = Stage::set().await;
    let (url, slash) = (stage.issuer.url(), format!("{}/", stage.issuer.url()));
    for (written, answered) in [(&url, &slash), (&slash, &url)] {
        stage.issuer.describe(answered, &format!("{url}/jwks"));
        let report = probe(&(issuer_settings(written) + RULE)).await;
        report.assert_named("HG-A11");
        let check = format!("auth.issuers[{written}].discovery");
        report.assert_failed(&check, "a slash at the end counts");
        report.assert_failed(&check, &format!("issuer = \"{answered}\""));
    }
    stage.issuer.describe("https://other.example", &format!("{url}/jwks"));
    probe(&stage.settings()).await.assert_failed(&format!("auth.issuers[{url}].discovery"), "another name");
}

#[actix_web::test]
async fn keys_that_fit_no_algorithm_are_told_with_those_that_would() {
    let stage = Stage::set().await;
    let check = format!("auth.issuers[{}].keys", stage.issuer.url());
    let settings = stage.settings().replace(", 'ES256'", "");
    let report = probe(&settings).await;
    report.assert_named("HG-A12");
    report.assert_failed(&check, "kid key-1, kty EC, crv P-256");
    report.assert_failed(&check, "of ES256");
    for (key, words) in [
        (Some(SigningKey::short_rsa("short").public()), "kid short, kty RSA, 1024 bits"),
        (Some(changed(stage.key.public(), json!({ "use": "enc" }))), "use enc"),
        (None, "it publishes nothing"),
    ] {
        stage.issuer.publish(key);
        probe(&stage.settings()).await.assert_failed(&check, words);
    }
}

#[actix_web::test]
async fn what_answers_in_an_issuers_place_is_told() {
    let stage = Stage::set().await;
    let check = format!("auth.issuers[{}].discovery", stage.issuer.url());
    for (answer, code, words) in [
        (Answer::page(200), "HG-A12", "a page of a load balancer"),
        (Answer::json(302, "{}"), "HG-A10", "redirects"),
        (Answer::json(401, "{}"), "HG-A10", "credentials"),
        (Answer::json(404, "{}"), "HG-A10", "no discovery document"),
        (Answer::json(500, "{}"), "HG-A10", "broken or slow"),
        (Answer::Close, "HG-A10", "breaks the connection off"),
    ] {
        stage.issuer.answer_discovery(answer);
        let report = probe(&stage.settings()).await;
        assert_eq!(report.code, Some(69));
        report.assert_named(code);
        report.assert_failed(&check, words);
    }
    let nobody = probe(&(issuer_settings("http://127.0.0.1:1") + RULE)).await;
    nobody.assert_named("HG-A10");
    nobody.assert_failed("auth.issuers[http://127.0.0.1:1].tcp", "nothing listens");
}

#[actix_web::test]
async fn a_clock_that_differs_is_told() {
    let stage = Stage::set().await;
    let (url, keys) = (stage.issuer.url(), json!({ "keys": [stage.key.public()] }).to_string());
    for (seconds, is_good) in [(0, true), (20, true), (-120, false), (120, false)] {
        let date = jiff::fmt::rfc2822::DateTimePrinter::new()
            .timestamp_to_rfc9110_string(&(Timestamp::now() + jiff::SignedDuration::from_secs(seconds)))
            .unwrap();
        let document = json!({ "issuer": url, "jwks_uri": format!("{url}/jwks") }).to_string();
        let answer = |body: &str| {
            let length = body.len();
            Answer::bytes(&format!(
                "HTTP/1.1 200 X\r\ndate: {date}\r\ncontent-length: {length}\r\n\r\n{body}"
            ))
        };
        stage.issuer.answer_discovery(answer(&document));
        stage.issuer.answer_keys(Some(answer(&keys)));
        let report = probe(&stage.settings()).await;
        assert_eq!(report.code, Some(if is_good { 0 } else { 69 }), "{seconds}: {}", report.printed);
        if !is_good {
            report.assert_failed(&format!("auth.issuers[{url}].clock"), "the clock of the issuer is ");
        }
    }
}

#[actix_web::test]
async fn a_certificate_of_an_unknown_authority_is_told_and_one_of_a_known_is_good() {
    let (stage, folder) = (Stage::set().await, tempfile::tempdir().unwrap());
    let certificate = Certificate::self_signed(&folder.path().join("server"));
    let url = format!("https://{}", terminate(acceptor(&certificate, None), stage.issuer.address()).await);
    stage.issuer.describe(&url, &format!("{url}/jwks"));
    let settings = issuer_settings(&url);
    let report = probe(&(settings.clone() + RULE)).await;
    report.assert_failed(&format!("auth.issuers[{url}].tls"), "tls.ca in auth.issuers");

    let settings = format!("{settings}tls = {{ ca = '{}' }}\n{RULE}", certificate.path.display());
    let report = probe(&settings).await;
    assert_eq!(report.code, Some(0), "{}", report.printed);
    let gateway = stage.gateway_with(&settings).await;
    assert_eq!(get(&gateway, &stage.token(json!({ "iss": url }))).await.status, 200);
}

#[actix_web::test]
async fn all_that_is_wrong_with_an_example_token_is_told_at_once() {
    let stage = Stage::set().await;
    let stranger = SigningKey::rsa("stranger");
    let now = Timestamp::now().as_second();
    let claims = json!({ "aud": ["a", "b"], "exp": now - 100, "repository": "evil/churn" });
    let token = stranger.token(&changed(stage.claims(), claims));
    let report = probe_with(&stage.settings().replace("'RS256', ", ""), Some(&token)).await;
    assert_eq!(report.code, Some(69), "{}", report.printed);
    report.assert_named("HG-K01");
    for (check, words) in [
        ("token.algorithm", "signed with RS256"),
        ("token.signature", "no key stranger"),
        ("token.audience", r#"["a","b"]"#),
        ("token.audience", AUDIENCE),
        ("token.time", "it expired at"),
        ("token.rule", "rule 1: `repository` is \"evil/churn\", and acme/* is wanted"),
    ] {
        report.assert_failed(check, words);
    }
    assert_eq!(report.failed().len(), 5, "{}", report.printed);

    let forged = SigningKey::p256("key-1").token(&stage.claims());
    let report = probe_with(&stage.settings(), Some(&forged)).await;
    report.assert_failed("token.signature", "not by the key key-1");
    assert_eq!(report.failed().len(), 1, "{}", report.printed);

    for (issuer, words) in [
        (format!("{}/", stage.issuer.url()), "a slash at the end counts"),
        ("https://other.example".to_owned(), "auth.issuers has http"),
    ] {
        let report = probe_with(&stage.settings(), Some(&stage.token(json!({ "iss": issuer })))).await;
        report.assert_failed("token.issuer", words);
    }
    probe_with(&stage.settings(), Some("obviously-no-token"))
        .await
        .assert_failed("token.issuer", "cannot be read");
}

#[actix_web::test]
async fn an_example_token_that_is_good_is_told_with_its_rule_and_end() {
    let stage = Stage::set().await;
    let settings = issuer_settings(&stage.issuer.url())
        + "[[auth.issuers.rules]]\nwhen = { sub = 'nobody' }\nscopes = []\n"
        + RULE;
    let token = stage.token(json!({}));
    for token in [token.clone(), format!("Bearer {token}")] {
        let report = probe_with(&settings, Some(&token)).await;
        assert_eq!(report.code, Some(0), "{}", report.printed);
        for words in ["rule 2 fits it; the user is acme/churn", "by the key key-1", "it is in force until"] {
            assert!(report.printed.contains(words), "{words}: {}", report.printed);
        }
    }
}
