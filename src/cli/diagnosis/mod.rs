//! How `check --probe` and `doctor` look at servers: one check after the other, each with what was found, and if it
//! fails, its likely cause and what to do.

pub(super) mod artifact_store;
mod certificate;
pub(super) mod clock;
mod handshake;
mod http;
mod journal;
mod network;
pub(super) mod nginx_page;
mod quotation;
mod scrub;

pub(super) use crate::fault::Fault;
pub(super) use http::{Answer, Site, excerpt, start_of};
pub(super) use journal::{Journal, progress};
pub(super) use network::{Party, Place, speaks_tls};
pub(super) use scrub::Scrubber;

/// What a check comes to: a value for the next one and words for a person, or a fault.
pub(super) type Finding<T = ()> = Result<(T, String), Fault>;
