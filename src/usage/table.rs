//! What one worker counts, until the collector takes it.

use std::{
    hash::{Hash, Hasher},
    mem,
    sync::Arc,
    time::Duration,
};

use hashbrown::{Equivalent, HashMap};
use parking_lot::Mutex;

/// The most entries of a table, and the most bytes of their key ids; what finds no place is dropped, and counted.
const MAX_ENTRIES: usize = 8192;
const MAX_TEXT: usize = 1024 * 1024;

/// One use of a key.
#[derive(Debug)]
pub(crate) struct Use<'a> {
    pub(crate) key_id: &'a str,
    /// The pattern of its route, the route table's own.
    pub(crate) endpoint: &'a Arc<str>,
    pub(crate) status: u16,
    pub(crate) took: Duration,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

/// What is summed under.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key_id: Box<str>,
    pub(super) endpoint: Arc<str>,
    pub(super) status: u16,
}

/// Of the uses under one [`Entry`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    pub(super) count: u64,
    pub(super) took: Duration,
    pub(super) longest: Duration,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

impl Sums {
    fn of(used: &Use<'_>) -> Self {
        Self {
            count: 1,
            took: used.took,
            longest: used.took,
            bytes_in: used.bytes_in,
            bytes_out: used.bytes_out,
        }
    }

    pub(super) fn add(&mut self, more: &Self) {
        self.count += more.count;
        self.took = self.took.saturating_add(more.took);
        self.longest = self.longest.max(more.longest);
        self.bytes_in = self.bytes_in.saturating_add(more.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(more.bytes_out);
    }
}

/// A pattern is known by its address: there is one of each row, as long as the process lives.
impl Hash for Use<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.key_id, self.endpoint, self.status, state);
    }
}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(&self.key_id, &self.endpoint, self.status, state);
    }
}

fn hash(key_id: &str, endpoint: &Arc<str>, status: u16, state: &mut impl Hasher) {
    key_id.hash(state);
    Arc::as_ptr(endpoint).cast::<u8>().addr().hash(state);
    status.hash(state);
}

impl Equivalent<Entry> for Use<'_> {
    fn equivalent(&self, entry: &Entry) -> bool {
        self.status == entry.status
            && Arc::ptr_eq(self.endpoint, &entry.endpoint)
            && *self.key_id == *entry.key_id
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.status == other.status
            && Arc::ptr_eq(&self.endpoint, &other.endpoint)
            && self.key_id == other.key_id
    }
}

impl Eq for Entry {}

/// The sums of one worker. Its lock is free but for the moment of [`Table::take`].
#[derive(Debug, Default)]
pub(super) struct Table(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    sums: HashMap<Entry, Sums>,
    /// Bytes of key ids.
    text: usize,
    /// Uses for which there was no place.
    dropped: u64,
}

/// What a use has done to its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counting {
    Done,
    /// The table is half full: it should be taken soon.
    HalfFull,
}

/// What a table had. Handed back to [`Table::take`], so that its memory is used again.
#[derive(Debug, Default)]
pub(super) struct Taken {
    sums: HashMap<Entry, Sums>,
    pub(super) dropped: u64,
}

impl Taken {
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (Entry, Sums)> {
        self.dropped = 0;
        self.sums.drain()
    }
}

impl Table {
    /// Makes nothing new for what is known.
    pub(super) fn add(&self, used: &Use<'_>) -> Counting {
        let mut counted = self.0.lock();
        if let Some(sums) = counted.sums.get_mut(used) {
            sums.add(&Sums::of(used));
            return Counting::Done;
        }
        counted.add_new(used)
    }

    /// What was counted since; `spare` is counted into from now on.
    pub(super) fn take(&self, mut spare: Taken) -> Taken {
        spare.sums.clear();
        let mut counted = self.0.lock();
        counted.text = 0;
        let sums = mem::replace(&mut counted.sums, spare.sums);
        Taken { sums, dropped: mem::take(&mut counted.dropped) }
    }
}

