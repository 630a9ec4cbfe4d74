//! Whose key it is: by what is remembered of the auth service, and by the key file.

use std::{fs, hint::black_box};

use actix_web::http::Method;
use futures_util::FutureExt as _;
use hokusai_gateway::{auth::Authenticator, benching, credentials, settings::Settings};

use super::{
    Run,
    fixtures::{self, BEARER, CLIENT_IP, KEY, principal, settings},
    requests, run,
};

/// How many keys there are.
const KEYS: usize = 1000;
const ISSUER: &str = "[[auth.issuers]]\nissuer = 'https://issuer.example'\naudience = 'mlflow'\n\
    [[auth.issuers.rules]]\nwhen = { sub = '*' }\nscopes = ['mlflow:read']\n";

pub(super) fn fingerprint() -> Run {
    let authenticator = remembering();
    run(move || authenticator.caching_verifier().unwrap().fingerprint(black_box(KEY), Some(CLIENT_IP)))
}

pub(super) fn cache_hit() -> Run {
    authenticated(remembering())
}

pub(super) fn key_file() -> Run {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    fs::write(&path, fixtures::key_file(KEYS)).unwrap();
    let settings = settings(&[("HOKUSAI__AUTH__KEY_FILE__PATH", path.to_str().unwrap())]);
    authenticated(benching::authenticator(&settings).unwrap())
}

/// One that remembers the auth service's verdicts on many keys.
fn remembering() -> Authenticator {
    let settings =
        settings(&[("HOKUSAI__AUTH__SERVICE__URL", "http://auth"), ("HOKUSAI__AUTH__CACHE__TTL", "1d")]);
    let authenticator = benching::authenticator(&settings).unwrap();
    let verifier = authenticator.caching_verifier().unwrap();
    for other in 1..KEYS {
        verifier.remember(&format!("hk_live_{other}"), Some(CLIENT_IP), principal());
    }
    verifier.remember(KEY, Some(CLIENT_IP), principal());
    authenticator
}

/// A token of the usual length that was verified before.
pub(super) fn token_hit() -> Run {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, ISSUER).unwrap();
    let mlflow = ("MLFLOW_SERVER_URL".to_owned(), "http://mlflow.internal:5000".to_owned());
    let service = ("HOKUSAI__AUTH__SERVICE__URL".to_owned(), "http://auth".to_owned());
    let settings = Settings::load(Some(file.path()), [mlflow, service]).unwrap();
    let authenticator = benching::authenticator(&settings).unwrap();
    let issuers = authenticator.issuers().unwrap();
    for other in 1..KEYS {
        issuers.remember(&token(other), principal());
    }
    issuers.remember(&token(0), principal());
    authenticated_by(authenticator, &format!("Bearer {}", token(0)))
}

/// Head, claims and signature, as GitHub's and Google's tokens have them: 1,200 characters.
fn token(number: usize) -> String {
    format!("eyJhbGciOiJSUzI1NiJ9.{number:0>836}.{:A<342}", "")
}

fn authenticated(authenticator: Authenticator) -> Run {
    authenticated_by(authenticator, BEARER)
}

fn authenticated_by(authenticator: Authenticator, authorization: &str) -> Run {
    let request = requests::asking(Method::GET, requests::RUN, authorization).to_http_request();
    let credential = credentials::extract(request.headers()).unwrap();
    run(move || {
        let verdict = authenticator.authenticate(black_box(&credential), Some(CLIENT_IP));
        verdict.now_or_never().unwrap().unwrap()
    })
}
