//! A person's session in a browser: the API key, or what an issuer said of her, sealed in a cookie.
//!
//! There is no store of sessions: every instance with the secret reads every cookie, and its key is judged anew on every request
//! as any other. What only browsers do is judged here too: pages of other origins ([`cross_origin`]), and opening a page
//! ([`browser`]).

mod attempt;
pub(crate) mod browser;
mod cross_origin;
mod destination;
mod seal;
mod sealed;

pub(crate) use attempt::{Attempt, attempt_removal};
pub use cross_origin::CrossOrigin;
pub(crate) use cross_origin::{check, own_address};
pub(crate) use destination::Destination;
pub use sealed::Sessions;
pub(crate) use sealed::{Carried, NotSealed, is_ours, named, not_ours, removal};
