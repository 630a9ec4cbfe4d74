//! POST in HTTP/1.0 without a length: it has no body (RFC 9112 §6.3, 7.).
//!
//! actix-http refuses it, by a rule of RFC 1945 that others do not keep (§7.2.2); nginx, which speaks HTTP/1.0 to servers by
//! default, sends it for a client that gives no length. Here it gets one, and its connection ends behind it: what follows
//! is nobody's request.

use memchr::memchr;

use super::framing::Allowed;

/// What such a head lacks.
const LENGTH: &[u8] = b"content-length: 0\r\nconnection: close\r\n";

/// The head with its length, if this is such a one.
pub(super) fn with_length(allowed: Allowed, head: &[u8]) -> Option<Vec<u8>> {
    if !matches!(allowed, Allowed::Head) || !head.starts_with(b"POST ") {
        return None;
    }
    let line = &head[..memchr(b'\n', head)?];
    if !line.strip_suffix(b"\r").unwrap_or(line).ends_with(b" HTTP/1.0") {
        return None;
    }
    let mut headers = [httparse::EMPTY_HEADER; 96];
    let mut request = httparse::Request::new(&mut headers);
    if !matches!(request.parse(head), Ok(httparse::Status::Complete(length)) if length == head.len()) {
        return None;
    }
    let frames = |name: &str| {
        name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding")
    };
    if request.headers.iter().any(|header| frames(header.name)) {
        return None;
    }
    let end = if head.ends_with(b"\r\n") { 2 } else { 1 };
    let (fields, end) = head.split_at(head.len() - end);
    Some([fields, LENGTH, end].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_of_http_1_0_without_a_length_gets_one_and_nothing_else_does() {
        for (head, expected) in [
            (
                "POST /x HTTP/1.0\r\nhost: a\r\n\r\n",
                Some("POST /x HTTP/1.0\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
            ),
            ("POST /x HTTP/1.0\n\n", Some("POST /x HTTP/1.0\ncontent-length: 0\r\nconnection: close\r\n\n")),
            (
                "POST /x HTTP/1.0\r\n\r\n",
                Some("POST /x HTTP/1.0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
            ),
            ("POST /x HTTP/1.1\r\nhost: a\r\n\r\n", None),
            ("GET /x HTTP/1.0\r\n\r\n", None),
            ("PUT /x HTTP/1.0\r\n\r\n", None),
            ("POST /x HTTP/1.0\r\nContent-Length: 5\r\n\r\n", None),
            ("POST /x HTTP/1.0\r\nContent-Length: nonsense\r\n\r\n", None),
            ("POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", None),
            ("POST /x HTTP/1.0\r\nContent-Length : 5\r\n\r\n", None),
        ] {
            let found = with_length(Allowed::Head, head.as_bytes());
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{head:?}");
        }
    }
}
