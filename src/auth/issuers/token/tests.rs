use super::*;

fn encoded(head: &str, payload: &str) -> String {
    let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", encode(head), encode(payload), encode("signature"))
}

#[test]
fn a_text_is_a_token_if_it_names_an_issuer() {
    let token = encoded(r#"{"alg": "RS256"}"#, r#"{"iss": "https://a.example", "iat": 7.5}"#);
    let said = Said::by(&token).unwrap();
    assert_eq!((said.issuer.as_str(), said.issued_at), ("https://a.example", Some(7)));
    for text in ["", "hk_live_abc", "a.b.c", &encoded("{}", "{}"), &encoded("{}", r#"{"iss": 7}"#)] {
        assert!(Said::by(text).is_none(), "{text}");
    }
}

#[test]
fn a_token_that_is_wrong_in_other_ways_is_still_its_issuers() {
    let of = |payload: &str| encoded("{}", payload);
    let good = of(r#"{"iss": "a"}"#);
    for token in [
        format!("{good}.more"),
        good[..good.rfind('.').unwrap()].to_owned(),
        of(r#"{"iss": "a", "iat": "yesterday"}"#),
        of(r#"{"iss": "b", "iss": "a"}"#),
        of(r#"{"iss": "a", "n": 1e999}"#),
        of(r#"{"n": [-1e-999, 1E+999], "iss": "a"}"#),
        of(r#"{"iss": "a", "name": "\ud800"}"#),
        of(&format!(r#"{{"deep": {}{}, "iss": "a"}}"#, "[".repeat(1000), "]".repeat(1000))),
    ] {
        assert_eq!(Said::by(&token).unwrap().issuer, "a", "{token}");
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
