//! Whose key it is: by what is remembered of the auth service, and by the key file.

use std::{fs, hint::black_box};

use actix_web::http::Method;
use futures_util::FutureExt as _;
use hokusai_gateway::{auth::Authenticator, benching, credentials};

use super::{
    Run,
    fixtures::{self, BEARER, CLIENT_IP, KEY, principal, settings},
    requests, run,
};

/// How many keys there are.
const KEYS: usize = 1000;

pub(super) fn fingerprint() -> Run {
    let Authenticator::Service(_, verifier) = remembering() else { unreachable!() };
    run(move || verifier.fingerprint(black_box(KEY), Some(CLIENT_IP)))
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
    if let Authenticator::Service(_, verifier) = &authenticator {
        for other in 1..KEYS {
            verifier.remember(&format!("hk_live_{other}"), Some(CLIENT_IP), principal());
        }
        verifier.remember(KEY, Some(CLIENT_IP), principal());
    }
    authenticator
}

fn authenticated(authenticator: Authenticator) -> Run {
    let request = requests::asking(Method::GET, requests::RUN, BEARER).to_http_request();
    let credential = credentials::extract(request.headers()).unwrap();
    run(move || {
        let verdict = authenticator.authenticate(black_box(&credential), Some(CLIENT_IP));
        verdict.now_or_never().unwrap().unwrap()
    })
}
