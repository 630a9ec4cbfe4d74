//! The head of a response: where it ends, where its body does, and what becomes of its connection (RFC 9112 §6.3, §9.3).

use std::{mem::MaybeUninit, time::Duration};

use httparse::Status;

/// The longest head, in bytes. actix-http has the same limit (its h1/decoder.rs, MAX_BUFFER_SIZE).
pub(crate) const MAX_HEAD: usize = 128 * 1024;
/// The most fields, as in actix-http.
const MAX_FIELDS: usize = 96;

/// The longest name of a field, in bytes: actix-http panics at a longer one.
const MAX_NAME: usize = u16::MAX as usize;

/// What a connection needs to know of a response's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResponseHead {
    /// The head's own length, in bytes.
    pub(crate) length: usize,
    pub(crate) body: BodyLength,
    /// Whether another request may follow on its connection.
    pub(crate) keeps_alive: bool,
    /// For how long the server keeps an idle connection, where it says so (`Keep-Alive: timeout=5`).
    pub(crate) idle_timeout: Option<Duration>,
}

/// How long a response's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyLength {
    None,
    Bytes(u64),
    Chunked,
    /// It ends with the connection: HTTP/1.0 without a length.
    UntilClose,
}

/// Why a head cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeadFault {
    /// A status below 200, which was not asked for.
    Interim(u16),
    /// The end of the body cannot be told, or could be told in two ways.
    Unframed,
    NotHttp,
}

impl ResponseHead {
    /// Reads the head that `bytes` begin with; `None` while it is incomplete. `to_head`: it answers a HEAD request.
    ///
    /// # Errors
    /// A head that cannot be read, that is not the final one, or that does not tell where its body ends.
    pub(crate) fn read(bytes: &[u8], to_head: bool) -> Result<Option<Self>, HeadFault> {
        let mut fields = [MaybeUninit::uninit(); MAX_FIELDS];
        let mut response = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default()
            .allow_spaces_after_header_name_in_responses(true)
            .parse_response_with_uninit_headers(&mut response, bytes, &mut fields);
        let Status::Complete(length) = parsed.map_err(|_| HeadFault::NotHttp)? else {
            return if bytes.len() > MAX_HEAD { Err(HeadFault::NotHttp) } else { Ok(None) };
        };
        if response.headers.iter().any(|field| field.name.len() > MAX_NAME) {
            return Err(HeadFault::NotHttp);
        }
        let closes = values(&response, "connection")
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"));
        Ok(Some(Self {
            length,
            body: body_length(&response, to_head)?,
            keeps_alive: response.version == Some(1) && !closes && !announces_body_of_204(&response),
            idle_timeout: values(&response, "keep-alive").next().and_then(timeout_in),
        }))
    }
}

fn values<'a>(
    response: &'a httparse::Response<'_, '_>,
    name: &'static str,
) -> impl Iterator<Item = &'a [u8]> {
    response
        .headers
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(name))
        .map(|field| field.value)
}

/// Whether a 204 announces a body, which some servers then send (RFC 9112 §6.1, §6.2: they must not).
fn announces_body_of_204(response: &httparse::Response<'_, '_>) -> bool {
    response.code == Some(204)
        && (values(response, "transfer-encoding").next().is_some()
            || values(response, "content-length").any(|length| number(length) != Some(0)))
}

fn body_length(response: &httparse::Response<'_, '_>, to_head: bool) -> Result<BodyLength, HeadFault> {
    let status = response.code.unwrap_or_default();
    if status < 200 {
        return Err(HeadFault::Interim(status));
    }
    let (mut lengths, mut codings) =
        (values(response, "content-length"), values(response, "transfer-encoding"));
    let length = match (lengths.next(), lengths.next()) {
        (None, _) => None,
        (Some(length), None) => Some(number(length).ok_or(HeadFault::NotHttp)?),
        (Some(_), Some(_)) => return Err(HeadFault::NotHttp),
    };
    let is_chunked = match (codings.next(), codings.next()) {
        (None, _) => false,
        // An unknown coding, such as identity, tells no end.
        (Some(coding), None) if coding.trim_ascii().eq_ignore_ascii_case(b"chunked") => true,
        _ => return Err(HeadFault::Unframed),
    };
    match (is_chunked, length, response.version) {
        _ if to_head || status == 204 || status == 304 => Ok(BodyLength::None),
        (true, None, Some(1)) => Ok(BodyLength::Chunked),
        // awc (actix-http 3.20, h1/decoder.rs) reads no body of this length.
        (false, Some(1..), _) if offers_websocket(response) => Err(HeadFault::Unframed),
        (false, Some(length), _) => Ok(BodyLength::Bytes(length)),
        (false, None, Some(0)) => Ok(BodyLength::UntilClose),
        _ => Err(HeadFault::Unframed),
    }
}

fn offers_websocket(response: &httparse::Response<'_, '_>) -> bool {
    values(response, "upgrade").any(|protocol| protocol.trim_ascii().eq_ignore_ascii_case(b"websocket"))
}

/// Digits and nothing else (RFC 9110 §8.6).
fn number(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()
}

