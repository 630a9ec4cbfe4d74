//! HTTP/1.1 as bytes: what both sides of the gateway read alike. It knows no connection, no client and no server.

mod chunks;

pub(crate) use chunks::Chunks;
