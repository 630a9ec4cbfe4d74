//! Recent verdicts of the auth service: in this process ([`memory`]), and for all instances in Redis ([`redis_cache`]).
//!
//! The identity is cached. What it may do, and whether it has expired, is decided on every request.

mod memory;
mod redis_cache;
mod revocations;

pub(super) use memory::{CachedVerdict, MemoryCache};
#[cfg(fuzzing)]
pub use redis_cache::fuzz;
pub(super) use redis_cache::{RedisCache, RedisVerdict};
pub(super) use revocations::Revocations;
