//! Reads a request target, once.
//!
//! A path that two programs could read in two ways is refused: it is decoded up to twice for inspection, and forwarded as it
//! came (RFC 3986 §3.3, §6.2.2). MLflow keeps names as they are, and reads an artifact's path in its own way
//! ([`artifact`](super::artifact)).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The paths of the artifact store: all that a server with --artifacts-only answers.
const ARTIFACT_STORE: [&str; 2] = ["/api/2.0/mlflow-artifacts/", "/ajax-api/2.0/mlflow-artifacts/"];

/// The paths of resources whose tags have paths of their own.
const TRACKED: [&str; 4] =
    ["/api/2.0/mlflow/", "/api/3.0/mlflow/", "/ajax-api/2.0/mlflow/", "/ajax-api/3.0/mlflow/"];
const TAGS: &str = "/tags/";

pub(super) fn is_artifact_stores(path: &str) -> bool {
    ARTIFACT_STORE.iter().any(|store| path.starts_with(store))
}

/// Splits a path, as it came, before the name at its end: a tag's key, or the rest after one of `names`. Only in such a name,
/// encoded separators, control characters and backslashes are data, and so are `;` and a `%` without two digits.
fn split_name<'a>(path: &'a str, names: &[String]) -> (&'a str, &'a str) {
    let name = names.iter().find_map(|before| path.strip_prefix(before.as_str())).or_else(|| {
        let tracked = TRACKED.iter().find_map(|prefix| path.strip_prefix(prefix))?;
        Some(tracked.split_once(TAGS)?.1)
    });
    path.split_at(path.len() - name.unwrap_or_default().len())
}

/// Inspects a path at MLflow and returns it decoded once. The rest after one of `names` is data.
///
/// # Errors
/// The end of a sentence that begins with "the path".
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
    // In a name such a `%` stays as it is, for MLflow's server and its own decoder alike (Python's `unquote`).
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

/// Checks the part before the name, decoded twice.
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

/// Decodes once. A `%` without two digits stays.
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
