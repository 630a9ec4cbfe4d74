//! The beginning of a response's body, where not all of it matters.

use actix_web::web::{Bytes, BytesMut};
use awc::ClientResponse;
use futures_util::StreamExt as _;

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
    let mut read = BytesMut::new();
    while let Some(piece) = response.next().await {
        let Ok(piece) = piece else { return (read.freeze(), End::BrokeOff) };
        read.extend_from_slice(&piece);
        if read.len() > limit {
            return (read.freeze(), End::Longer);
        }
    }
    (read.freeze(), End::Whole)
}
