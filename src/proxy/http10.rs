//! Responses without a length for HTTP/1.0 clients, which know no chunks (RFC 9112 §6.3, §7).
//!
//! A small body is buffered and gets a length. A larger one ends with its connection, which is reset if the body breaks off.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder, body::BodyStream, http::Version, web::Bytes,
};
use futures_core::Stream;
use tokio::time::timeout;

use super::{
    ProxyError,
    error::Late,
    response_body::{BodyFault, ResponseBody, ResponseFraming},
};
use crate::connection::Connection;

/// The largest body that is buffered, in bytes.
const MAX_BUFFERED: usize = 64 * 1024;
/// How long to buffer a body that can also be streamed.
const WAIT: Duration = Duration::from_secs(1);

/// Whether the client cannot read a response with this framing.
pub(super) fn lacks_length(framing: ResponseFraming, request: &HttpRequest) -> bool {
    framing == ResponseFraming::Chunked && request.version() < Version::HTTP_11
}

/// Puts the body behind its head.
///
/// # Errors
/// A body that breaks off before anything of it was sent, or whose end the client could not tell from a truncation.
pub(super) async fn attach(
    mut head: HttpResponseBuilder,
    body: ResponseBody,
    connection: Option<&Rc<Connection>>,
) -> Result<HttpResponse, ProxyError> {
    let mut pieces = Buffered { first: VecDeque::new(), rest: body, connection: None };
    // Over TLS a body can only be sent with a length: there is no reset that the client would see.
    let is_whole = match connection.filter(|connection| !connection.is_secure()) {
        Some(_) => timeout(WAIT, pieces.fill()).await.unwrap_or(Ok(false))?,
        None => pieces.fill().await?,
    };
    if is_whole {
        return Ok(head.body(Bytes::from(Vec::from(pieces.first).concat())));
    }
    let connection = connection.filter(|connection| connection.end_with_body());
    pieces.connection = Some(Rc::clone(connection.ok_or(ProxyError::NeedsHttp11)?));
    let mut response = head.finish();
    response.head_mut().no_chunking(true);
    Ok(response.set_body(BodyStream::new(pieces)).map_into_boxed_body())
}

/// A body whose first pieces are buffered.
struct Buffered {
    first: VecDeque<Bytes>,
    rest: ResponseBody,
    /// The connection that ends with it.
    connection: Option<Rc<Connection>>,
}

impl Buffered {
    /// Buffers the body; whether that was all of it. Dropping this future loses nothing.
    async fn fill(&mut self) -> Result<bool, ProxyError> {
        let mut length = 0;
        while length <= MAX_BUFFERED {
            match poll_fn(|cx| Pin::new(&mut self.rest).poll_next(cx)).await {
                Some(Ok(piece)) => {
                    length += piece.len();
                    self.first.push_back(piece);
                }
                Some(Err(BodyFault::Broken(fault))) => return Err(ProxyError::Transport(fault)),
                Some(Err(BodyFault::Silent(_))) => {
                    return Err(ProxyError::UpstreamTimeout(Late::ContinueBody));
                }
                None => return Ok(true),
            }
        }
        Ok(false)
    }
}

impl Stream for Buffered {
    type Item = Result<Bytes, BodyFault>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(piece) = self.first.pop_front() {
            return Poll::Ready(Some(Ok(piece)));
        }
        let next = ready!(Pin::new(&mut self.rest).poll_next(cx));
        if let (None, Some(connection)) = (&next, &self.connection) {
            connection.body_is_over();
        }
        Poll::Ready(next)
    }
}
