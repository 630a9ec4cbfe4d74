//! What must hold for any bytes; `make fuzz` looks for some for which it does not.

use actix_web::{
    http::{
        Uri,
        header::{AUTHORIZATION, HeaderMap, HeaderValue},
    },
    test::TestRequest,
};
use percent_encoding::percent_decode_str;

pub use crate::{
    auth::{fuzz_auth_answer as auth_answer, fuzz_redis_value as redis_value},
    connection::{fuzz_chunked_body as chunked_body, fuzz_inbound_head as inbound_head},
    http_client::fuzz_response_head as response_head,
};
use crate::{credentials, head, routing::Routes, settings::Settings};

/// A target that has a route reads in one way: decoded up to twice it has no dot segment, no empty one, no backslash and
/// no control character; and it is sent on as it came.
pub fn target(bytes: &[u8]) {
    let Ok(uri) = Uri::try_from(bytes) else { return };
    let environment = [("MLFLOW_SERVER_URL".to_owned(), "http://mlflow".to_owned())];
    let Ok(settings) = Settings::load(None, environment) else { return };
    let request = TestRequest::with_uri("/").insert_header(("host", "a")).to_http_request();
    let mut head = request.head().clone();
    let sent = uri.path().to_owned();
    head.uri = uri;
    let Ok(sound) = head::inspect(&head) else { return };
    let Ok(routes) = Routes::open(&settings.mlflow) else { return };
    let Ok(route) = routes.resolve(sound) else { return };

    let path = route.target().path();
    assert!(sent.ends_with(path) || path == "/", "{sent} became {path}");
    let once = percent_decode_str(path).decode_utf8_lossy().into_owned();
    let twice = percent_decode_str(&once).decode_utf8_lossy().into_owned();
    for reading in [path, &once, &twice] {
        assert!(!reading.contains('\\') && !reading.contains(|c: char| c.is_ascii_control()), "{reading}");
        assert!(!reading.contains("//"), "{reading}");
        assert!(!reading.split('/').any(|segment| segment == "." || segment == ".."), "{reading}");
    }
}

/// A credential is one key of visible ASCII, and its Debug output does not show it.
pub fn credential(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, value);
    let Ok(credential) = credentials::extract(&headers) else { return };
    let key = credential.key();
    assert!((1..=512).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()), "{key:?}");
    // Not by looking for the key: it could be a word of the output's own.
    let debug = format!("{credential:?}");
    let without_source = debug.split("source").next();
    assert_eq!(without_source, Some("Credential { key: SecretBox<str>([REDACTED]), "));
}
