//! A batch of sums: what the auth service gets, and what lies in the spool, byte for byte.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::table::{Entry, Sums};

/// The most bytes of a batch: nginx takes 1 MiB by default.
pub(super) const MAX_BYTES: usize = 768 * 1024;
/// The most bytes of a key id that are told, so that a batch is never larger; others are cut. An auth service's has 1 KiB at most.
const MAX_KEY_ID: usize = 4096;
/// The longest that an entry can be beside its texts, and a batch beside its entries and its service id.
const ENTRY_FRAME: usize = 280;
const BATCH_FRAME: usize = 256;

/// As docs/KEYS.md has it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Batch {
    pub(super) batch_id: Uuid,
    pub(super) service_id: String,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) entries: Vec<BatchEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BatchEntry {
    pub(super) key_id: String,
    pub(super) endpoint: String,
    pub(super) status_code: u16,
    pub(super) count: u64,
    pub(super) response_time_ms_sum: u64,
    pub(super) response_time_ms_max: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

impl Batch {
    /// One without entries, by which it is found out whether the service takes any.
    pub(super) fn empty(service_id: &str) -> Self {
        let (batch_id, now) = (Uuid::new_v4(), Timestamp::now());
        Self { batch_id, service_id: service_id.to_owned(), from: now, to: now, entries: Vec::new() }
    }

    pub(super) fn requests(&self) -> u64 {
        self.entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.count))
    }

    /// # Errors
    /// None: it has only texts and numbers.
    pub(super) fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }
}

/// The batch that is added to.
#[derive(Debug)]
pub(super) struct OpenBatch {
    pub(super) id: Uuid,
    pub(super) from: Timestamp,
    pub(super) requests: u64,
    service_id: String,
    sums: HashMap<Name, Sums>,
    /// At least the bytes that it will have.
    size: usize,
    /// Whether something was added since it was last written.
    pub(super) is_changed: bool,
}

/// An [`Entry`] by its texts: two workers, and two rows, may have the same.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Name {
    key_id: Box<str>,
    endpoint: Arc<str>,
    status: u16,
}

impl OpenBatch {
    pub(super) fn new(service_id: &str) -> Self {
        Self {
            id: Uuid::new_v4(),
            from: Timestamp::now(),
            requests: 0,
            service_id: service_id.to_owned(),
            sums: HashMap::new(),
            size: BATCH_FRAME + 6 * service_id.len(),
            is_changed: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.requests == 0
    }

    /// Whether it is too large for any further entry.
    pub(super) fn is_full(&self) -> bool {
        self.size + ENTRY_FRAME + 6 * (MAX_KEY_ID + 1024) > MAX_BYTES
    }

    pub(super) fn add(&mut self, Entry { mut key_id, endpoint, status }: Entry, sums: &Sums) {
        if key_id.len() > MAX_KEY_ID {
            key_id = key_id[..key_id.floor_char_boundary(MAX_KEY_ID)].into();
        }
        self.is_changed = true;
        self.requests = self.requests.saturating_add(sums.count);
        let length = ENTRY_FRAME + escaped(&key_id) + escaped(&endpoint);
        let name = Name { key_id, endpoint, status };
        let known = self.sums.entry(name).or_insert_with(|| {
            self.size += length;
            Sums::default()
        });
        known.add(sums);
    }

    /// As it is now.
    pub(super) fn to_batch(&self) -> Batch {
        let entries = self.sums.iter().map(|(Name { key_id, endpoint, status }, sums)| BatchEntry {
            key_id: key_id.to_string(),
            endpoint: endpoint.to_string(),
            status_code: *status,
            count: sums.count,
            response_time_ms_sum: milliseconds(sums.took),
            response_time_ms_max: milliseconds(sums.longest),
            bytes_in: sums.bytes_in,
            bytes_out: sums.bytes_out,
        });
        Batch {
            batch_id: self.id,
            service_id: self.service_id.clone(),
            from: self.from,
            to: Timestamp::now(),
            entries: entries.collect(),
        }
    }
}

fn milliseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The most bytes that a text has in JSON.
fn escaped(text: &str) -> usize {
    let longer = text.bytes().filter(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\')).count();
    text.len() + 5 * longer
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_batch_is_never_larger_than_it_says() {
        let endpoint: Arc<str> = "/api/2.0/mlflow/runs/get".into();
        let sums = Sums {
            count: u64::MAX >> 32,
            took: Duration::from_millis(u64::MAX),
            longest: Duration::from_millis(u64::MAX),
            bytes_in: u64::MAX,
            bytes_out: u64::MAX,
        };
        let bad = "\u{1}\"\\é".repeat(2000);
        for key in ["k", "\u{0}\u{1}", &*bad] {
            let mut batch = OpenBatch::new("platform");
            let mut number = 0;
            while !batch.is_full() {
                let key_id = format!("{number}{key}").into();
                batch.add(Entry { key_id, endpoint: Arc::clone(&endpoint), status: 599 }, &sums);
                number += 1;
            }
            let bytes = batch.to_batch().to_bytes().unwrap();
            assert!(bytes.len() <= MAX_BYTES && bytes.len() > MAX_BYTES / 3, "{key:.4}: {}", bytes.len());
            let read: Batch = serde_json::from_slice(&bytes).unwrap();
            assert_eq!((read.requests(), read.entries.len()), (batch.requests, number));
        }
    }

    #[test]
    fn entries_of_the_same_texts_are_one() {
        let mut batch = OpenBatch::new("platform");
        for _ in 0..2 {
            let entry = Entry { key_id: "k".into(), endpoint: Arc::from("/a"), status: 200 };
            batch.add(entry, &Sums { count: 2, ..Sums::default() });
        }
        let batch = batch.to_batch();
        assert_eq!((batch.entries.len(), batch.requests()), (1, 4));
    }
}
