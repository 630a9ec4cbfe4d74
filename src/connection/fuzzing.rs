//! What must hold for the bytes of any client: `make fuzz`.

use actix_web::web::BytesMut;
use httparse::{EMPTY_HEADER, Status};
use percent_encoding::percent_decode_str;

use crate::http1::Chunks;

use super::{
    framing::Allowed,
    head::{Excess, HeadReader, MAX_FIELDS, MAX_REQUEST_LINE},
    no_length::with_length,
    set_aside::{self, STAND_IN},
};

/// The first byte says how the others are cut.
fn cut(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (size, rest) = bytes.split_first()?;
    Some((usize::from(*size).max(1), rest))
}

/// A head ends where httparse, and so actix-http, ends it, however it is cut; and it has no more than it may.
pub fn fuzz_inbound_head(bytes: &[u8]) {
    let Some((size, bytes)) = cut(bytes) else { return };
    let read = |piece: usize| -> (HeadReader, Result<usize, Excess>) {
        let (mut head, mut count) = (HeadReader::default(), 0);
        for piece in bytes.chunks(piece.max(1)) {
            match head.take(piece) {
                Ok(taken) => count += taken,
                Err(excess) => return (head, Err(excess)),
            }
        }
        (head, Ok(count))
    };
    let (whole, outcome) = read(bytes.len());
    let (in_pieces, same) = read(size);
    assert_eq!(outcome, same, "by {size}");
    assert_eq!(outcome.err(), excess(bytes), "in all");
    let Ok(count) = outcome else { return };
    assert_eq!(whole, in_pieces, "by {size}");
    assert!(whole.is_complete() || count == bytes.len(), "stopped at {count}");
    // Empty lines before it are not given to either.
    if bytes.first().is_some_and(|byte| b"\r\n".contains(byte)) {
        return;
    }
    let mut headers = [EMPTY_HEADER; 96];
    let parsed = httparse::Request::new(&mut headers).parse(&bytes[..count]);
    if whole.is_complete() {
        has_one_length(&bytes[..count]);
    }
    match parsed {
        Ok(Status::Complete(end)) => {
            assert!(whole.is_complete() && end == count, "{count}, not {end}");
            stands_in(&bytes[..count]);
        }
        // actix-http would wait for more, which it is not given.
        Ok(Status::Partial) => assert!(!whole.is_complete(), "{count}"),
        Err(_) => {}
    }
}

/// With a stand-in for its target, a head is the same but for that; and the target means what it meant, and can be read.
fn stands_in(head: &[u8]) {
    let Ok(Some((target, place))) = set_aside::target_of(head) else { return };
    let with = [&head[..place.start], STAND_IN, &head[place.end..]].concat();
    let (mut ours, mut theirs) = ([EMPTY_HEADER; 96], [EMPTY_HEADER; 96]);
    let (mut ours, mut theirs) = (httparse::Request::new(&mut ours), httparse::Request::new(&mut theirs));
    assert!(ours.parse(&with).is_ok_and(|status| status.is_complete()), "{with:?}");
    assert!(theirs.parse(head).is_ok_and(|status| status.is_complete()));
    assert_eq!(
        (ours.method, ours.version, &*ours.headers),
        (theirs.method, theirs.version, &*theirs.headers)
    );
    let raw = theirs.path.unwrap_or_default();
    assert_eq!((ours.path, raw.as_bytes()), (Some("/-"), &head[place]));
    let raw = raw.split('#').next().unwrap_or_default();
    assert!(percent_decode_str(target.as_str()).eq(percent_decode_str(raw)), "{raw} became {target}");
    assert_eq!(target.path().len(), target.as_str().find('?').unwrap_or(target.as_str().len()));
}

