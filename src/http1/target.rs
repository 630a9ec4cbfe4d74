//! Targets that actix-http cannot parse. It uses http::Uri, which accepts at most 65,534 bytes, and refuses bytes that MLflow's server
//! accepts raw (`"`, `<`, `>`, a backtick). It accepts a backslash in a path, which some servers read as a slash.
//!
//! Such bytes are percent-encoded here. The caller gives actix-http the head with [`PLACEHOLDER`] in the target's place.

use std::ops::Range;

use actix_web::{http::uri::PathAndQuery, web::Bytes};
use memchr::memchr;

use super::request::{HeadTooLarge, MAX_TARGET};

/// What actix-http parses in place of a target; no route has this path.
pub(crate) const PLACEHOLDER: &[u8] = b"/-";

/// Bytes of a path. PathAndQuery stores the start of the query in 16 bits, unchecked in http 0.2 (hyperium/http#855). The rest of the
/// 64 KiB is for the path of `mlflow.url`, which is put before this one.
pub(super) const MAX_PATH: usize = 60 * 1024;

const HEXADECIMAL: &[u8; 16] = b"0123456789ABCDEF";

/// Whether a path, or a query, must not have this byte raw.
fn must_encode(byte: u8, is_query: bool) -> bool {
    match byte {
        b'<' | b'>' | 0x80.. => true,
        b'`' | b'\\' => !is_query,
        b'"' => is_query,
        _ => false,
    }
}

/// Whether a path or a query must not have this byte raw.
pub(super) const fn may_need_encoding(byte: u8) -> bool {
    matches!(byte, b'<' | b'>' | b'`' | b'\\' | b'"' | 0x80..)
}

/// The encoded target of a head, and its position; `None` as in [`encode`].
///
/// # Errors
/// The target is too long.
pub(crate) fn encode_in(head: &[u8]) -> Result<Option<(PathAndQuery, Range<usize>)>, HeadTooLarge> {
    let Some(range) = target_range(head) else { return Ok(None) };
    Ok(encode(&head[range.clone()])?.map(|target| (target, range)))
}

/// The beginning of a head with a placeholder for a target that is not UTF-8, which httparse refuses. `None` for any other.
///
/// # Errors
/// The target is too long.
pub(crate) fn with_placeholder(begin: &[u8]) -> Result<Option<Vec<u8>>, HeadTooLarge> {
    let Some(range) = target_range(begin).filter(|range| str::from_utf8(&begin[range.clone()]).is_err())
    else {
        return Ok(None);
    };
    let target = encode(&begin[range.clone()])?;
    Ok(target.map(|_| [&begin[..range.start], PLACEHOLDER, &begin[range.end..]].concat()))
}

/// Percent-encodes what must be in a target; `None` for one that is not a path, or has a control character: actix-http refuses those.
///
/// # Errors
/// The target is too long.
pub(crate) fn encode(raw: &[u8]) -> Result<Option<PathAndQuery>, HeadTooLarge> {
    if raw.first() != Some(&b'/') {
        return Ok(None);
    }
    let mut target = Vec::with_capacity(raw.len() + raw.len() / 8);
    let mut path = None;
    for &byte in raw {
        if byte == b'?' && path.is_none() {
            path = Some(target.len());
        }
        if must_encode(byte, path.is_some()) {
            let digit = |nibble: u8| HEXADECIMAL[usize::from(nibble)];
            target.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
        } else {
            target.push(byte);
        }
    }
    if target.len() > MAX_TARGET || path.unwrap_or(target.len()) > MAX_PATH {
        return Err(HeadTooLarge::RequestLine);
    }
    Ok(PathAndQuery::from_maybe_shared(Bytes::from(target)).ok())
}

/// The bytes between the first two spaces of a request line, which may be incomplete.
fn target_range(head: &[u8]) -> Option<Range<usize>> {
    let line = &head[..memchr(b'\n', head).unwrap_or(head.len())];
    let begin = memchr(b' ', line)? + 1;
    let end = begin + memchr(b' ', &line[begin..])?;
    Some(begin..end)
}

#[cfg(test)]
mod tests {
    use actix_web::http::Uri;
    use percent_encoding::percent_decode;

    use super::*;

    fn encoded(target: &[u8]) -> Result<Option<String>, HeadTooLarge> {
        let head = [b"GET ", target, b" HTTP/1.1\r\nhost: a b\r\n\r\n"].concat();
        let found = encode_in(&head)?;
        Ok(found.map(|(found, range)| {
            assert_eq!(range, 4..4 + target.len());
            found.as_str().to_owned()
        }))
    }

    #[test]
    fn only_the_bytes_that_must_be_are_encoded_and_the_meaning_stays() {
        for before in ["/", "/a?"] {
            // A space ends a target.
            for byte in (0..=u8::MAX).filter(|byte| *byte != b' ') {
                let raw = [before.as_bytes(), &[byte], b"z"].concat();
                let is_parsed = Uri::try_from(&raw[..]).is_ok() && (before, byte) != ("/", b'\\');
                match encoded(&raw) {
                    Ok(Some(target)) if is_parsed => assert!(raw.starts_with(target.as_bytes()), "{raw:?}"),
                    Ok(Some(target)) => {
                        assert!(may_need_encoding(byte), "{raw:?}");
                        assert_eq!(target, format!("{before}%{byte:02X}z"));
                        assert_eq!(percent_decode(target.as_bytes()).collect::<Vec<_>>(), raw);
                    }
                    // Control characters.
                    Ok(None) => assert!(byte < b'!' || byte == 0x7f, "{raw:?}"),
                    Err(excess) => panic!("{raw:?}: {excess:?}"),
                }
            }
        }
    }

    #[test]
    fn every_target_that_is_accepted_knows_where_its_query_begins() {
        let long = |path: usize, query: usize| [vec![b'/'; path], vec![b'?'; query]].concat();
        for (path, query) in
            [(1, MAX_TARGET - 1), (MAX_PATH, 100), (MAX_PATH, MAX_TARGET - MAX_PATH), (MAX_PATH, 0)]
        {
            let target = encoded(&long(path, query)).unwrap().unwrap();
            let target = PathAndQuery::try_from(target).unwrap();
            assert_eq!(
                (target.path().len(), target.query().map_or(0, |query| query.len() + 1)),
                (path, query)
            );
        }
        for (path, query) in [(1, MAX_TARGET), (MAX_PATH + 1, 0), (MAX_PATH + 1, 1), (65_536 + 5, 10)] {
            assert_eq!(encoded(&long(path, query)), Err(HeadTooLarge::RequestLine), "{path} {query}");
        }
        // The encoded length counts.
        let long_when_encoded = [b"/?".as_slice(), &vec![b'<'; MAX_TARGET / 3 + 1]].concat();
        assert_eq!(encoded(&long_when_encoded), Err(HeadTooLarge::RequestLine));
    }

    #[test]
    fn a_target_that_is_not_a_path_is_left_alone() {
        for target in ["*", "http://a/<", "a<", ""] {
            assert_eq!(encoded(target.as_bytes()), Ok(None), "{target}");
        }
        for head in ["GET /<\r\n", "GET\r\n / \r\n", "GET /a", ""] {
            assert!(encode_in(head.as_bytes()).unwrap().is_none(), "{head}");
        }
    }
}
