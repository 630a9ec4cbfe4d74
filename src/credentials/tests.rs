use actix_web::http::header::HeaderName;

use super::{pasted::MAX_LENGTH, *};

const KEY: &str = "hk_test_example";

fn extract_from(pairs: &[(&str, &str)]) -> Result<(String, Source), CredentialError> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    extract(&headers).map(|credential| (credential.key().unwrap().to_owned(), credential.source()))
}

#[test]
fn every_way_to_send_a_key_is_read_whatever_the_case_of_its_scheme() {
    // "user:hk_test_example" and ":hk_test_example" in base64.
    for (name, value, source) in [
        ("authorization", "Bearer hk_test_example", Source::Bearer),
        ("authorization", "bearer hk_test_example", Source::Bearer),
        ("authorization", "BEARER hk_test_example", Source::Bearer),
        ("authorization", "Basic dXNlcjpoa190ZXN0X2V4YW1wbGU=", Source::Basic),
        ("authorization", "basic OmhrX3Rlc3RfZXhhbXBsZQ==", Source::Basic),
        ("authorization", "ApiKey hk_test_example", Source::ApiKey),
        ("authorization", "apikey hk_test_example", Source::ApiKey),
        ("x-api-key", "hk_test_example", Source::XApiKey),
    ] {
        assert_eq!(extract_from(&[(name, value)]), Ok((KEY.to_owned(), source)), "{name}: {value}");
    }
}

#[test]
fn more_than_one_credential_is_ambiguous() {
    for pairs in [
        &[("authorization", "Bearer a"), ("authorization", "Bearer a")][..],
        &[("authorization", "Bearer a"), ("x-api-key", "a")],
        &[("x-api-key", "a"), ("x-api-key", "b")],
        &[("authorization", "Bearer a, Bearer b")],
    ] {
        assert_eq!(extract_from(pairs), Err(CredentialError::Ambiguous), "{pairs:?}");
    }
}

#[test]
fn white_space_and_a_line_end_around_a_key_are_nobodys() {
    let basic = |password: &[u8]| {
        format!("Basic {}", BASE64_STANDARD.encode(["josé:".as_bytes(), password].concat()))
    };
    for (name, value) in [
        ("authorization", "Bearer  hk_test_example".to_owned()),
        ("authorization", "Bearer \thk_test_example \t".to_owned()),
        ("authorization", "Bearer\thk_test_example".to_owned()),
        ("authorization", "  bearer   hk_test_example".to_owned()),
        ("authorization", "ApiKey   hk_test_example ".to_owned()),
        ("authorization", "Basic  dXNlcjpoa190ZXN0X2V4YW1wbGU= ".to_owned()),
        ("authorization", basic(b"hk_test_example\n")),
        ("authorization", basic(b" hk_test_example\r\n")),
        ("authorization", basic(b"\t\nhk_test_example\x0c\x0b")),
        ("authorization", basic("\u{feff}hk_test_example\u{a0}".as_bytes())),
        // A user name in Latin-1.
        ("authorization", "Basic am9z6Tpoa190ZXN0X2V4YW1wbGU=".to_owned()),
        ("x-api-key", "\thk_test_example ".to_owned()),
    ] {
        let key = extract_from(&[(name, &value)]).map(|(key, _)| key);
        assert_eq!(key, Ok(KEY.to_owned()), "{name}: {value:?}");
    }
}

#[test]
fn what_cannot_be_a_key_is_refused_without_a_look_up_and_told_why() {
    let long = format!("Bearer {}", "a".repeat(MAX_LENGTH + 1));
    for (value, why) in [
        ("Bearer", NotAKey::Empty),
        ("Bearer  \t", NotAKey::Empty),
        ("Basic dXNlcjo=", NotAKey::Empty),
        ("Basic dXNlcjoNCg==", NotAKey::Empty),
        ("Bearer a b", NotAKey::Characters),
        ("Bearer a\tb", NotAKey::Characters),
        ("Bearer Bearer a", NotAKey::Characters),
        ("Bearer \u{e9}", NotAKey::Characters),
        // "user:a\r\nb", "user:a\0", and a byte that is no UTF-8.
        ("Basic dXNlcjphDQpi", NotAKey::Characters),
        ("Basic dXNlcjphAA==", NotAKey::Characters),
        ("Basic dXNlcjr/", NotAKey::Characters),
        ("Basic !!!", NotAKey::NotBasic),
        ("Basic", NotAKey::NotBasic),
        ("Basic dXNlcg==", NotAKey::NotBasic),
        (&long, NotAKey::TooLong),
    ] {
        let outcome = extract_from(&[("authorization", value)]);
        let source = if value.starts_with("Basic") { Source::Basic } else { Source::Bearer };
        assert_eq!(outcome, Err(CredentialError::Malformed(source, why)), "{value:?}");
    }
    assert_eq!(extract_from(&[("authorization", "Bearerkey")]), Err(CredentialError::UnknownScheme));
    assert_eq!(extract_from(&[("authorization", "Digest a")]), Err(CredentialError::UnknownScheme));
    assert_eq!(extract_from(&[("authorization", "")]), Err(CredentialError::UnknownScheme));
}

#[test]
fn a_key_in_a_cookie_is_no_credential() {
    assert_eq!(extract_from(&[("cookie", "token=hk_test_example")]), Err(CredentialError::Missing));
}

#[test]
fn a_key_of_8192_characters_is_read() {
    let key = "a".repeat(8192);
    assert_eq!(extract_from(&[("x-api-key", &key)]), Ok((key, Source::XApiKey)));
}

#[test]
fn debug_output_hides_the_key() {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer hk_test_example"));
    assert!(!format!("{:?}", extract(&headers).unwrap()).contains("example"));
}
