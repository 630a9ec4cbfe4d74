//! Follows the bytes of one response as they come: its head, its body, and its end.

use actix_web::web::BytesMut;

use super::{BodyLength, Chunks, HeadFault, ResponseHead};

/// How far a response has been read.
#[derive(Debug)]
pub(crate) struct ResponseReader(Part);

#[derive(Debug)]
enum Part {
    /// The head, of which these bytes have come.
    Head(BytesMut),
    Body(Body),
    /// `had_body`: whoever reads on has not seen the end of it.
    Over {
        had_body: bool,
    },
}

#[derive(Debug)]
enum Body {
    Bytes(u64),
    Chunks(Chunks),
    UntilClose,
}

/// What some bytes were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// How many of them belong to the response.
    pub(crate) count: usize,
    /// The head, if it became whole with them; and whether nothing of its body has come, which has one.
    pub(crate) head: Option<(ResponseHead, bool)>,
}

impl Default for ResponseReader {
    fn default() -> Self {
        Self(Part::Head(BytesMut::new()))
    }
}

impl ResponseReader {
    /// Reads on. `to_head`: the response answers a HEAD request.
    ///
    /// # Errors
    /// A head that cannot be used.
    pub(crate) fn take(&mut self, bytes: &[u8], to_head: bool) -> Result<Piece, HeadFault> {
        let mut taken = Piece { count: 0, head: None };
        if let Part::Head(seen) = &mut self.0 {
            let before = seen.len();
            // A head nearly always comes in one piece, and is then read where it lies.
            let head = if before == 0 {
                ResponseHead::read(bytes, to_head)?
            } else {
                seen.extend_from_slice(bytes);
                ResponseHead::read(seen, to_head)?
            };
            let Some(head) = head else {
                if before == 0 {
                    seen.extend_from_slice(bytes);
                }
                return Ok(Piece { count: bytes.len(), head: None });
            };
            taken.count = head.length - before;
            taken.head = Some((head, taken.count == bytes.len() && head.body != BodyLength::None));
            self.0 = Part::Body(head.body.into());
        }
        if let Part::Body(body) = &mut self.0 {
            match body.end_in(&bytes[taken.count..]) {
                Some(count) => {
                    taken.count += count;
                    self.end();
                }
                None => taken.count = bytes.len(),
            }
        }
        Ok(taken)
    }

    /// The connection was closed. Whether that is the end of the response, or comes behind one without a body.
    pub(crate) fn close(&mut self) -> bool {
        if matches!(self.0, Part::Body(Body::UntilClose)) {
            self.end();
        }
        matches!(self.0, Part::Over { had_body: false })
    }

    pub(crate) fn has_begun(&self) -> bool {
        !matches!(&self.0, Part::Head(seen) if seen.is_empty())
    }

    pub(crate) fn is_in_body(&self) -> bool {
        matches!(self.0, Part::Body(_))
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.0, Part::Over { .. })
    }

    fn end(&mut self) {
        let had_body = !matches!(self.0, Part::Body(Body::Bytes(0) | Body::UntilClose));
        self.0 = Part::Over { had_body };
    }
}

impl Body {
    /// How many of these bytes are the body's, if its end is among them.
    fn end_in(&mut self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Bytes(left) => match left.checked_sub(bytes.len() as u64) {
                Some(rest @ 1..) => {
                    *left = rest;
                    None
                }
                _ => usize::try_from(*left).ok(),
            },
            Self::Chunks(chunks) => chunks.end_in(bytes),
            Self::UntilClose => None,
        }
    }
}

impl From<BodyLength> for Body {
    fn from(length: BodyLength) -> Self {
        match length {
            BodyLength::None => Self::Bytes(0),
            BodyLength::Bytes(length) => Self::Bytes(length),
            BodyLength::Chunked => Self::Chunks(Chunks::default()),
            BodyLength::UntilClose => Self::UntilClose,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_ends_at_its_end_however_it_is_cut() {
        for (response, to_head) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", false),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", true),
            ("HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", false),
        ] {
            for behind in ["", "HTTP/1.1 200 OK\r\n"] {
                let whole = format!("{response}{behind}");
                for size in [1, 7, whole.len()] {
                    let (mut reader, mut count) = (ResponseReader::default(), 0);
                    for piece in whole.as_bytes().chunks(size) {
                        count += reader.take(piece, to_head).unwrap().count;
                    }
                    assert!(reader.is_over() && count == response.len(), "{whole:?} by {size}: {count}");
                }
            }
        }
    }

    #[test]
    fn the_end_of_a_connection_ends_only_what_has_no_other_end() {
        for (response, ends) in [
            ("", false),
            ("HTTP/1.1 200 OK\r\n", false),
            ("HTTP/1.0 200 OK\r\n\r\n", true),
            ("HTTP/1.0 200 OK\r\n\r\nhi", true),
            ("HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", true),
            ("HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nhi", false),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n", false),
            // awc wants more than there is: it has read another end.
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", false),
        ] {
            let mut reader = ResponseReader::default();
            reader.take(response.as_bytes(), false).unwrap();
            assert_eq!(reader.close(), ends, "{response:?}");
        }
    }

    #[test]
    fn a_head_that_came_without_its_body_is_told_from_one_that_has_none() {
        for (head, to_head, is_alone) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", false, true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nh", false, false),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", false, true),
            ("HTTP/1.0 200 OK\r\n\r\n", false, true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", true, false),
            ("HTTP/1.1 204 No Content\r\n\r\n", false, false),
        ] {
            let taken = ResponseReader::default().take(head.as_bytes(), to_head).unwrap();
            assert_eq!(taken.head.unwrap().1, is_alone, "{head:?}");
        }
    }
}