impl Counted {
    #[cold]
    fn add_new(&mut self, used: &Use<'_>) -> Counting {
        let text = self.text + used.key_id.len();
        if self.sums.len() >= MAX_ENTRIES || text > MAX_TEXT {
            self.dropped += 1;
            return Counting::HalfFull;
        }
        let was_half_full = self.is_half_full();
        self.text = text;
        let endpoint = Arc::clone(used.endpoint);
        let entry = Entry { key_id: used.key_id.into(), endpoint, status: used.status };
        self.sums.insert(entry, Sums::of(used));
        if self.is_half_full() && !was_half_full { Counting::HalfFull } else { Counting::Done }
    }

    fn is_half_full(&self) -> bool {
        self.sums.len() >= MAX_ENTRIES / 2 || self.text >= MAX_TEXT / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used<'a>(key_id: &'a str, endpoint: &'a Arc<str>, milliseconds: u64) -> Use<'a> {
        let took = Duration::from_millis(milliseconds);
        Use { key_id, endpoint, status: 200, took, bytes_in: 1, bytes_out: 10 }
    }

    #[test]
    fn uses_are_summed_by_key_route_and_status_and_taken_once() {
        let (table, one, other) = (Table::default(), Arc::from("/one"), Arc::from("/other"));
        for (key_id, endpoint, took) in [("a", &one, 3), ("b", &one, 1), ("a", &other, 1), ("a", &one, 2)] {
            table.add(&used(key_id, endpoint, took));
        }
        table.add(&Use { status: 404, ..used("a", &one, 1) });
        let mut taken = table.take(Taken::default());
        let mut all: Vec<_> = taken
            .drain()
            .map(|(entry, sums)| {
                let Sums { count, took, longest, bytes_in, bytes_out } = sums;
                let times = (took.as_millis(), longest.as_millis());
                (
                    entry.key_id.to_string(),
                    entry.endpoint.to_string(),
                    entry.status,
                    count,
                    times,
                    bytes_in,
                    bytes_out,
                )
            })
            .collect();
        all.sort();
        let entry = |key: &str, endpoint: &str, status, count, times| {
            (key.to_owned(), endpoint.to_owned(), status, count, times, count, 10 * count)
        };
        assert_eq!(
            all,
            [
                entry("a", "/one", 200, 2, (5, 3)),
                entry("a", "/one", 404, 1, (1, 1)),
                entry("a", "/other", 200, 1, (1, 1)),
                entry("b", "/one", 200, 1, (1, 1)),
            ]
        );
        assert_eq!(table.take(taken).drain().count(), 0);
    }

    #[test]
    fn a_full_table_says_so_early_and_counts_what_it_drops() {
        let (table, endpoint) = (Table::default(), Arc::from("/"));
        let mut alarms = Vec::new();
        for number in 0..MAX_ENTRIES + 3 {
            let key_id = number.to_string();
            if table.add(&used(&key_id, &endpoint, 1)) == Counting::HalfFull {
                alarms.push(number);
            }
        }
        // What is known is still counted.
        assert_eq!(table.add(&used("0", &endpoint, 1)), Counting::Done);
        assert_eq!(alarms, [MAX_ENTRIES / 2 - 1, MAX_ENTRIES, MAX_ENTRIES + 1, MAX_ENTRIES + 2]);
        let mut taken = table.take(Taken::default());
        assert_eq!(taken.dropped, 3);
        assert_eq!(taken.drain().map(|(_, sums)| sums.count).sum::<u64>(), MAX_ENTRIES as u64 + 1);
        table.add(&used("9999", &endpoint, 1));
        assert_eq!(table.take(taken).drain().count(), 1);
    }

    #[test]
    fn long_key_ids_fill_a_table_too() {
        let (table, endpoint) = (Table::default(), Arc::from("/"));
        let long = "k".repeat(MAX_TEXT / 4);
        for number in 0..6 {
            table.add(&used(&format!("{number}{long}"), &endpoint, 1));
        }
        let mut taken = table.take(Taken::default());
        assert_eq!((taken.dropped, taken.drain().count()), (3, 3));
    }
}
