//! Properties that hold for any bytes; `make fuzz` looks for counterexamples.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};

use actix_web::{
    http::{
        Method, Uri,
        header::{AUTHORIZATION, HeaderMap, HeaderValue},
    },
    test::TestRequest,
    web::Bytes,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use prost::Message as _;

use crate::{
    auth::{Principal, Workspace},
    credentials::{self, Credential},
    head,
    ownership::Spans,
    policy::{self, SpansBody},
    routing::{ArtifactPath, Base, Route, Routes},
    settings::Settings,
};
pub use crate::{
    auth::{fuzz_auth_answer as auth_answer, fuzz_redis_value as redis_value},
    http_client::fuzz_response_head as response_head,
    http1::{fuzz_chunked_body as chunked_body, fuzz_inbound_head as inbound_head},
};

/// A target with a route is unambiguous: decoded once it has no dot segments and no empty segments. Outside of names, also decoded
/// twice, it has no backslashes and no control characters either. It is forwarded unchanged.
pub fn target(bytes: &[u8]) {
    let Ok(uri) = Uri::try_from(bytes) else { return };
    let sent = uri.path().to_owned();
    let Some(route) = route(Method::GET, uri) else { return };

    let path = route.target().path();
    assert!(sent.ends_with(path) || path == "/", "{sent} became {path}");
    let once = percent_decode_str(path).decode_utf8_lossy().into_owned();
    let twice = percent_decode_str(&once).decode_utf8_lossy().into_owned();
    let ends_in_name =
        ["/mlflow-artifacts/", "/mcp-servers/"].iter().any(|names| route.rule().pattern.contains(names));
    for reading in [path, &once, &twice].into_iter().take(if ends_in_name { 2 } else { 3 }) {
        let unreadable = |c: char| c == '\\' || c.is_ascii_control();
        assert!(ends_in_name || !reading.contains(unreadable), "{reading}");
        assert!(!reading.contains("//"), "{reading}");
        assert!(!reading.split('/').any(|segment| segment == "." || segment == ".."), "{reading}");
    }
}

/// A key of a workspace is granted paths of that workspace only, also if a reader decodes them fully, drops what MLflow may drop and
/// resolves dots. Nobody may change a root. Parsing a parsed path gives the same path.
pub fn artifact_path(bytes: &[u8]) {
    let written = String::from_utf8_lossy(bytes);
    let encoded = utf8_percent_encode(&written, NON_ALPHANUMERIC).to_string();
    for (method, target, workspace) in [
        (Method::GET, format!("/api/2.0/mlflow-artifacts/artifacts/{encoded}"), Some("default")),
        (Method::GET, format!("/api/2.0/mlflow-artifacts/artifacts?path={encoded}"), Some("default")),
        (Method::GET, format!("/api/2.0/mlflow-artifacts/artifacts?path={encoded}"), Some("ours")),
        (Method::DELETE, format!("/api/2.0/mlflow-artifacts/artifacts/{encoded}"), None),
    ] {
        let Ok(uri) = Uri::try_from(target) else { continue };
        let Some(route) = route(method.clone(), uri) else { continue };
        let Some(Ok(artifact)) = route.artifacts().next() else { panic!("{written:?} is no artifact") };
        let reading = artifact.as_str();
        let again = ArtifactPath::read(reading, Base::Store).map(|path| path.as_str().to_owned());
        assert_eq!(again.as_deref(), Ok(reading), "{written:?}");

        let place = resolved(&written);
        let place: Vec<_> = place.iter().map(String::as_str).collect();
        let named = workspace.and_then(|name| Workspace::try_from(name.to_owned()).ok());
        let principal = Principal { workspace: named, is_admin: true, ..Principal::default() };
        let Ok(_) = policy::authorize(&settings().policy, Arc::new(principal), route.clone()) else {
            continue;
        };
        let is_digits = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
        let is_allowed = match (workspace, place.as_slice()) {
            (Some("default"), [first, ..]) if is_digits(first) => true,
            (Some(name), ["workspaces", owner, ..]) => name == *owner,
            (Some(name), _) => name != "default",
            (None, place) => place.len() > 2 || place.first().is_some_and(|first| *first != "workspaces"),
        };
        assert!(is_allowed, "{method} {written:?} was granted in {workspace:?}: {place:?}");
    }
}

/// The segments of a path for a reader that decodes and resolves everything.
fn resolved(written: &str) -> Vec<String> {
    let mut path = written.to_owned();
    for _ in 0..16 {
        path = percent_decode_str(&path).decode_utf8_lossy().replace(['\t', '\r', '\n'], "");
        path = path.trim_start_matches(|c: char| c <= ' ').to_owned();
    }
    for mark in ['#', '?', ';'] {
        path = path.strip_suffix(mark).unwrap_or(&path).to_owned();
    }
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment.to_owned()),
        }
    }
    segments
}

/// Spans that are read have the ids and the names that protobuf's own reader finds in them.
pub fn spans(bytes: &[u8]) {
    let body = SpansBody::Protobuf(Bytes::copy_from_slice(bytes));
    let (Ok(spans), Ok(request)) = (Spans::read(&body), ExportTraceServiceRequest::decode(bytes)) else {
        return;
    };
    let spans_of = request.resource_spans.iter().flat_map(|of| &of.scope_spans).flat_map(|of| &of.spans);
    let expected: BTreeSet<_> = spans_of.map(|span| format!("tr-{}", hex::encode(&span.trace_id))).collect();
    assert_eq!(spans.traces().map(|named| named.id).collect::<BTreeSet<_>>(), expected);
    let written = SpansBody::Protobuf(request.encode_to_vec().into());
    assert_eq!(Spans::read(&written).map(|read| read.reserved), Ok(spans.reserved));
}

fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let environment = [("MLFLOW_SERVER_URL".to_owned(), "http://mlflow".to_owned())];
        Settings::load(None, environment).expect("the defaults")
    })
}

fn route(method: Method, uri: Uri) -> Option<Route> {
    static ROUTES: OnceLock<Routes> = OnceLock::new();
    let routes = ROUTES.get_or_init(|| Routes::open(&settings().mlflow).expect("MLflow's routes"));
    let request = TestRequest::with_uri("/").insert_header(("host", "a")).to_http_request();
    let mut head = request.head().clone();
    (head.method, head.uri) = (method, uri);
    routes.resolve(head::inspect(&head).ok()?).ok()
}

/// A credential is one key of visible ASCII, independent of white space around it, and not in its Debug output.
pub fn credential(bytes: &[u8]) {
    let extract = |bytes: &[u8]| {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_bytes(bytes).ok()?);
        credentials::extract(&headers).ok()
    };
    let Some(credential) = extract(bytes) else { return };
    let Ok(key) = credential.key() else { return };
    assert!((1..=8192).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()), "{key:?}");
    let padded = extract(&[b" \t", bytes, b"\t "].concat());
    assert_eq!(padded.as_ref().and_then(|padded| padded.key().ok()), Some(key), "with white space around it");
    // A search for the key could match a word of the output.
    let debug = format!("{credential:?}");
    let without_source = debug.split("source").next();
    assert_eq!(without_source, Some("Credential { held: Key(SecretBox<str>([REDACTED])), "));
}
