//! An HTTP/1.0 POST without a length has no body (RFC 9112 §6.3, rule 7).
//!
//! actix-http refuses it by RFC 1945 §7.2.2 (actix/actix-web#3503). nginx, which by default speaks HTTP/1.0 to its upstreams, sends such
//! requests. They get a length here, and a `Connection: close`, so that nothing after them is read as a request.

use memchr::memchr;

const ADDED_FIELDS: &[u8] = b"content-length: 0\r\nconnection: close\r\n";

/// A complete head with the length added, if it is one of a POST that lacks it.
pub(crate) fn with_length(head: &[u8]) -> Option<Vec<u8>> {
    if !head.starts_with(b"POST ") {
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
    Some([fields, ADDED_FIELDS, end].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_http_1_0_post_without_a_length_gets_one() {
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
            let found = with_length(head.as_bytes());
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{head:?}");
        }
    }
}
