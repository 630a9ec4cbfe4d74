//! The one reading of a request target.
//!
//! A path is refused when two programs could read it in two ways: it is decoded up to twice for inspection and
//! forwarded as it came (RFC 3986 §3.3, §6.2.2). In a name MLflow keeps what it is sent, and reads an artifact's in a
//! way of its own ([`artifact`](super::artifact)).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// What follows these at MLflow is an artifact's. A server of artifacts alone answers all of it, and nothing else (mlflow
/// server --artifacts-only).
const ARTIFACT_STORE: [&str; 2] = ["/api/2.0/mlflow-artifacts/", "/ajax-api/2.0/mlflow-artifacts/"];

/// What holds things whose tags have a path of their own.
const TRACKED: [&str; 4] =
    ["/api/2.0/mlflow/", "/api/3.0/mlflow/", "/ajax-api/2.0/mlflow/", "/ajax-api/3.0/mlflow/"];
const TAGS: &str = "/tags/";

pub(super) fn is_artifact_stores(path: &str) -> bool {
    ARTIFACT_STORE.iter().any(|store| path.starts_with(store))
}

/// Splits a path, as it came, before the name in which it ends: of a tag, or behind one of `names`. There alone separators,
/// control characters and backslashes are data, if they are encoded, and `;` is, and a `%` that begins nothing.
fn split_name<'a>(path: &'a str, names: &[String]) -> (&'a str, &'a str) {
    let name = names.iter().find_map(|before| path.strip_prefix(before.as_str())).or_else(|| {
        let tracked = TRACKED.iter().find_map(|prefix| path.strip_prefix(prefix))?;
        Some(tracked.split_once(TAGS)?.1)
    });
    path.split_at(path.len() - name.unwrap_or_default().len())
}

/// Inspects a path at MLflow and tells how it reads, decoded once. Behind one of `names` it is data.
///
/// # Errors
/// What is wrong, as the end of a sentence that begins with "the path".
pub(super) fn inspect<'a>(path: &'a str, names: &[String]) -> Result<Cow<'a, str>, &'static str> {
    if !path.is_ascii() {
        return Err("has bytes that must be percent-encoded");
    }
    if path.bytes().any(|byte| byte == b'\\' || byte.is_ascii_control()) {
        return Err("has a control character or a backslash");
    }
    segments(path)?;
    if memchr::memchr2(b'%', b';', path.as_bytes()).is_none() {
        return Ok(path.into());
    }
    let (before, name) = split_name(path, names);
    if before.contains(';') {
        return Err("has parameters");
    }
    // In a name it stays as it is, to MLflow's server and to its own decoder alike (Python's `unquote`).
    if !escapes_are_hexadecimal(before.as_bytes()) {
        return Err("has a `%` that begins no percent-encoded byte");
    }
    if before.contains('%') {
        encoded(before)?;
    }
    // As MLflow's server does it: what is not UTF-8 in a name becomes U+FFFD.
    let once = percent_decode_str(path).decode_utf8_lossy();
    if name.contains('%') {
        segments(&once)?;
    }
    Ok(once)
}

/// What is in no name, decoded twice: what one decoding reveals, the second one keeps.
fn encoded(path: &str) -> Result<(), &'static str> {
    let twice = decode(&decode(path)?)?.into_owned();
    if twice.bytes().any(|byte| byte == b'\\' || byte.is_ascii_control()) {
        return Err("has a control character or a backslash");
    }
    segments(&twice)?;
    let separators = |path: &str| path.matches(['/', ';']).count();
    if separators(&twice) > separators(path) {
        return Err("has an encoded separator outside a name that may have one");
    }
    Ok(())
}

/// Decodes once. A `%` that begins nothing stays: at the second decoding it is a part of a name.
fn decode(path: &str) -> Result<Cow<'_, str>, &'static str> {
    percent_decode_str(path).decode_utf8().map_err(|_| "does not decode to UTF-8")
}

fn segments(path: &str) -> Result<(), &'static str> {
    let bytes = path.as_bytes();
    for at in memchr::memchr_iter(b'/', bytes) {
        match &bytes[at + 1..] {
            [b'/', ..] => return Err("has empty segments"),
            [b'.'] | [b'.', b'/', ..] | [b'.', b'.'] | [b'.', b'.', b'/', ..] => {
                return Err("has dot segments");
            }
            _ => {}
        }
    }
    Ok(())
}

fn escapes_are_hexadecimal(bytes: &[u8]) -> bool {
    bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(|(at, _)| {
        bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}
