//! Targets that actix-http cannot read: it parses them with http::Uri, which takes 65,534 bytes, and not every byte that MLflow's
//! server takes raw (`"`, `<`, `>`, a backtick). A backslash in a path it does take, but to some servers that is a slash.
//!
//! Such a target is percent-encoded where it must be, and set aside; actix-http reads the rest of the head with a stand-in.
//! It is put back before anything looks at the request, so that what is judged is what is sent on.

use std::ops::Range;

use actix_web::{http::uri::PathAndQuery, web::Bytes};
use memchr::memchr;

use super::head::{Excess, MAX_TARGET};

/// What actix-http reads in its place; no route has it.
pub(super) const STAND_IN: &[u8] = b"/-";

/// Bytes of a path: http's PathAndQuery keeps in 16 bits, unchecked, where the query begins (http 0.2, uri/path.rs). The rest is
/// for what is put before it. Of a longer target the path is counted here.
pub(super) const MAX_PATH: usize = 60 * 1024;

const HEXADECIMAL: &[u8; 16] = b"0123456789ABCDEF";

/// What must not stand in a path as it is; and in a query.
fn must_be_encoded(byte: u8, is_query: bool) -> bool {
    match byte {
        b'<' | b'>' | 0x80.. => true,
        b'`' | b'\\' => !is_query,
        b'"' => is_query,
        _ => false,
    }
}

/// Whether a byte must be encoded in one of both.
pub(super) const fn is_odd(byte: u8) -> bool {
    matches!(byte, b'<' | b'>' | b'`' | b'\\' | b'"' | 0x80..)
}

/// The target of a head, encoded, and where it stands; `None` as in [`encoded`].
///
/// # Errors
/// It is too long.
pub(super) fn target_of(head: &[u8]) -> Result<Option<(PathAndQuery, Range<usize>)>, Excess> {
    let Some(place) = place(head) else { return Ok(None) };
    Ok(encoded(&head[place.clone()])?.map(|target| (target, place)))
}

/// The beginning of a head, with a stand-in for a target that is set aside later and that httparse does not read: one that is
/// no UTF-8. `None` for any other.
///
/// # Errors
/// It is too long.
pub(super) fn readable(begin: &[u8]) -> Result<Option<Vec<u8>>, Excess> {
    let Some(place) = place(begin).filter(|place| str::from_utf8(&begin[place.clone()]).is_err()) else {
        return Ok(None);
    };
    let target = encoded(&begin[place.clone()])?;
    Ok(target.map(|_| [&begin[..place.start], STAND_IN, &begin[place.end..]].concat()))
}

/// A target, encoded where it must be; `None` for one that is no path, or has a control character: actix-http refuses it.
///
/// # Errors
/// It is too long.
pub(super) fn encoded(raw: &[u8]) -> Result<Option<PathAndQuery>, Excess> {
    if raw.first() != Some(&b'/') {
        return Ok(None);
    }
    let mut target = Vec::with_capacity(raw.len() + raw.len() / 8);
    let mut path = None;
    for &byte in raw {
        if byte == b'?' && path.is_none() {
            path = Some(target.len());
        }
        if must_be_encoded(byte, path.is_some()) {
            let digit = |nibble: u8| HEXADECIMAL[usize::from(nibble)];
            target.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
        } else {
            target.push(byte);
        }
    }
    if target.len() > MAX_TARGET || path.unwrap_or(target.len()) > MAX_PATH {
        return Err(Excess::RequestLine);
    }
    Ok(PathAndQuery::from_maybe_shared(Bytes::from(target)).ok())
}

/// Between the first two spaces of the request line, which may be still to end.
fn place(head: &[u8]) -> Option<Range<usize>> {
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

    fn set_aside(target: &[u8]) -> Result<Option<String>, Excess> {
        let head = [b"GET ", target, b" HTTP/1.1\r\nhost: a b\r\n\r\n"].concat();
        let found = target_of(&head)?;
        Ok(found.map(|(found, place)| {
            assert_eq!(place, 4..4 + target.len());
            found.as_str().to_owned()
        }))
    }

    #[test]
    fn exactly_those_bytes_are_encoded_that_must_be_and_all_mean_what_they_meant() {
        for before in ["/", "/a?"] {
            // A space ends a target.
            for byte in (0..=u8::MAX).filter(|byte| *byte != b' ') {
                let raw = [before.as_bytes(), &[byte], b"z"].concat();
                let is_parsed = Uri::try_from(&raw[..]).is_ok() && (before, byte) != ("/", b'\\');
                match set_aside(&raw) {
                    Ok(Some(target)) if is_parsed => assert!(raw.starts_with(target.as_bytes()), "{raw:?}"),
                    Ok(Some(target)) => {
                        assert!(is_odd(byte), "{raw:?}");
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
    fn where_its_query_begins_is_known_of_every_target() {
        let long = |path: usize, query: usize| [vec![b'/'; path], vec![b'?'; query]].concat();
        for (path, query) in
            [(1, MAX_TARGET - 1), (MAX_PATH, 100), (MAX_PATH, MAX_TARGET - MAX_PATH), (MAX_PATH, 0)]
        {
            let target = set_aside(&long(path, query)).unwrap().unwrap();
            let target = PathAndQuery::try_from(target).unwrap();
            assert_eq!(
                (target.path().len(), target.query().map_or(0, |query| query.len() + 1)),
                (path, query)
            );
        }
        for (path, query) in [(1, MAX_TARGET), (MAX_PATH + 1, 0), (MAX_PATH + 1, 1), (65_536 + 5, 10)] {
            assert_eq!(set_aside(&long(path, query)), Err(Excess::RequestLine), "{path} {query}");
        }
        // It is the length that is sent on that counts.
        let odd = [b"/?".as_slice(), &vec![b'<'; MAX_TARGET / 3 + 1]].concat();
        assert_eq!(set_aside(&odd), Err(Excess::RequestLine));
    }

    #[test]
    fn what_has_no_path_for_its_target_is_left_as_it_is() {
        for target in ["*", "http://a/<", "a<", ""] {
            assert_eq!(set_aside(target.as_bytes()), Ok(None), "{target}");
        }
        for head in ["GET /<\r\n", "GET\r\n / \r\n", "GET /a", ""] {
            assert!(target_of(head.as_bytes()).unwrap().is_none(), "{head}");
        }
    }
}
