//! Whose a thing is: whether the owner of a key may change what the request names.
//!
//! Two rules, both about changes only. A fence is a property of the key: patterns of the names that it may change. An owner is a
//! property of the thing, kept where the thing is: the tag `hokusai.owner` of MLflow's experiments and registered models. What is
//! in an experiment or a model belongs to its owner. MLflow's database is the only truth: the gateway asks it ([`lookups`]),
//! remembers the answer for a while ([`memory`]), and forwards no change while there is none.

mod asking;
mod changes;
mod clearance;
mod fleet;
mod foremost;
mod home;
mod inquiry;
mod judge;
mod lesson;
mod location;
mod lookups;
mod memory;
mod pick;
mod reserved;
mod spans;
mod stamp;
mod target;
mod thing;
mod verdict;
mod wording;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

pub(crate) use clearance::Clearance;
pub(crate) use foremost::put_foremost;
pub use judge::OwnershipError;
pub(crate) use judge::{Claim, Ownership, Reported};
pub(crate) use lesson::Lesson;
pub(crate) use lookups::AskMlflow;
pub use lookups::Unanswered;
pub(crate) use reserved::Reserved;
pub(crate) use spans::Spans;
pub(crate) use stamp::stamp;
pub(crate) use target::Target;
pub use thing::ThingKind;
pub(crate) use thing::{OWNER_TAG, Thing, WRITERS_TAG, writers};
pub use verdict::{NotOwner, OutsideFence, Refusal};

/// What is not percent-encoded in an id.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

fn encoded(id: &str) -> PercentEncode<'_> {
    utf8_percent_encode(id, PLAIN)
}
