use super::*;

fn encoded(head: &str, payload: &str) -> String {
    let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", encode(head), encode(payload), encode("signature"))
}

#[test]
fn a_text_is_a_token_if_it_has_its_form_and_names_an_issuer() {
    let token = encoded(r#"{"alg": "RS256"}"#, r#"{"iss": "https://a.example", "iat": 7.5}"#);
    let said = Said::by(&token).unwrap();
    assert_eq!((said.issuer.as_str(), said.issued_at), ("https://a.example", Some(7)));
    let four = format!("{token}.more");
    for text in ["", "hk_live_abc", "a.b.c", &four, &encoded("{}", "{}"), &encoded("{}", r#"{"iss": 7}"#)] {
        assert!(Said::by(text).is_none(), "{text}");
    }
}

#[test]
fn a_head_is_refused_that_wants_more_than_a_signature() {
    for (head, expected) in [
        (r#"{"alg": "none"}"#, TokenFault::Algorithm),
        (r#"{"alg": "ES512"}"#, TokenFault::Algorithm),
        (r#"{"alg": "RS256", "crit": ["exp"]}"#, TokenFault::Unreadable),
        (r#"{"alg": "RS256", "crit": []}"#, TokenFault::Unreadable),
        (r#"{"alg": "RS256", "alg": "none"}"#, TokenFault::Unreadable),
        (r#"{"alg": "RS256", "kid": 7}"#, TokenFault::Unreadable),
        (r#"{"alg": "RS256", "typ": "logout+jwt"}"#, TokenFault::Type),
        (r#"{"kid": "a"}"#, TokenFault::Unreadable),
        ("[]", TokenFault::Unreadable),
    ] {
        assert_eq!(Head::read(&encoded(head, "{}")).unwrap_err(), expected, "{head}");
    }
    for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
        assert!(
            Head::read(&encoded(&format!(r#"{{"alg": "RS256", "typ": "{typ}"}}"#), "{}")).is_ok(),
            "{typ}"
        );
    }
}
