//! What a server answers: a head, and where its body ends.

use std::{mem::MaybeUninit, time::Duration};

use actix_web::{
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
    web::BytesMut,
};
use httparse::Status;

use super::{fault::TransportFault, server_patience::timeout_in};

/// The longest response head, in bytes.
pub(super) const MAX_HEAD: usize = 128 * 1024;
/// The most headers of a response.
pub(super) const MAX_HEADERS: usize = 96;

/// A response's status and its fields, in their order.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    pub(crate) status: StatusCode,
    pub(crate) fields: Vec<(HeaderName, HeaderValue)>,
    /// The length that it gives its body, also where it has none: to HEAD, in a 304.
    pub(crate) length: Option<u64>,
    pub(super) framing: Framing,
    /// Whether another request may follow on its connection.
    pub(super) keeps_alive: bool,
    /// For how long the server keeps that when nobody uses it, where it says so.
    pub(super) keep_alive: Option<Duration>,
}

/// How a response's end is told (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    Length(u64),
    Chunked,
    /// HTTP/1.0 without a length.
    UntilClose,
}

impl ResponseHead {
    /// Takes a head off `received`; `None` while it is incomplete. `to_head`: it answers a HEAD request.
    ///
    /// # Errors
    /// One that cannot be read, or whose end cannot be told.
    pub(crate) fn take(received: &mut BytesMut, to_head: bool) -> Result<Option<Self>, TransportFault> {
        let mut headers = [MaybeUninit::uninit(); MAX_HEADERS];
        let mut response = httparse::Response::new(&mut []);
        let Some(length) = read(&mut response, received, &mut headers)? else { return Ok(None) };
        let (framing, declared) = framing(&response, to_head)?;
        let status = StatusCode::from_u16(response.code.unwrap_or_default());
        let status = status.map_err(|_| TransportFault::NotHttp)?;
        let closes = response.headers.iter().any(|header| {
            header.name.eq_ignore_ascii_case("connection")
                && header
                    .value
                    .split(|byte| *byte == b',')
                    .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
        });
        let keeps_alive = response.version == Some(1) && !closes;
        let announced = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("keep-alive"));
        let keep_alive = announced.and_then(|header| timeout_in(header.value));

        let start = received.as_ptr() as usize;
        let within = |part: &[u8]| (part.as_ptr() as usize - start, part.len());
        let places: Vec<_> = (response.headers.iter())
            .map(|header| (HeaderName::from_bytes(header.name.as_bytes()), within(header.value)))
            .collect();
        // The values stay where they lie.
        let bytes = received.split_to(length).freeze();
        let fields = places.into_iter().map(|(name, (at, length))| {
            let value = HeaderValue::from_maybe_shared(bytes.slice(at..at + length));
            Ok((name.map_err(|_| TransportFault::NotHttp)?, value.map_err(|_| TransportFault::NotHttp)?))
        });
        let fields = fields.collect::<Result<_, _>>()?;
        Ok(Some(Self { status, fields, length: declared, framing, keeps_alive, keep_alive }))
    }
}

/// The length of the head in `bytes`; `None` while it is incomplete.
pub(super) fn read<'h, 'b>(
    response: &mut httparse::Response<'h, 'b>,
    bytes: &'b [u8],
    headers: &'h mut [MaybeUninit<httparse::Header<'b>>],
) -> Result<Option<usize>, TransportFault> {
    let parsed = httparse::ParserConfig::default()
        .allow_spaces_after_header_name_in_responses(true)
        .parse_response_with_uninit_headers(response, bytes, headers)
        .map_err(|_| TransportFault::NotHttp)?;
    Ok(match parsed {
        Status::Complete(length) => Some(length),
        Status::Partial => None,
    })
}

