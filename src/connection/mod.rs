//! A client's connection: a stream between the socket and actix-http, and the state that it shares with the requests.

mod close_delimited;
mod discard;
mod limiter;
mod read;
mod refusal;
mod request_reader;
mod rewrite;
mod state;
mod stream;
mod write;

use std::time::Duration;

use actix_web::http::uri::PathAndQuery;

pub(crate) use close_delimited::ResetOnClose;
pub(crate) use limiter::ConnectionLimiter;
pub(crate) use refusal::{NoRequest, RefusedInput};
pub(crate) use state::{ActiveRequest, Connection};
pub(crate) use stream::{ClientStream, ConnectionConfig};

use crate::http1::target;

/// How long the rest of an unread body is discarded, as in actix-http for one with a length; and how long a client may take to read
/// a refusal.
pub(crate) const LINGER: Duration = Duration::from_secs(5);

/// A target as a client wrote it, in the gateway's encoding. `None` for one that is refused.
///
/// # Errors
/// The target is too long.
pub(crate) fn read_target(raw: &[u8]) -> Result<Option<PathAndQuery>, NoRequest> {
    Ok(target::encode(raw)?)
}
