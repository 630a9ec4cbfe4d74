//! What the auth service said a short while ago: remembered in this process ([`memory`]), and for all instances in
//! Redis ([`shared`]).
//!
//! Remembered is the identity. What it may do, and whether it has expired, is decided on every request.

mod memory;
mod peppers;
mod revocations;
mod shared;

pub(super) use memory::{Remembered, VerdictCache};
#[cfg(fuzzing)]
pub use shared::fuzz;
pub(super) use shared::{Shared, SharedVerdict};
