//! How a body arrives: its length, its bytes, and the payload that goes on to MLflow.

use std::time::{Duration, Instant};

use actix_web::{
    dev::{Payload, RequestHead},
    http::header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    web::Bytes,
};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::time::timeout;

use super::BodyError;
use crate::{connection::Connection, stall_budget::StallBudget};

/// A body of this length reaches MLflow only when all of it is there (awc 3.11, client/h1proto.rs, `send_body`). It is read before a
/// connection is taken, which MLflow could close while the client pauses.
pub(super) const HELD_BY_AWC: usize = 8 * 1024;

pub(super) fn whole(body: Bytes) -> Payload {
    Payload::Stream { payload: stream::iter([Ok(body)]).boxed_local() }
}

/// The announced length of a body.
pub(crate) fn announced(head: &RequestHead) -> Option<usize> {
    if head.headers.contains_key(TRANSFER_ENCODING) {
        return None;
    }
    head.headers.get(CONTENT_LENGTH).map_or(Some(0), |length| length.to_str().ok()?.trim().parse().ok())
}

/// A body that comes in one piece is not copied: it stays in the buffer that its connection has anyway.
///
/// # Errors
/// A body of more than `most` bytes, or one that does not come to its end.
pub(crate) async fn read(
    mut payload: Payload,
    most: usize,
    connection: Option<&Connection>,
    mut stall_budget: StallBudget,
) -> Result<Bytes, BodyError> {
    let tell = |uploaded| connection.into_iter().for_each(|connection| connection.uploaded(uploaded));
    let (mut only, mut pieces, mut length) = (Bytes::new(), Vec::new(), 0);
    let reading = async {
        loop {
            tell(Some(length as u64));
            // Without a clock and a timer for what is there already, as is the whole of most bodies.
            let (next, waited) = match payload.next().now_or_never() {
                Some(next) => (next, Duration::ZERO),
                None => {
                    let since = Instant::now();
                    let next = timeout(stall_budget.left(), payload.next()).await;
                    (next.map_err(|_| BodyError::Stalled)?, since.elapsed())
                }
            };
            let Some(chunk) = next.transpose().map_err(BodyError::Broken)? else { return Ok(()) };
            length += chunk.len();
            if length > most {
                return Err(BodyError::TooLarge(most));
            }
            stall_budget.credit(chunk.len(), waited);
            if chunk.len() == most {
                only = chunk;
            } else {
                pieces.reserve_exact(most - pieces.len());
                pieces.extend_from_slice(&chunk);
            }
        }
    };
    let outcome = reading.await;
    tell(None);
    outcome.map(|()| if only.is_empty() { pieces.into() } else { only })
}
