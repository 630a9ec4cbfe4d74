use actix_web::http::header::{COOKIE, HeaderMap, HeaderValue};
use secrecy::SecretString;
use serde_json::{Map, json};

use super::{super::Attempt, *};
use crate::settings::Settings;

/// What lines of cookies are made of, and what parsers stumble over.
const PIECES: [&[u8]; 11] = [
    b";",
    b"=",
    b" ",
    b"\t",
    b"\xa0",
    b"\xff",
    b"\"",
    b"hokusai",
    b"__Host-hokusai",
    b"-login",
    b"mlflow-request-header-A",
];

/// Every line of five pieces.
fn lines() -> impl Iterator<Item = HeaderValue> {
    (0..PIECES.len().pow(5)).map(|number| {
        let pieces = (0..5).map(|place| PIECES[number / PIECES.len().pow(place) % PIECES.len()]);
        HeaderValue::from_bytes(&pieces.collect::<Vec<_>>().concat()).unwrap()
    })
}

/// As MLflow's server reads it (starlette, `cookie_parser`): Latin-1, and each name stripped.
fn as_mlflow_reads_it(line: &HeaderValue) -> Vec<String> {
    let text: String = line.as_bytes().iter().map(|byte| char::from(*byte)).collect();
    let name = |pair: &str| pair.split_once('=').map_or("", |(name, _)| name).trim().to_owned();
    text.split(';').map(name).collect()
}

#[test]
fn whatever_bytes_surround_it_no_cookie_of_ours_passes_and_all_others_do() {
    let ours = |name: &String| {
        ["hokusai", "__Host-hokusai", "hokusai-login", "__Host-hokusai-login"].contains(&&**name)
            || name.starts_with("mlflow-request-header-")
    };
    for line in lines() {
        let passed = not_ours(&line);
        let read = passed.as_ref().map(as_mlflow_reads_it).unwrap_or_default();
        assert!(!read.iter().any(ours), "{line:?}: {passed:?}");
        let others = |names: Vec<String>| -> Vec<String> {
            names.into_iter().filter(|name| !name.is_empty() && !ours(name)).collect()
        };
        assert_eq!(others(read), others(as_mlflow_reads_it(&line)), "{line:?}: {passed:?}");
    }
}

#[test]
fn cookies_of_other_sites_do_not_hide_the_one_beside_them_whatever_their_bytes() {
    for beside in ["caf\u{e9}=\u{e9}", "a=\u{2028}", "\u{e9}", "=", "a\tb=c", "\"a;b\"", "a=\"b"] {
        for line in [format!("{beside}; hokusai=b=c"), format!("hokusai=b=c;{beside}")] {
            let mut headers = HeaderMap::new();
            headers.append(COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
            let found: Vec<_> = cookies(&headers).filter(|(name, _)| name == b"hokusai").collect();
            assert_eq!(found, [(&b"hokusai"[..], &b"b=c"[..])], "{line}");
            let passed = not_ours(headers.get(COOKIE).unwrap()).unwrap();
            assert!(passed.as_bytes().windows(7).all(|window| window != b"hokusai"), "{line}");
        }
    }
}

/// Over TLS, by a gateway with this secret.
const CLIENT: Client = Client { ip: None, secure: true };

fn sessions(secret: &str) -> Sessions {
    let told = [("MLFLOW_SERVER_URL", "http://localhost:5000")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut auth = Settings::load(None, told).unwrap().auth;
    auth.session.secrets = vec![SecretString::from(secret.repeat(32))];
    Sessions::new(&auth).unwrap()
}

fn person() -> Person {
    let claims = Map::from_iter([("sub".to_owned(), json!("a")), ("groups".to_owned(), json!(["b"]))]);
    let (id, issuer) = ("0".repeat(32), "https://issuer.example".to_owned());
    let ends = Timestamp::now().as_second() + 60;
    Person { id, issuer, claims, since: 1, checked: 2, refresh: Some("refresh".to_owned()), ends }
}

fn attempt() -> Attempt {
    let text = |text: &str| text.to_owned();
    let (issuer, state, nonce) = (text("https://issuer.example"), text("state"), text("nonce"));
    Attempt { issuer, state, nonce, verifier: text("verifier"), callback: text("c"), next: text("/mlflow/") }
}

/// What a browser sends of a cookie, under this name.
fn sent(cookie: &Cookie<'_>, name: &str) -> HeaderMap {
    let line = HeaderValue::try_from(format!("{name}={}", cookie.value())).unwrap();
    HeaderMap::from_iter([(COOKIE, line)])
}

#[test]
fn a_person_comes_back_as_she_was_sealed_and_under_no_other_secret() {
    let (here, headers) = (sessions("a"), HeaderMap::new());
    let cookie = here.seal_person(person(), CLIENT, &headers).unwrap();
    let Carried::Person(read) = here.read(CLIENT, &sent(&cookie, NAME.over_tls)) else { panic!("no person") };
    assert_eq!(serde_json::to_value(read).unwrap(), serde_json::to_value(person()).unwrap());
    assert!(matches!(sessions("b").read(CLIENT, &sent(&cookie, NAME.over_tls)), Carried::Broken));
    let ended = Person { ends: Timestamp::now().as_second(), ..person() };
    let cookie = here.renew(ended, CLIENT).unwrap();
    assert!(matches!(here.read(CLIENT, &sent(&cookie, NAME.over_tls)), Carried::Ended));
}

#[test]
fn what_is_sealed_for_one_cookie_is_good_for_no_other() {
    let (sessions, headers) = (sessions("a"), HeaderMap::new());
    let session = sessions.seal_person(person(), CLIENT, &headers).unwrap();
    let login = sessions.seal_attempt(attempt(), CLIENT, &headers).unwrap();
    let of = |headers: &HeaderMap| sessions.attempt(CLIENT, headers).map(|attempt| attempt.state);
    assert_eq!(of(&sent(&login, attempt::NAME.over_tls)).as_deref(), Some("state"));
    assert_eq!(of(&sent(&session, attempt::NAME.over_tls)), None);
    assert!(matches!(sessions.read(CLIENT, &sent(&login, NAME.over_tls)), Carried::Broken));
    let on_loopback = Client { secure: false, ..CLIENT };
    let mut headers = sent(&session, NAME.on_loopback);
    headers.insert(actix_web::http::header::HOST, HeaderValue::from_static("localhost"));
    assert!(matches!(sessions.read(on_loopback, &headers), Carried::Broken));
}

#[test]
fn a_login_whose_destination_fits_into_no_cookie_leads_home() {
    let (sessions, headers) = (sessions("a"), HeaderMap::new());
    let long = Attempt { next: format!("/mlflow/?{}", "a".repeat(5000)), ..attempt() };
    let cookie = sessions.seal_attempt(long, CLIENT, &headers).unwrap();
    let read = sessions.attempt(CLIENT, &sent(&cookie, attempt::NAME.over_tls)).unwrap();
    assert_eq!((&*read.next, &*read.state), ("/mlflow/", "state"));
}

#[test]
fn nothing_is_sealed_for_a_browser_whose_cookies_others_can_read() {
    let (sessions, headers) = (sessions("a"), HeaderMap::new());
    let plain = Client { secure: false, ..CLIENT };
    assert_eq!(sessions.seal_person(person(), plain, &headers).unwrap_err(), NotSealed::Readable);
    assert_eq!(sessions.seal_attempt(attempt(), plain, &headers).unwrap_err(), NotSealed::Readable);
}
