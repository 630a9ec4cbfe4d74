//! Lines about the stream itself, among the records of requests: starts, stops, and what is missing.

use jiff::Timestamp;
use serde::Serialize;

use super::Record;

/// One line of the stream.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
pub(super) enum Entry<'a> {
    Request(&'a Record),
    Event(&'a Event),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    /// A process begins to write.
    Started { time: Timestamp, version: &'static str },
    /// The process stopped after it had written everything. If this line is missing before the next `started`, nobody knows.
    Stopped { time: Timestamp },
    /// Records that were lost, and how many of them were of changes.
    Lost { time: Timestamp, lost: u64, changes: u64, since: Timestamp, until: Timestamp },
    /// Refusals that have no record of their own: of one address or key, or of `sources` together where neither is
    /// named.
    More {
        time: Timestamp,
        more: u64,
        client_ip: Option<String>,
        key_id: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        sources: Option<usize>,
        since: Timestamp,
    },
    /// The line before this one was cut off: its length in bytes and its SHA-256.
    Torn { time: Timestamp, torn: usize, digest: String },
    /// The request of the `begun` record with this number was not forwarded.
    Withdrawn { time: Timestamp, begun: u64 },
}
