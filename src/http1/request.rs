//! Finds the end of a request's head while its bytes arrive, and limits its size.

use memchr::memchr;

use super::target::{MAX_PATH, may_need_encoding};

/// Bytes of a target. MLflow's client puts many run ids of 41 bytes into one, and its server accepts 128 KiB that arrive at once (h11
/// limits only what arrives in pieces).
pub(crate) const MAX_TARGET: usize = 128 * 1024;
/// Bytes of a request line with its line end. The fuzzer needs small limits, to reach them.
pub(crate) const MAX_REQUEST_LINE: usize = if cfg!(fuzzing) { 200 } else { MAX_TARGET + 64 };
/// Bytes of all header fields with their line ends.
pub(crate) const MAX_FIELDS: usize = if cfg!(fuzzing) { 300 } else { 32 * 1024 };
/// The empty line after the fields.
const EMPTY_LINE: usize = 2;

/// Finds the end of a head, at the same byte as actix-http. It does not validate the head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RequestHeadReader {
    part: Part,
    request_line: usize,
    fields: usize,
    has_fragment: bool,
    needs_encoding: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Part {
    #[default]
    RequestLine,
    /// Whether the next byte begins a line.
    Fields {
        at_line_start: bool,
    },
    Complete,
}

/// The part of a head that exceeds its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeadTooLarge {
    RequestLine,
    Fields,
}

impl RequestHeadReader {
    pub(crate) fn is_complete(self) -> bool {
        self.part == Part::Complete
    }

    /// Whether the target has a raw `#`.
    pub(crate) fn has_fragment(self) -> bool {
        self.has_fragment
    }

    /// Whether the target may be one that actix-http cannot parse ([`super::target`]).
    pub(crate) fn may_need_encoding(self) -> bool {
        self.needs_encoding || self.request_line > MAX_PATH
    }

    /// Reads up to the end of the head, and returns how many of these bytes belong to it.
    ///
    /// # Errors
    /// A limit is exceeded; returned as soon as it is.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<usize, HeadTooLarge> {
        let mut at = 0;
        while at < bytes.len() && !self.is_complete() {
            let rest = &bytes[at..];
            let taken = match self.part {
                Part::RequestLine => {
                    let found =
                        rest.iter().position(|byte| matches!(byte, b'#' | b'\n') || may_need_encoding(*byte));
                    match found.map(|found| rest[found]) {
                        // A target has no fragment (RFC 9112 §3.2); actix-http drops one silently.
                        Some(b'#') => self.has_fragment = true,
                        Some(b'\n') => self.part = Part::Fields { at_line_start: true },
                        Some(_) => self.needs_encoding = true,
                        None => {}
                    }
                    let taken = found.map_or(rest.len(), |found| found + 1);
                    self.request_line += taken;
                    taken
                }
                Part::Fields { at_line_start: true } => {
                    match rest[0] {
                        b'\n' => self.part = Part::Complete,
                        b'\r' => {}
                        _ => self.part = Part::Fields { at_line_start: false },
                    }
                    self.fields += 1;
                    1
                }
                Part::Fields { at_line_start: false } => {
                    let found = memchr(b'\n', rest);
                    self.part = Part::Fields { at_line_start: found.is_some() };
                    let taken = found.map_or(rest.len(), |found| found + 1);
                    self.fields += taken;
                    taken
                }
                Part::Complete => 0,
            };
            if self.request_line > MAX_REQUEST_LINE {
                return Err(HeadTooLarge::RequestLine);
            }
            if self.fields > MAX_FIELDS + EMPTY_LINE {
                return Err(HeadTooLarge::Fields);
            }
            at += taken;
        }
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The length of a head that arrives in pieces of this size.
    fn end(whole: &str, piece: usize) -> Result<Option<usize>, HeadTooLarge> {
        let (mut head, mut count) = (RequestHeadReader::default(), 0);
        for piece in whole.as_bytes().chunks(piece) {
            count += head.take(piece)?;
        }
        Ok(head.is_complete().then_some(count))
    }

    fn head(target: usize, fields: usize) -> String {
        let around = "GET / HTTP/1.1\r\n".len();
        let line = format!("GET /{} HTTP/1.1\r\n", "x".repeat(target - around));
        format!("{line}x: {}\r\n\r\n", "y".repeat(fields - "x: \r\n".len()))
    }

    #[test]
    fn a_head_ends_at_its_empty_line_and_may_be_as_large_as_its_limits() {
        let (line, fields) = (MAX_REQUEST_LINE, MAX_FIELDS);
        for (whole, expected) in [
            ("GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), Ok(())),
            ("GET / HTTP/1.1\nhost: a\n\n".to_owned(), Ok(())),
            (head(100, 100), Ok(())),
            (head(line, fields), Ok(())),
            (head(line + 1, 100), Err(HeadTooLarge::RequestLine)),
            (head(100, fields + 1), Err(HeadTooLarge::Fields)),
            (format!("GET / HTTP/1.1\r\n{}", "\r".repeat(fields + 3)), Err(HeadTooLarge::Fields)),
        ] {
            for piece in [1, 7, 4096, whole.len()] {
                let found = end(&whole, piece);
                assert_eq!(found, expected.map(|()| Some(whole.len())), "{whole:.40} by {piece}");
            }
            for behind in ["", "GET /"] {
                let found = end(&format!("{whole}{behind}"), usize::MAX);
                assert_eq!(found, expected.map(|()| Some(whole.len())), "{whole:.40}");
            }
        }
    }

    #[test]
    fn a_head_without_an_end_is_refused_at_the_first_byte_over_a_limit() {
        for (begin, most) in [("GET /", MAX_REQUEST_LINE - 5), ("GET /\r\nx: ", MAX_FIELDS + 2 - 3)] {
            let whole = format!("{begin}{}", "x".repeat(most));
            assert_eq!(end(&whole, 1000), Ok(None), "{begin}");
            assert!(end(&format!("{whole}x"), 1000).is_err(), "{begin}");
        }
    }

    #[test]
    fn a_fragment_is_seen_in_the_target_and_nowhere_else() {
        for (whole, expected) in
            [("GET /#a HTTP/1.1\r\n\r\n", true), ("GET / HTTP/1.1\r\nx: #\r\n\r\n", false)]
        {
            let mut head = RequestHeadReader::default();
            head.take(whole.as_bytes()).unwrap();
            assert_eq!(head.has_fragment(), expected, "{whole}");
        }
    }

    #[test]
    fn a_target_that_actix_http_cannot_parse_is_noticed() {
        let long = |length: usize| format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(length));
        for (whole, expected) in [
            ("GET /a?b=|^{}[] HTTP/1.1\r\nx: \"<>`é\r\n\r\n".to_owned(), false),
            ("GET /?< HTTP/1.1\r\n\r\n".to_owned(), true),
            ("GET /?\" HTTP/1.1\r\n\r\n".to_owned(), true),
            ("GET /` HTTP/1.1\r\n\r\n".to_owned(), true),
            ("GET /\\ HTTP/1.1\r\n\r\n".to_owned(), true),
            ("GET /?\u{e9} HTTP/1.1\r\n\r\n".to_owned(), true),
            (long(60_000), false),
            (long(61_440), true),
        ] {
            for piece in [1, whole.len()] {
                let mut head = RequestHeadReader::default();
                for piece in whole.as_bytes().chunks(piece) {
                    head.take(piece).unwrap();
                }
                assert!(head.is_complete() && head.may_need_encoding() == expected, "{whole:.40} by {piece}");
            }
        }
    }
}
