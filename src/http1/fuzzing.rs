//! Properties of requests, for any bytes (`make fuzz`).

use httparse::{EMPTY_HEADER, Status};
use percent_encoding::percent_decode_str;

use super::{
    Chunks,
    http10::with_length,
    request::{HeadTooLarge, MAX_FIELDS, MAX_REQUEST_LINE, RequestHeadReader},
    target::{self, PLACEHOLDER},
};

/// The size of the pieces, from the first byte, and the other bytes.
fn split(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (size, rest) = bytes.split_first()?;
    Some((usize::from(*size).max(1), rest))
}

/// A head ends where httparse, and so actix-http, ends it, and within its limits, in pieces of any size.
pub fn fuzz_inbound_head(bytes: &[u8]) {
    let Some((size, bytes)) = split(bytes) else { return };
    let read = |piece: usize| -> (RequestHeadReader, Result<usize, HeadTooLarge>) {
        let (mut head, mut count) = (RequestHeadReader::default(), 0);
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
    assert_eq!(outcome.err(), too_large(bytes), "in all");
    let Ok(count) = outcome else { return };
    assert_eq!(whole, in_pieces, "by {size}");
    assert!(whole.is_complete() || count == bytes.len(), "stopped at {count}");
    // Neither is given empty lines before a head.
    if bytes.first().is_some_and(|byte| b"\r\n".contains(byte)) {
        return;
    }
    let mut headers = [EMPTY_HEADER; 96];
    let parsed = httparse::Request::new(&mut headers).parse(&bytes[..count]);
    if whole.is_complete() {
        check_added_length(&bytes[..count]);
    }
    match parsed {
        Ok(Status::Complete(end)) => {
            assert!(whole.is_complete() && end == count, "{count}, not {end}");
            check_placeholder(&bytes[..count]);
        }
        // actix-http would wait for more, and get nothing.
        Ok(Status::Partial) => assert!(!whole.is_complete(), "{count}"),
        Err(_) => {}
    }
}

/// A head with a placeholder differs in the target only; and the encoded target means the same and can be parsed.
fn check_placeholder(head: &[u8]) {
    let Ok(Some((target, range))) = target::encode_in(head) else { return };
    let with = [&head[..range.start], PLACEHOLDER, &head[range.end..]].concat();
    let (mut ours, mut theirs) = ([EMPTY_HEADER; 96], [EMPTY_HEADER; 96]);
    let (mut ours, mut theirs) = (httparse::Request::new(&mut ours), httparse::Request::new(&mut theirs));
    assert!(ours.parse(&with).is_ok_and(|status| status.is_complete()), "{with:?}");
    assert!(theirs.parse(head).is_ok_and(|status| status.is_complete()));
    assert_eq!(
        (ours.method, ours.version, &*ours.headers),
        (theirs.method, theirs.version, &*theirs.headers)
    );
    let raw = theirs.path.unwrap_or_default();
    assert_eq!((ours.path, raw.as_bytes()), (Some("/-"), &head[range]));
    let raw = raw.split('#').next().unwrap_or_default();
    assert!(percent_decode_str(target.as_str()).eq(percent_decode_str(raw)), "{raw} became {target}");
    assert_eq!(target.path().len(), target.as_str().find('?').unwrap_or(target.as_str().len()));
}

/// A head that gets a length is otherwise the same, and had none.
fn check_added_length(head: &[u8]) {
    let Some(framed) = with_length(head) else { return };
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

/// The limit that a head exceeds, found in the whole of it.
fn too_large(bytes: &[u8]) -> Option<HeadTooLarge> {
    let line = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
    if line > MAX_REQUEST_LINE {
        return Some(HeadTooLarge::RequestLine);
    }
    let is_empty = |line: &[u8]| line.ends_with(b"\n") && line.iter().all(|byte| b"\r\n".contains(byte));
    let mut fields = 0;
    for line in bytes[line..].split_inclusive(|byte| *byte == b'\n') {
        fields += line.len();
        if is_empty(line) {
            break;
        }
    }
    (fields > MAX_FIELDS + 2).then_some(HeadTooLarge::Fields)
}

/// A chunked body has the end that a reader of the whole finds, in pieces of any size.
pub fn fuzz_chunked_body(bytes: &[u8]) {
    let Some((size, bytes)) = split(bytes) else { return };
    let expected = whole_body(bytes);

    let (mut chunks, mut count, mut end) = (Chunks::default(), 0, None);
    for piece in bytes.chunks(size) {
        end = chunks.end_in(piece).map(|end| count + end);
        count += piece.len();
        if end.is_some() {
            break;
        }
    }
    assert_eq!(end, expected, "by {size}");
}

/// The end of a chunked body (RFC 9112 §7.1). Like actix-http it accepts white space after a size, and anything up to CR LF as a
/// trailer field.
fn whole_body(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = u64::from_str_radix(str::from_utf8(&bytes[at..at + digits]).ok()?, 16).ok()?;
        at += digits;
        at += bytes[at..].iter().take_while(|byte| b" \t".contains(byte)).count();
        if bytes.get(at) == Some(&b';') {
            at += bytes[at..].iter().take_while(|byte| **byte == b'\t' || !byte.is_ascii_control()).count();
        }
        at = after_line_end(bytes, at)?;
        if size == 0 {
            break;
        }
        let end = at.checked_add(usize::try_from(size).ok()?)?;
        at = after_line_end(bytes, end)?;
    }
    while *bytes.get(at)? != b'\r' {
        at += bytes[at..].iter().position(|byte| *byte == b'\r')?;
        at = after_line_end(bytes, at)?;
    }
    after_line_end(bytes, at)
}

fn after_line_end(bytes: &[u8], at: usize) -> Option<usize> {
    (bytes.get(at..at + 2)? == b"\r\n").then_some(at + 2)
}
