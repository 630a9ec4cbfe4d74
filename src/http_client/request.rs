//! What is sent to a server: a head, written as it is put together, and a body.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_web::{
    error::PayloadError,
    http::{
        Method,
        header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING},
    },
    web::{Bytes, BytesMut},
};
use futures_core::Stream;
use futures_util::stream::Empty;

/// A request's head; its values cannot break it, for names, values and targets are of types that hold no line ends.
pub(crate) struct Request {
    head: BytesMut,
    pub(super) to_head: bool,
    /// Its connection was used by nobody before, and will be by nobody after.
    pub(super) alone: bool,
    /// Whoever sends it tries again if its connection ends before a response.
    pub(super) is_repeated: bool,
}

/// What is in the head is a secret: the credential that MLflow wants.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("to_head", &self.to_head).finish_non_exhaustive()
    }
}

/// A request's body, and how it is framed.
#[derive(Debug)]
pub(crate) enum Body<S> {
    None,
    Length(u64, S),
    Chunked(S),
}

impl Body<Empty<Result<Bytes, PayloadError>>> {
    pub(crate) const fn none() -> Self {
        Self::None
    }
}

/// The size of most heads.
const HEAD: usize = 1024;

impl Request {
    /// `prefix` is put before `target`; both are valid as they are.
    pub(crate) fn new(method: &Method, prefix: &str, target: &str, host: &HeaderValue) -> Self {
        let mut head = BytesMut::with_capacity(HEAD);
        for part in [method.as_str(), " ", prefix, target, " HTTP/1.1\r\n"] {
            head.extend_from_slice(part.as_bytes());
        }
        let mut request = Self { head, to_head: method == Method::HEAD, alone: false, is_repeated: false };
        request.field(&HOST, host.as_bytes());
        request
    }

    /// On a connection of its own.
    pub(crate) fn alone(mut self) -> Self {
        self.alone = true;
        self.field(&CONNECTION, b"close");
        self
    }

    /// May meet a connection that the server is about to close: its sender tries again then.
    pub(crate) fn repeated(mut self) -> Self {
        self.is_repeated = true;
        self
    }

    /// Adds a field. `value` is a [`HeaderValue`]'s, or text that could be one.
    pub(crate) fn field(&mut self, name: &HeaderName, value: &[u8]) {
        for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
            self.head.extend_from_slice(part);
        }
    }

    /// The whole head, framed for `body`.
    pub(crate) fn into_bytes<S>(mut self, body: &Body<S>) -> BytesMut {
        match body {
            Body::None => {}
            Body::Length(length, _) => self.field(&CONTENT_LENGTH, length.to_string().as_bytes()),
            Body::Chunked(_) => self.field(&TRANSFER_ENCODING, b"chunked"),
        }
        self.head.extend_from_slice(b"\r\n");
        self.head
    }
}

/// A body on its way out: what comes next, framed.
pub(super) struct Outgoing<S> {
    pieces: Option<S>,
    /// Bytes that are still to come; `None`: chunks.
    left: Option<u64>,
}

/// What is written next.
pub(super) enum Piece {
    /// These three behind each other.
    Data(Bytes, Bytes, &'static [u8]),
    End,
}

impl<S> From<Body<S>> for Outgoing<S> {
    fn from(body: Body<S>) -> Self {
        match body {
            Body::None => Self { pieces: None, left: Some(0) },
            // A body of no bytes is not asked for them: at a second try they would be somebody else's to send.
            Body::Length(length, pieces) => {
                Self { pieces: (length > 0).then_some(pieces), left: Some(length) }
            }
            Body::Chunked(pieces) => Self { pieces: Some(pieces), left: None },
        }
    }
}

impl<S: Stream<Item = Result<Bytes, PayloadError>> + Unpin> Outgoing<S> {
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, PayloadError>> {
        loop {
            let Some(pieces) = &mut self.pieces else { return Poll::Ready(Ok(Piece::End)) };
            let next = ready!(Pin::new(pieces).poll_next(cx)).transpose()?;
            let Some(piece) = next else {
                self.pieces = None;
                return Poll::Ready(match self.left {
                    None => Ok(Piece::Data(Bytes::new(), Bytes::new(), b"0\r\n\r\n")),
                    Some(0) => Ok(Piece::End),
                    Some(_) => Err(PayloadError::Incomplete(None)),
                });
            };
            if piece.is_empty() {
                continue;
            }
            return Poll::Ready(match &mut self.left {
                None => {
                    let size = Bytes::from(format!("{:x}\r\n", piece.len()));
                    Ok(Piece::Data(size, piece, b"\r\n"))
                }
                Some(left) => match left.checked_sub(piece.len() as u64) {
                    Some(rest) => {
                        *left = rest;
                        Ok(Piece::Data(Bytes::new(), piece, b""))
                    }
                    None => Err(PayloadError::Incomplete(None)),
                },
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::stream::{self, Iter};

    use super::*;

    type Pieces = Iter<std::vec::IntoIter<Result<Bytes, PayloadError>>>;

    /// What is written of a body in these pieces, and whether it came to its end.
    async fn written(body: fn(Pieces) -> Body<Pieces>, pieces: &[&'static str]) -> (String, bool) {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from(*piece))).collect();
        let (mut outgoing, mut written) = (Outgoing::from(body(stream::iter(pieces))), Vec::new());
        loop {
            match poll_fn(|cx| outgoing.poll_piece(cx)).await {
                Ok(Piece::Data(before, data, behind)) => written.extend([&before, &data, behind].concat()),
                Ok(Piece::End) => return (String::from_utf8(written).unwrap(), true),
                Err(_) => return (String::from_utf8(written).unwrap(), false),
            }
        }
    }

    #[actix_rt::test]
    async fn a_body_is_framed_as_its_head_says_or_is_none() {
        for (length, pieces, expected) in [
            (Some(5), &["he", "", "llo"][..], ("hello", true)),
            (Some(5), &["hell"], ("hell", false)),
            (Some(5), &["hell", "oo"], ("hell", false)),
            (Some(0), &[], ("", true)),
            (None, &["hello, chunks!", "", "x"], ("e\r\nhello, chunks!\r\n1\r\nx\r\n0\r\n\r\n", true)),
            (None, &[], ("0\r\n\r\n", true)),
        ] {
            let body = match length {
                Some(5) => |pieces| Body::Length(5, pieces),
                Some(_) => |pieces| Body::Length(0, pieces),
                None => Body::Chunked,
            };
            let (text, ended) = written(body, pieces).await;
            assert_eq!((text.as_str(), ended), expected, "{length:?} {pieces:?}");
        }
    }

    #[test]
    fn a_head_has_its_host_first_and_its_framing_last() {
        let host = HeaderValue::from_static("mlflow:5000");
        let mut request = Request::new(&Method::PUT, "/base", "/x?y", &host).alone();
        request.field(&HeaderName::from_static("a"), b"b");
        assert_eq!(
            request.into_bytes(&Body::Length(7, ())),
            "PUT /base/x?y HTTP/1.1\r\nhost: mlflow:5000\r\nconnection: close\r\na: b\r\ncontent-length: 7\r\n\r\n"
        );
    }
}
