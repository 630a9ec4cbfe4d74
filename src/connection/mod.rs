//! A client's connection: a stream between the socket and actix-http, and the state that it shares with the requests.
//!
//! Most of it works around actix-http. `tests/api/actix_http.rs` drives actix-http without this stream: a test there fails when an
//! update makes the workaround unnecessary. `#` numbers are issues of actix/actix-web; files are those of actix-http 3.20.
//!
//! | actix-http | issue or source | workaround | `actix_http_still_…` |
//! |---|---|---|---|
//! | has a timeout for the first head only | #928; h1/dispatcher.rs, `poll_request` | stream.rs, `poll_head_timeout` | `has_no_timeout_for_a_head_after_the_first` |
//! | has no timeout for a client that reads nothing | h1/dispatcher.rs, `poll_flush` | write.rs, `poll_stall` | `has_no_timeout_for_a_client_that_reads_nothing` |
//! | reads pipelined heads ahead, and frames a response by the last one | h1/codec.rs, `Flags::HEAD` | request_reader.rs, `next_part` | `frames_a_response_by_the_head_that_it_read_last` |
//! | serves requests after a response that closes | h1/dispatcher.rs, `poll_response` | state.rs, `begin` | `serves_requests_after_a_response_that_closes` |
//! | buffers 128 KiB of an incomplete head | h1/decoder.rs, `MAX_BUFFER_SIZE` | read.rs, limiter.rs | `buffers_an_incomplete_head_of_more_than_64_kib` |
//! | keeps the buffer of a large head until the connection closes | h1/dispatcher.rs, `read_available` | limiter.rs, `reserve_large_head` | none: the buffer is private |
//! | buffers 128 KiB of a body that is not read | h1/dispatcher.rs, `read_available` | request_reader.rs, discard.rs | `buffers_128_kib_of_a_body_that_is_not_read` |
//! | accepts any amount of chunk framing | h1/chunked.rs | request_reader.rs, `read_body` | `accepts_any_amount_of_chunk_framing` |
//! | drops a raw `#` and what follows it from a target | hyperium/http#127 | state.rs, `had_fragment` | `drops_a_fragment_silently` |
//! | refuses targets that MLflow accepts | #3102, hyperium/http#335 | rewrite.rs, http1/target.rs | `refuses_targets_that_mlflow_accepts` |
//! | (http 0.2) misreads a path over 64 KiB | hyperium/http#855 | http1/target.rs, `MAX_PATH` | `http_still_reads_another_path_than_the_one_it_was_given` |
//! | refuses an HTTP/1.0 POST without a length | #3503; h1/decoder.rs | rewrite.rs, http1/http10.rs | `refuses_an_http_1_0_post_without_a_length` |
//! | sends chunks to a client of HTTP/1.0 | h1/encoder.rs | close_delimited.rs, proxy/http10.rs | `sends_chunks_to_a_client_of_http_1_0` |
//! | ends a failed body like a complete one | #1620 | close_delimited.rs | `ends_a_failed_body_like_a_complete_one` |
//! | answers what it cannot parse with a status only | h1/dispatcher.rs, `poll_request` | refusal.rs, write.rs | `answers_what_it_cannot_parse_with_a_status_only` |

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