/// The seconds of a `Keep-Alive` field: `timeout=5, max=100`.
fn timeout_in(value: &[u8]) -> Option<Duration> {
    let seconds = str::from_utf8(value).ok()?.split(',').find_map(|parameter| {
        let (name, seconds) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("timeout").then_some(seconds)
    });
    seconds?.trim().trim_matches('"').parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(head: &str, to_head: bool) -> Result<Option<BodyLength>, HeadFault> {
        Ok(ResponseHead::read(head.as_bytes(), to_head)?.map(|head| head.body))
    }

    #[test]
    fn a_head_tells_where_its_response_ends() {
        for (head, to_head, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", false, Ok(Some(BodyLength::Bytes(2)))),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, Ok(Some(BodyLength::Chunked))),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\n", false, Err(HeadFault::Unframed)),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n", false, Err(HeadFault::Unframed)),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n",
                false,
                Err(HeadFault::Unframed),
            ),
            ("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", false, Err(HeadFault::Unframed)),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\n", false, Err(HeadFault::NotHttp)),
            ("HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\n", false, Err(HeadFault::NotHttp)),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n",
                false,
                Err(HeadFault::NotHttp),
            ),
            (
                "HTTP/1.1 426 X\r\nupgrade: WebSocket\r\ncontent-length: 2\r\n\r\n",
                false,
                Err(HeadFault::Unframed),
            ),
            (
                "HTTP/1.1 426 X\r\nupgrade: websocket\r\ntransfer-encoding: chunked\r\n\r\n",
                false,
                Ok(Some(BodyLength::Chunked)),
            ),
            (
                "HTTP/1.1 426 X\r\nupgrade: websocket\r\ncontent-length: 0\r\n\r\n",
                false,
                Ok(Some(BodyLength::Bytes(0))),
            ),
            ("HTTP/1.1 204 No Content\r\n\r\n", false, Ok(Some(BodyLength::None))),
            ("HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\n", false, Ok(Some(BodyLength::None))),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", true, Ok(Some(BodyLength::None))),
            ("HTTP/1.1 200 OK\r\n\r\n", true, Ok(Some(BodyLength::None))),
            ("HTTP/1.1 200 OK\r\n\r\n", false, Err(HeadFault::Unframed)),
            ("HTTP/1.0 200 OK\r\n\r\nbody", false, Ok(Some(BodyLength::UntilClose))),
            ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n", false, Ok(Some(BodyLength::Bytes(2)))),
            ("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", false, Err(HeadFault::Interim(103))),
            ("HTTP/1.1 100 Continue\r\n\r\n", false, Err(HeadFault::Interim(100))),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", false, Err(HeadFault::Interim(101))),
            ("HTTP/1.1 200 OK\r\ncontent-le", false, Ok(None)),
            ("SSH-2.0-OpenSSH\r\n", false, Err(HeadFault::NotHttp)),
        ] {
            assert_eq!(body(head, to_head), expected, "{head:?}");
        }
    }

    #[test]
    fn a_head_ends_before_its_body_and_may_not_be_too_long() {
        let head = "HTTP/1.1 201 X\r\nA: b \r\nContent-Length: 2\r\n\r\n";
        let read = ResponseHead::read(format!("{head}hi").as_bytes(), false).unwrap().unwrap();
        assert_eq!(read.length, head.len());
        let long = format!("HTTP/1.1 200 OK\r\na: {}", "x".repeat(MAX_HEAD));
        assert_eq!(ResponseHead::read(&long.as_bytes()[..MAX_HEAD], false), Ok(None));
        assert_eq!(ResponseHead::read(long.as_bytes(), false), Err(HeadFault::NotHttp));
        for (length, is_read) in [(MAX_NAME, true), (MAX_NAME + 1, false)] {
            let name = "x".repeat(length);
            let head = format!("HTTP/1.1 200 OK\r\n{name}: a\r\ncontent-length: 0\r\n\r\n");
            assert_eq!(ResponseHead::read(head.as_bytes(), false).is_ok(), is_read, "{length}");
        }
    }

    #[test]
    fn a_connection_is_kept_only_where_the_server_keeps_it() {
        for (head, kept) in [
            ("1.1 200 OK\r\ncontent-length: 0\r\n", true),
            ("1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n", true),
            ("1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 0\r\n", false),
            ("1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n", false),
            ("1.1 204 X\r\ncontent-length: 0\r\n", true),
            ("1.1 204 X\r\ncontent-length: 2\r\n", false),
            ("1.1 204 X\r\ntransfer-encoding: chunked\r\n", false),
        ] {
            let read = ResponseHead::read(format!("HTTP/{head}\r\n").as_bytes(), false).unwrap().unwrap();
            assert_eq!(read.keeps_alive, kept, "{head}");
        }
    }

    #[test]
    fn a_server_tells_how_long_it_keeps_an_idle_connection() {
        for (value, seconds) in [
            ("timeout=5", Some(5)),
            ("max=100, Timeout = 3", Some(3)),
            ("timeout=\"7\"", Some(7)),
            ("max=100", None),
            ("timeout=soon", None),
            ("", None),
        ] {
            let head = format!("HTTP/1.1 200 OK\r\nkeep-alive: {value}\r\ncontent-length: 0\r\n\r\n");
            let head = ResponseHead::read(head.as_bytes(), false).unwrap().unwrap();
            assert_eq!(head.idle_timeout, seconds.map(Duration::from_secs), "{value}");
        }
    }
}
