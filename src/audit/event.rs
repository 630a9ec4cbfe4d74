//! What the stream tells of itself, among the records of requests: when it was written, and what is not in it.

use jiff::Timestamp;
use serde::Serialize;

use super::Record;

/// One line of the stream.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Entry<'a> {
    Request(&'a Record),
    Event(&'a Event),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    /// A process began to write.
    Started { time: Timestamp, version: &'static str },
    /// It stopped in order: everything that it had is written. Without this line before the next `started` nobody knows.
    Stopped { time: Timestamp },
    /// So many records could not be kept, so many of them of changes.
    Lost { time: Timestamp, lost: u64, changes: u64, since: Timestamp, until: Timestamp },
    /// So many more refusals of this address or this key, which have no record of their own; of so many `sources` together
    /// where neither is named.
    More {
        time: Timestamp,
        more: u64,
        client_ip: Option<String>,
        key_id: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        sources: Option<usize>,
        since: Timestamp,
    },
    /// The line before this one broke off: so many bytes, with this SHA-256.
    Torn { time: Timestamp, torn: usize, digest: String },
    /// The request whose `begun` record has this number was not forwarded after all.
    Withdrawn { time: Timestamp, begun: u64 },
}
