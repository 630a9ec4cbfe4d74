//! The beginning of a response's body, where not all of it matters.

use actix_web::web::{Bytes, BytesMut};
use awc::ClientResponse;
use futures_util::StreamExt as _;

use crate::http1::content_length;

/// How a body goes on behind what was read of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It was read whole, and may be empty.
    Whole,
    /// There is more, which nobody reads.
    Longer,
    /// The connection ended before it, or its framing makes no sense.
    BrokeOff,
}

/// Its first `limit` bytes, or a few more, and how it goes on. The connection of a longer one is closed.
pub(crate) async fn beginning(mut response: ClientResponse, limit: usize) -> (Bytes, End) {
    let (mut read, mut left) = (BytesMut::new(), content_length(response.headers()));
    // awc is not asked for more than was announced: at the end of a body its pool would keep the guard, whose connection is idle
    // already, and each request would look for another one there.
    while left != Some(0)
        && let Some(piece) = response.next().await
    {
        let Ok(piece) = piece else { return (read.freeze(), End::BrokeOff) };
        read.extend_from_slice(&piece);
        left = left.map(|left| left.saturating_sub(piece.len() as u64));
        if read.len() > limit {
            return (read.freeze(), End::Longer);
        }
    }
    (read.freeze(), End::Whole)
}