/// How a response's end is told, and the length that it declares.
///
/// # Errors
/// A response that is not the final one, or whose end cannot be told, or could be told in two ways.
pub(super) fn framing(
    response: &httparse::Response<'_, '_>,
    to_head: bool,
) -> Result<(Framing, Option<u64>), TransportFault> {
    let status = response.code.unwrap_or_default();
    if status < 200 {
        return Err(TransportFault::Interim(status));
    }
    let named = |wanted: &'static str| {
        response.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(wanted))
    };
    let (mut lengths, mut codings) = (named("content-length"), named("transfer-encoding"));
    let length = match (lengths.next(), lengths.next()) {
        (None, _) => None,
        (Some(length), None) => Some(number(length.value).ok_or(TransportFault::NotHttp)?),
        (Some(_), Some(_)) => return Err(TransportFault::NotHttp),
    };
    let chunked = match (codings.next(), codings.next()) {
        (None, _) => false,
        // A coding that is not known, such as identity, frames nothing.
        (Some(coding), None) if coding.value.trim_ascii().eq_ignore_ascii_case(b"chunked") => true,
        _ => return Err(TransportFault::Unframed),
    };
    let framing = match (chunked, length, response.version) {
        _ if to_head || status == 204 || status == 304 => Framing::None,
        (true, None, Some(1)) => Framing::Chunked,
        (false, Some(length), _) => Framing::Length(length),
        (false, None, Some(0)) => Framing::UntilClose,
        _ => return Err(TransportFault::Unframed),
    };
    Ok((framing, length))
}

/// Digits and nothing else (RFC 9110 §8.6).
fn number(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(head: &str, to_head: bool) -> Result<Option<Framing>, TransportFault> {
        let taken = ResponseHead::take(&mut BytesMut::from(head), to_head)?;
        Ok(taken.map(|head| head.framing))
    }

    #[test]
    fn a_head_tells_where_its_response_ends() {
        for (head, to_head, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", false, Ok(Some(Framing::Length(2)))),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, Ok(Some(Framing::Chunked))),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\n", false, Err(TransportFault::Unframed)),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
                false,
                Err(TransportFault::Unframed),
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n",
                false,
                Err(TransportFault::Unframed),
            ),
            ("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", false, Err(TransportFault::Unframed)),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\n", false, Err(TransportFault::NotHttp)),
            ("HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\n", false, Err(TransportFault::NotHttp)),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n",
                false,
                Err(TransportFault::NotHttp),
            ),
            ("HTTP/1.1 204 No Content\r\n\r\n", false, Ok(Some(Framing::None))),
            ("HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\n", false, Ok(Some(Framing::None))),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", true, Ok(Some(Framing::None))),
            ("HTTP/1.1 200 OK\r\n\r\n", true, Ok(Some(Framing::None))),
            ("HTTP/1.1 200 OK\r\n\r\n", false, Err(TransportFault::Unframed)),
            ("HTTP/1.0 200 OK\r\n\r\nbody", false, Ok(Some(Framing::UntilClose))),
            ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n", false, Ok(Some(Framing::Length(2)))),
            ("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", false, Err(TransportFault::Interim(103))),
            ("HTTP/1.1 100 Continue\r\n\r\n", false, Err(TransportFault::Interim(100))),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", false, Err(TransportFault::Interim(101))),
            ("HTTP/1.1 200 OK\r\ncontent-le", false, Ok(None)),
            ("SSH-2.0-OpenSSH\r\n", false, Err(TransportFault::NotHttp)),
        ] {
            assert_eq!(framed(head, to_head), expected, "{head:?}");
        }
    }

    #[test]
    fn a_head_is_taken_off_and_its_body_left() {
        let mut received = BytesMut::from("HTTP/1.1 201 X\r\nA: b \r\nContent-Length: 2\r\na: c\r\n\r\nhi");
        let head = ResponseHead::take(&mut received, false).unwrap().unwrap();
        assert_eq!((head.status.as_u16(), head.length, &received[..]), (201, Some(2), &b"hi"[..]));
        let fields = head.fields.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        assert_eq!(fields.collect::<Vec<_>>(), [("a", "b"), ("content-length", "2"), ("a", "c")]);
    }

    #[test]
    fn a_connection_is_kept_only_where_the_server_keeps_it() {
        for (version, connection, kept) in [
            ("1.1", "", true),
            ("1.1", "connection: keep-alive\r\n", true),
            ("1.1", "connection: x, Close\r\n", false),
            ("1.0", "connection: keep-alive\r\n", false),
        ] {
            let head = format!("HTTP/{version} 200 OK\r\n{connection}content-length: 0\r\n\r\n");
            let head = ResponseHead::take(&mut BytesMut::from(&head[..]), false).unwrap().unwrap();
            assert_eq!(head.keeps_alive, kept, "{version} {connection}");
        }
    }
}
