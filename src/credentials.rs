//! The third step: which key a request presents, and how.
//!
//! Headers only: a key in a query or in a cookie is not a credential. More than one credential is refused, because
//! two programs could each believe another one.

use std::fmt;

use actix_web::http::{
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
    uri::PathAndQuery,
};
use actix_web_httpauth::headers::authorization::{Basic, Scheme as _};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};

/// The longest key that is looked at, in bytes.
const MAX_LENGTH: usize = 512;

const X_API_KEY: &str = "x-api-key";

/// A key as a client presented it. Its Debug output does not show it.
#[derive(Debug, Clone)]
pub struct Credential {
    key: SecretString,
    source: Source,
}

impl Credential {
    /// The key itself: visible ASCII, 1 to 512 bytes.
    pub fn key(&self) -> &str {
        self.key.expose_secret()
    }

    /// Whether a path and query has the key in it too, as clients of some providers put theirs into a query.
    pub fn is_in(&self, target: &PathAndQuery) -> bool {
        let decoded: Vec<u8> = percent_decode_str(target.as_str()).collect();
        memchr::memmem::find(&decoded, self.key().as_bytes()).is_some()
    }

    /// How it was sent.
    pub fn source(&self) -> Source {
        self.source
    }
}

/// How a credential was sent; its Display names it for the person who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Bearer,
    Basic,
    ApiKey,
    XApiKey,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer => "a bearer token (MLFLOW_TRACKING_TOKEN)",
            Self::Basic => {
                "the password of a user name (MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or a \
                 credentials file of MLflow, which come before MLFLOW_TRACKING_TOKEN)"
            }
            Self::ApiKey => "`Authorization: ApiKey`",
            Self::XApiKey => "`X-API-Key`",
        })
    }
}

/// Why a request presents no usable credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    #[error("no credential was sent")]
    Missing,
    #[error("more than one credential was sent")]
    Ambiguous,
    #[error("what was sent as {0} cannot be a key")]
    Malformed(Source),
    #[error("the Authorization header has a scheme that is not supported")]
    UnknownScheme,
}

/// Reads the one credential of a request.
///
/// `Authorization: Bearer`, `Basic` with the key as the password, and `ApiKey`, schemes in any case (RFC 9110
/// §11.1); or `X-API-Key`.
///
/// # Errors
/// None, more than one, or one that cannot be a key.
pub fn extract(headers: &HeaderMap) -> Result<Credential, CredentialError> {
    let mut authorization = headers.get_all(AUTHORIZATION);
    let mut api_key = headers.get_all(X_API_KEY);
    match (authorization.next(), authorization.next(), api_key.next(), api_key.next()) {
        (None, None, None, None) => Err(CredentialError::Missing),
        (Some(value), None, None, None) => from_authorization(value),
        (None, None, Some(value), None) => credential(value.as_bytes(), Source::XApiKey),
        _ => Err(CredentialError::Ambiguous),
    }
}

fn from_authorization(value: &HeaderValue) -> Result<Credential, CredentialError> {
    let bytes = value.as_bytes();
    let scheme_end = bytes.iter().position(|byte| *byte == b' ').unwrap_or(bytes.len());
    let (scheme, rest) = bytes.split_at(scheme_end);
    let rest = rest.get(1..).unwrap_or_default();

    if scheme.eq_ignore_ascii_case(b"bearer") {
        credential(rest, Source::Bearer)
    } else if scheme.eq_ignore_ascii_case(b"apikey") {
        credential(rest, Source::ApiKey)
    } else if scheme.eq_ignore_ascii_case(b"basic") {
        let password = basic_password(rest).ok_or(CredentialError::Malformed(Source::Basic))?;
        credential(password.as_bytes(), Source::Basic)
    } else {
        Err(CredentialError::UnknownScheme)
    }
}

/// The password of `Basic` credentials, which actix-web-httpauth reads only behind a scheme spelt as it likes.
fn basic_password(encoded: &[u8]) -> Option<String> {
    let value = HeaderValue::from_bytes(&[b"Basic ", encoded].concat()).ok()?;
    Basic::parse(&value).ok()?.password().map(str::to_owned)
}

fn credential(bytes: &[u8], source: Source) -> Result<Credential, CredentialError> {
    if source == Source::Bearer && bytes.windows(2).any(|pair| pair == b", ") {
        return Err(CredentialError::Ambiguous);
    }
    let usable = !bytes.is_empty() && bytes.len() <= MAX_LENGTH && bytes.iter().all(u8::is_ascii_graphic);
    match str::from_utf8(bytes) {
        Ok(key) if usable => Ok(Credential { key: key.into(), source }),
        _ => Err(CredentialError::Malformed(source)),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderName;

    use super::*;

    const KEY: &str = "hk_test_example";

    fn extract_from(pairs: &[(&str, &str)]) -> Result<(String, Source), CredentialError> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        extract(&headers).map(|credential| (credential.key().to_owned(), credential.source()))
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
    fn what_cannot_be_a_key_is_refused_without_a_look_up() {
        let long = format!("Bearer {}", "a".repeat(MAX_LENGTH + 1));
        for value in [
            "Bearer",
            "Bearer ",
            "Bearer  hk_test_example",
            "Bearer a b",
            "Bearer a\tb",
            "Bearer \u{e9}",
            "Basic !!!",
            "Basic dXNlcg==",
            "Basic dXNlcjo=",
            &long,
        ] {
            let outcome = extract_from(&[("authorization", value)]);
            assert!(matches!(outcome, Err(CredentialError::Malformed(_))), "{value}: {outcome:?}");
        }
        assert_eq!(extract_from(&[("authorization", "Bearerkey")]), Err(CredentialError::UnknownScheme));
        assert_eq!(extract_from(&[("authorization", "Digest a")]), Err(CredentialError::UnknownScheme));
    }

    #[test]
    fn a_key_in_a_cookie_is_no_credential() {
        assert_eq!(extract_from(&[("cookie", "token=hk_test_example")]), Err(CredentialError::Missing));
    }

    #[test]
    fn a_key_of_512_characters_is_read() {
        let key = "a".repeat(MAX_LENGTH);
        assert_eq!(extract_from(&[("x-api-key", &key)]), Ok((key, Source::XApiKey)));
    }

    #[test]
    fn debug_output_hides_the_key() {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer hk_test_example"));
        assert!(!format!("{:?}", extract(&headers).unwrap()).contains("example"));
    }
}
