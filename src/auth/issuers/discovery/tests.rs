use std::time::Duration;

use super::*;
use crate::settings::ClientTls;

fn issuer(name: &str) -> Issuer {
    Issuer {
        issuer: name.to_owned(),
        audiences: Vec::new(),
        jwks_url: None,
        algorithms: Vec::new(),
        leeway: Duration::ZERO,
        user: String::new(),
        tls: ClientTls::default(),
        login: None,
        rules: Vec::new(),
    }
}

#[test]
fn the_document_is_below_the_issuer() {
    for (name, url) in [
        ("https://a.example", "https://a.example/.well-known/openid-configuration"),
        ("https://a.example/", "https://a.example/.well-known/openid-configuration"),
        ("https://a.example/realms/b", "https://a.example/realms/b/.well-known/openid-configuration"),
    ] {
        assert_eq!(document_url(&issuer(name)).unwrap().as_str(), url);
    }
}

#[test]
fn keys_are_where_nobody_else_is_on_the_way() {
    for (name, keys, is_good) in [
        ("https://a.example", "https://a.example/jwks", true),
        ("https://a.example", "https://keys.example/jwks", true),
        ("https://a.example", "http://a.example/jwks", false),
        ("https://a.example", "http://127.0.0.1/jwks", false),
        ("http://127.0.0.1:8080", "http://localhost:9090/jwks", true),
        ("http://127.0.0.1:8080", "http://keys.example/jwks", false),
        ("https://a.example", "file:///etc/passwd", false),
        ("https://a.example", "/jwks", false),
    ] {
        let (issuer, document) = (issuer(name), format!(r#"{{"issuer": "{name}", "jwks_uri": "{keys}"}}"#));
        let url = keys_url(&issuer, &document_url(&issuer).unwrap(), document.as_bytes());
        assert_eq!(url.is_ok(), is_good, "{name} {keys}: {url:?}");
    }
}
