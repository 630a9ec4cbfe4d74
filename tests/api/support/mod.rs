//! What the tests share: a gateway in this process, raw servers that do as they are told, and a raw client.

pub mod client;
pub mod gateway;
pub mod redis;
pub mod server;

pub use client::{Response, ask};
pub use gateway::{Gateway, GatewayBuilder};
pub use server::Server;
