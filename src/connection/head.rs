//! Where a request's head ends, found as it comes, and how large it may be.

use memchr::memchr;

use super::set_aside::{MAX_PATH, is_odd};

/// Bytes of a target: MLflow's client asks for runs by their ids, 41 bytes each, and its server takes 128 KiB where they come at once
/// (h11 has a limit only for what comes in pieces).
pub(crate) const MAX_TARGET: usize = 128 * 1024;
/// Bytes of a request line, its end included: a target and what is around it.
pub(crate) const MAX_REQUEST_LINE: usize = if cfg!(fuzzing) { 200 } else { MAX_TARGET + 64 };
/// Bytes of all fields, their line ends included. (The fuzzer has to reach both.)
pub(crate) const MAX_FIELDS: usize = if cfg!(fuzzing) { 300 } else { 32 * 1024 };
/// The empty line behind them.
const EMPTY_LINE: usize = 2;

/// How far a head has been read. It is not judged here: only its end is looked for, where actix-http finds it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct HeadReader {
    part: Part,
    request_line: usize,
    fields: usize,
    has_fragment: bool,
    is_odd: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Part {
    #[default]
    RequestLine,
    /// The fields; whether a line has just begun.
    Fields {
        at_line_start: bool,
    },
    Complete,
}

/// What a head has too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Excess {
    RequestLine,
    Fields,
}

impl HeadReader {
    pub(crate) fn is_complete(self) -> bool {
        self.part == Part::Complete
    }

    /// Whether its target has a raw `#`.
    pub(crate) fn has_fragment(self) -> bool {
        self.has_fragment
    }

    /// Whether its target may be one that actix-http cannot read.
    pub(crate) fn is_odd(self) -> bool {
        self.is_odd || self.request_line > MAX_PATH
    }

    /// Reads on, up to the end of the head. How many of these bytes are the head's.
    ///
    /// # Errors
    /// More than a head may have, as soon as it has come.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<usize, Excess> {
        let mut at = 0;
        while at < bytes.len() && !self.is_complete() {
            let rest = &bytes[at..];
            let taken = match self.part {
                Part::RequestLine => {
                    let found = rest.iter().position(|byte| matches!(byte, b'#' | b'\n') || is_odd(*byte));
                    match found.map(|found| rest[found]) {
                        // actix-http drops a fragment without a word (RFC 9112 §3.2: a target has none).
                        Some(b'#') => self.has_fragment = true,
                        Some(b'\n') => self.part = Part::Fields { at_line_start: true },
                        Some(_) => self.is_odd = true,
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
                return Err(Excess::RequestLine);
            }
            if self.fields > MAX_FIELDS + EMPTY_LINE {
                return Err(Excess::Fields);
            }
            at += taken;
        }
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How a head ends that comes in pieces of this size.
    fn end(whole: &str, piece: usize) -> Result<Option<usize>, Excess> {
        let (mut head, mut count) = (HeadReader::default(), 0);
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
    fn a_head_ends_at_its_empty_line_and_may_have_so_much() {
        let (line, fields) = (MAX_REQUEST_LINE, MAX_FIELDS);
        for (whole, expected) in [
            ("GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), Ok(())),
            ("GET / HTTP/1.1\nhost: a\n\n".to_owned(), Ok(())),
            (head(100, 100), Ok(())),
            (head(line, fields), Ok(())),
            (head(line + 1, 100), Err(Excess::RequestLine)),
            (head(100, fields + 1), Err(Excess::Fields)),
            (format!("GET / HTTP/1.1\r\n{}", "\r".repeat(fields + 3)), Err(Excess::Fields)),
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
    fn what_comes_without_an_end_is_too_much_as_soon_as_it_is() {
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
            let mut head = HeadReader::default();
            head.take(whole.as_bytes()).unwrap();
            assert_eq!(head.has_fragment(), expected, "{whole}");
        }
    }

    #[test]
    fn a_target_that_actix_http_cannot_read_is_known() {
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
                let mut head = HeadReader::default();
                for piece in whole.as_bytes().chunks(piece) {
                    head.take(piece).unwrap();
                }
                assert!(head.is_complete() && head.is_odd() == expected, "{whole:.40} by {piece}");
            }
        }
    }
}
