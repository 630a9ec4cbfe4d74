//! What must hold for the head of any response: `make fuzz`.

use actix_web::{
    http::header::{HeaderName, HeaderValue},
    web::BytesMut,
};

use super::{
    fault::TransportFault,
    guard::is_whole,
    response::{Framing, ResponseHead},
};

/// A head is read the same however it is cut, by both ways to a server alike; what is behind it is left; and nothing in it
/// can be read as two fields.
pub fn fuzz_response_head(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let (to_head, size) = (first & 0x80 != 0, usize::from(first & 0x7f).max(1));
    let whole = taken(bytes, bytes.len().max(1), to_head);
    assert_eq!(whole, taken(bytes, size, to_head), "by {size}");

    let expected = whole.as_ref().map(Option::is_some).map_err(|fault| *fault);
    assert_eq!(is_whole(bytes, to_head), expected, "the guard judges otherwise");

    let Ok(Some(Taken { status, fields, framing, behind, .. })) = whole else { return };
    assert!(status >= 200 && behind < bytes.len(), "{status}");
    for (name, value) in &fields {
        assert!(!name.is_empty() && !name.contains(|byte: char| !byte.is_ascii_graphic()), "{name:?}");
        assert!(!value.iter().any(|byte| b"\r\n\0".contains(byte)), "{name}: {value:?}");
    }
    let has = |wanted: &str| fields.iter().any(|(name, _)| name == wanted);
    if let Framing::Length(_) | Framing::UntilClose = framing {
        assert!(!has("transfer-encoding"), "{fields:?}");
    }
    if framing == Framing::Chunked {
        assert!(!has("content-length"), "{fields:?}");
    }
}

/// All that is read of a head.
#[derive(Debug, PartialEq, Eq)]
struct Taken {
    status: u16,
    fields: Vec<(String, Vec<u8>)>,
    length: Option<u64>,
    framing: Framing,
    keeps_alive: bool,
    /// Bytes that came behind it.
    behind: usize,
}

fn taken(bytes: &[u8], size: usize, to_head: bool) -> Result<Option<Taken>, TransportFault> {
    let (mut received, mut left) = (BytesMut::new(), bytes.len());
    for piece in bytes.chunks(size) {
        received.extend_from_slice(piece);
        left -= piece.len();
        if let Some(head) = ResponseHead::take(&mut received, to_head)? {
            let field = |(name, value): &(HeaderName, HeaderValue)| {
                (name.as_str().to_owned(), value.as_bytes().to_vec())
            };
            return Ok(Some(Taken {
                status: head.status.as_u16(),
                fields: head.fields.iter().map(field).collect(),
                length: head.length,
                framing: head.framing,
                keeps_alive: head.keeps_alive,
                behind: left + received.len(),
            }));
        }
    }
    Ok(None)
}
