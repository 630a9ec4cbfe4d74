//! The words that log lines, metrics, audit records and error bodies share.
//!
//! Code passes the enums; [`word`](Reason::word) makes text of them only where it is written. No status is known here:
//! `error` chooses it.

/// An enum whose variants are written as one stable word each.
macro_rules! words {
    (
        $(#[$about:meta])*
        pub enum $name:ident { $($(#[$note:meta])* $variant:ident = $word:literal,)+ }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$note])* $variant,)+ }

        impl $name {
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|known| known.word() == word)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.word())
            }
        }
    };
}

pub(crate) use words;

mod keys;
mod limits;
mod outcomes;
mod reason;
mod requests;

pub use keys::{CacheResult, CacheTier, KeyState, VerdictSource};
pub use limits::LimitLabel;
pub use outcomes::{DeliveryOutcome, LookupResult, RequestOutcome, UpstreamOutcome, ValidationOutcome};
pub use reason::{EndReason, Reason};
pub use requests::{MethodLabel, RouteClass, RouteLabel};
