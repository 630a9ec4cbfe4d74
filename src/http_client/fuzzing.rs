//! What must hold for the head of any response: `make fuzz`.

use actix_codec::{Decoder as _, Encoder as _};
use actix_http::{
    RequestHead, RequestHeadType,
    body::BodySize,
    h1::{ClientCodec, Message, MessageType},
};
use actix_rt::{System, SystemRunner};
use actix_web::{http::Method, web::BytesMut};

use crate::http1::{BodyLength, HeadFault, ResponseHead};

/// A head is judged the same however it is cut, and awc's decoder reads what the guard lets through as the guard does: where
/// the head ends, and whether there is a body.
pub fn fuzz_response_head(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let (to_head, size) = (first & 0x80 != 0, usize::from(first & 0x7f).max(1));
    let whole = in_pieces(bytes, bytes.len().max(1), to_head);
    assert_eq!(whole, in_pieces(bytes, size, to_head), "by {size}");
    let Ok(Some(head)) = whole else { return };
    assert!(head.length <= bytes.len(), "{head:?}");

    let (behind, has_body) = read_by_awc(bytes, to_head);
    assert_eq!(behind, bytes.len() - head.length, "{head:?}");
    let is_http10 = bytes.starts_with(b"HTTP/1.0");
    match head.body {
        // awc may wait for a body, by what a 204 or 304 says of one or for the end of an HTTP/1.0 connection: the guard tells
        // it that there is no more.
        BodyLength::None => {}
        BodyLength::Bytes(0) if is_http10 => {}
        BodyLength::Bytes(0) => assert!(!has_body, "{head:?}"),
        BodyLength::Bytes(_) | BodyLength::Chunked | BodyLength::UntilClose => assert!(has_body, "{head:?}"),
    }
}

fn in_pieces(bytes: &[u8], size: usize, to_head: bool) -> Result<Option<ResponseHead>, HeadFault> {
    let mut seen = Vec::new();
    for piece in bytes.chunks(size) {
        seen.extend_from_slice(piece);
        if let Some(head) = ResponseHead::read(&seen, to_head)? {
            return Ok(Some(head));
        }
    }
    Ok(None)
}

/// The bytes behind the head, and whether awc expects a body.
fn read_by_awc(bytes: &[u8], to_head: bool) -> (usize, bool) {
    // The codec has a clock, which is a task.
    thread_local!(static SYSTEM: SystemRunner = System::new());
    SYSTEM.with(|system| {
        system.block_on(async {
            let mut head = RequestHead::default();
            head.method = if to_head { Method::HEAD } else { Method::GET };
            let mut codec = ClientCodec::default();
            let request = Message::Item((RequestHeadType::Owned(head), BodySize::None));
            codec.encode(request, &mut BytesMut::new()).unwrap();
            let mut received = BytesMut::from(bytes);
            codec.decode(&mut received).unwrap().unwrap();
            (received.len(), !matches!(codec.message_type(), MessageType::None))
        })
    })
}
