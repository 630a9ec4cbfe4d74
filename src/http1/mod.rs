//! HTTP/1.1 as bytes: the framing that both sides of the gateway read. It knows no connection, no client and no server.

mod chunks;
#[cfg(fuzzing)]
mod fuzzing;
mod http10;
mod length;
mod request;
mod response;
mod response_reader;
pub(crate) mod target;

pub(crate) use chunks::Chunks;
#[cfg(fuzzing)]
pub use fuzzing::{fuzz_chunked_body, fuzz_inbound_head};
pub(crate) use http10::with_length;
pub(crate) use length::content_length;
pub(crate) use request::{HeadTooLarge, RequestHeadReader};
pub(crate) use response::{BodyLength, HeadFault, ResponseHead};
pub(crate) use response_reader::{Piece, ResponseReader};
