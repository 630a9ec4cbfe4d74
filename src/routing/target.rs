//! The one reading of a request target.
//!
//! A path is refused when two programs could read it in two ways: it is decoded up to twice for inspection and
//! forwarded as it came (RFC 3986 §3.3, §6.2.2).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// What follows these at MLflow is an artifact's name, in which an encoded slash or semicolon is data. A server of artifacts
/// alone answers all of it, and nothing else (mlflow server --artifacts-only).
const ARTIFACT_STORE: [&str; 2] = ["/api/2.0/mlflow-artifacts/", "/ajax-api/2.0/mlflow-artifacts/"];

/// Behind which of its routes the name begins.
const ARTIFACT_NAMES: [&str; 5] = ["artifacts/", "presigned/", "mpu/create/", "mpu/complete/", "mpu/abort/"];
/// Likewise of a server's name, which has a slash (mlflow/store/tracking/mcp_server_registry/rest_mixin.py).
const MCP_SERVERS: [&str; 2] = ["/api/3.0/mlflow/mcp-servers/", "/ajax-api/3.0/mlflow/mcp-servers/"];

pub(super) fn is_artifact_stores(path: &str) -> bool {
    ARTIFACT_STORE.iter().any(|store| path.starts_with(store))
}

/// Whether this path, as it came, ends in a name that may have encoded separators. Before it none is encoded.
fn names_have_separators(path: &str) -> bool {
    let below = |prefix: &&str| path.strip_prefix(*prefix);
    let artifact = ARTIFACT_STORE.iter().find_map(below);
    artifact.is_some_and(|route| ARTIFACT_NAMES.iter().any(|names| route.starts_with(names)))
        || MCP_SERVERS.iter().any(|servers| path.starts_with(servers))
}

/// Inspects a path at MLflow and tells how it reads, decoded once.
///
/// # Errors
/// What is wrong, as the end of a sentence that begins with "the path".
pub(super) fn inspect(path: &str) -> Result<Cow<'_, str>, &'static str> {
    if !path.is_ascii() {
        return Err("has bytes that must be percent-encoded");
    }
    if path.contains(';') {
        return Err("has parameters");
    }
    segments(path)?;
    if path.contains('%') { encoded(path) } else { Ok(path.into()) }
}

fn encoded(path: &str) -> Result<Cow<'_, str>, &'static str> {
    if !escapes_are_hexadecimal(path.as_bytes()) {
        return Err("has a `%` that begins no percent-encoded byte");
    }
    // What one decoding reveals, the second one keeps.
    let once = decode(path)?;
    let twice = decode(&once)?;
    segments(&twice)?;

    let separators = |path: &str| path.matches(['/', ';']).count();
    if !names_have_separators(path) && separators(&twice) > separators(path) {
        return Err("has an encoded separator outside a name that may have one");
    }
    Ok(once)
}

/// Decodes once. A `%` that begins nothing stays: at the second decoding it is a part of a name.
fn decode(path: &str) -> Result<Cow<'_, str>, &'static str> {
    percent_decode_str(path).decode_utf8().map_err(|_| "does not decode to UTF-8")
}

fn segments(path: &str) -> Result<(), &'static str> {
    let bytes = path.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match (byte, &bytes[at + 1..]) {
            (b'\\', _) => return Err("has a control character or a backslash"),
            (byte, _) if byte.is_ascii_control() => return Err("has a control character or a backslash"),
            (b'/', [b'/', ..]) => return Err("has empty segments"),
            (b'/', [b'.'] | [b'.', b'/', ..] | [b'.', b'.'] | [b'.', b'.', b'/', ..]) => {
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