/// A head that gets a length is the same head, with no other length.
fn has_one_length(head: &[u8]) {
    let Some(framed) = with_length(Allowed::Head, head) else { return };
    let (mut before, mut after) = ([EMPTY_HEADER; 96], [EMPTY_HEADER; 98]);
    let (mut old, mut new) = (httparse::Request::new(&mut before), httparse::Request::new(&mut after));
    assert_eq!(old.parse(head), Ok(Status::Complete(head.len())));
    assert_eq!(new.parse(&framed), Ok(Status::Complete(framed.len())));
    assert_eq!((old.method, old.path, old.version), (new.method, new.path, new.version));
    assert_eq!((old.method, old.version), (Some("POST"), Some(0)));
    let (same, added) = new.headers.split_at(old.headers.len());
    assert_eq!(same, old.headers);
    let added: Vec<_> = added.iter().map(|header| (header.name, header.value)).collect();
    assert_eq!(added, [("content-length", &b"0"[..]), ("connection", b"close")]);
    let frames = |name: &str| ["content-length", "transfer-encoding"].contains(&&*name.to_ascii_lowercase());
    assert!(!same.iter().any(|header| frames(header.name)), "{same:?}");
}

/// What a head has too much of, by a look at the whole of it.
fn excess(bytes: &[u8]) -> Option<Excess> {
    let line = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
    if line > MAX_REQUEST_LINE {
        return Some(Excess::RequestLine);
    }
    let is_empty = |line: &[u8]| line.ends_with(b"\n") && line.iter().all(|byte| b"\r\n".contains(byte));
    let mut fields = 0;
    for line in bytes[line..].split_inclusive(|byte| *byte == b'\n') {
        fields += line.len();
        if is_empty(line) {
            break;
        }
    }
    (fields > MAX_FIELDS + 2).then_some(Excess::Fields)
}

/// A chunked body ends, and holds, what a reader says that looks at the whole of it, however it is cut.
pub fn fuzz_chunked_body(bytes: &[u8]) {
    let Some((size, bytes)) = cut(bytes) else { return };
    let expected = whole_body(bytes);

    let (mut chunks, mut count, mut end) = (Chunks::default(), 0, None);
    for piece in bytes.chunks(size) {
        end = chunks.end_in(piece).map(|end| count + end);
        count += piece.len();
        if end.is_some() {
            break;
        }
    }
    assert_eq!(end, expected.as_ref().map(|(end, _)| *end), "by {size}");

    let (mut chunks, mut data, mut received) = (Chunks::default(), Vec::new(), BytesMut::new());
    let mut pieces = bytes.chunks(size);
    let rest = loop {
        match chunks.data_in(&mut received) {
            Ok(Some(piece)) => data.extend_from_slice(&piece),
            Ok(None) if chunks.is_over() => {
                break Some(received.len() + pieces.map(<[u8]>::len).sum::<usize>());
            }
            Ok(None) => match pieces.next() {
                Some(piece) => received.extend_from_slice(piece),
                None => break None,
            },
            Err(_) => break None,
        }
    };
    let read = rest.map(|rest| (bytes.len() - rest, data));
    assert_eq!(read, expected, "by {size}");
}

/// RFC 9112 §7.1, with what actix-http adds to it: white space behind a size, and a trailer that is anything to its CR LF.
/// The end of the body, and its data.
fn whole_body(bytes: &[u8]) -> Option<(usize, Vec<u8>)> {
    let (mut at, mut data) = (0, Vec::new());
    loop {
        let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = u64::from_str_radix(str::from_utf8(&bytes[at..at + digits]).ok()?, 16).ok()?;
        at += digits;
        at += bytes[at..].iter().take_while(|byte| b" \t".contains(byte)).count();
        if bytes.get(at) == Some(&b';') {
            at += bytes[at..].iter().take_while(|byte| **byte == b'\t' || !byte.is_ascii_control()).count();
        }
        at = behind_line_end(bytes, at)?;
        if size == 0 {
            break;
        }
        let end = at.checked_add(usize::try_from(size).ok()?)?;
        data.extend_from_slice(bytes.get(at..end)?);
        at = behind_line_end(bytes, end)?;
    }
    while *bytes.get(at)? != b'\r' {
        at += bytes[at..].iter().position(|byte| *byte == b'\r')?;
        at = behind_line_end(bytes, at)?;
    }
    Some((behind_line_end(bytes, at)?, data))
}

fn behind_line_end(bytes: &[u8], at: usize) -> Option<usize> {
    (bytes.get(at..at + 2)? == b"\r\n").then_some(at + 2)
}
