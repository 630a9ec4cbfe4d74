use actix_web::http::header::{COOKIE, HeaderMap, HeaderValue};

use super::*;

/// What lines of cookies are made of, and what parsers stumble over.
const PIECES: [&[u8]; 10] = [
    b";",
    b"=",
    b" ",
    b"\t",
    b"\xa0",
    b"\xff",
    b"\"",
    b"hokusai",
    b"__Host-hokusai",
    b"mlflow-request-header-A",
];

/// Every line of five pieces.
fn lines() -> impl Iterator<Item = HeaderValue> {
    (0..10_usize.pow(5)).map(|number| {
        let pieces = (0..5).map(|place| PIECES[number / 10_usize.pow(place) % 10]);
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
        ["hokusai", "__Host-hokusai"].contains(&&**name) || name.starts_with("mlflow-request-header-")
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
