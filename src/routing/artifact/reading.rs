//! How MLflow reads an artifact's path, written after its source.
//!
//! MLflow 3.17.2 decodes a path until it does not change any more, each time through Python's `urlparse` and back
//! (mlflow/utils/uri.py, `_decode`). That removes more than escapes: to MLflow ` .`, `.;` and `.?` are all `.`. `tests/e2e/test_artifact_readings.py` compares this with MLflow's own function.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The number of decodings after which MLflow gives up (`_decode`).
const MAX_DECODINGS: usize = 10;

/// Schemes that Python's `urlparse` treats specially: it adds slashes or removes parameters, depending on its version
/// (`uses_netloc` and `uses_params` in urllib/parse.py). MLflow itself reads `file:` as the root (mlflow/utils/file_utils.py, `local_file_uri_to_path`).
const SCHEMES: &str = "file ftp git git+ssh gopher hdl http https imap itms-services mms nfs nntp prospero rsync rtsp rtsps rtspu \
    sftp shttp sip sips snews svn svn+ssh tel telnet wais ws wss";

/// The path that MLflow uses, from one that its server has decoded once.
///
/// # Errors
/// A path that versions of Python read differently, or not at all; the end of a sentence that begins with "the path".
pub(super) fn read(written: &str) -> Result<Cow<'_, str>, &'static str> {
    if is_plain(written) {
        return Ok(written.into());
    }
    let mut path = Cow::Borrowed(written);
    for _ in 0..MAX_DECODINGS {
        let next = reassembled(&percent_decode_str(&path).decode_utf8_lossy())?;
        if next == path {
            return Ok(escaped(path));
        }
        path = next.into();
    }
    Err("is encoded more often than MLflow decodes")
}

/// Whether nothing in a path is special to `urlparse`.
fn is_plain(path: &str) -> bool {
    let special = |byte: u8| byte.is_ascii_control() || b"%;?#:".contains(&byte);
    !path.starts_with(' ') && !path.bytes().any(special)
}

/// `urlunparse(urlparse(url))` of CPython 3.11 (urllib/parse.py), except for paths with a host or a slash at the beginning: those
/// have empty segments, and are refused later.
fn reassembled(url: &str) -> Result<String, &'static str> {
    // `_WHATWG_C0_CONTROL_OR_SPACE`, `_UNSAFE_URL_BYTES_TO_REMOVE`.
    let url = url.trim_start_matches(|character| character <= ' ').replace(['\t', '\r', '\n'], "");
    let (scheme, rest) = match url.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) {
        Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
        None => (None, url.as_str()),
    };
    if scheme.as_deref().is_some_and(|scheme| SCHEMES.split(' ').any(|known| known == scheme)) {
        return Err("begins with a scheme, as the address of something else does");
    }
    let (rest, fragment) = split(rest, '#');
    let (path, query) = split(rest, '?');
    let mut whole = String::with_capacity(url.len());
    if let Some(scheme) = &scheme {
        whole.push_str(scheme);
        whole.push(':');
    }
    // Empty parameters, an empty query and an empty fragment disappear, with their `;`, `?` or `#`.
    whole.push_str(if scheme.is_none() { without_empty_parameters(path) } else { path });
    for (mark, part) in [('?', query), ('#', fragment)] {
        if !part.is_empty() {
            whole.push(mark);
            whole.push_str(part);
        }
    }
    Ok(whole)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn split(text: &str, mark: char) -> (&str, &str) {
    text.split_once(mark).unwrap_or((text, ""))
}

/// `_splitparams`: they begin at the first `;` of the last segment.
fn without_empty_parameters(path: &str) -> &str {
    let last = path.rfind('/').map_or(0, |slash| slash + 1);
    match path[last..].find(';') {
        Some(at) if last + at + 1 == path.len() => &path[..last + at],
        _ => path,
    }
}

/// `_escape_control_characters`.
fn escaped(path: Cow<'_, str>) -> Cow<'_, str> {
    if !path.bytes().any(|byte| byte.is_ascii_control()) {
        return path;
    }
    let mut escaped = String::with_capacity(path.len() + 8);
    for character in path.chars() {
        if character.is_ascii_control() {
            escaped.push_str(&format!("%{:02x}", u32::from(character)));
        } else {
            escaped.push(character);
        }
    }
    escaped.into()
}
