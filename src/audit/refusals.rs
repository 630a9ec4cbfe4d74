//! Limits the records of refusals, for each source and for all of them, in a minute. The others are counted, and the counts
//! are written: a flood leaves a few lines, and crowds out no other source.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use parking_lot::Mutex;

use super::event::Event;
use crate::client_ip;

/// Refusals are counted over this time.
const WINDOW: Duration = Duration::from_secs(60);
/// Records of one source in a window.
const EACH: u32 = 20;
/// Records of all strangers in a window, of 2 KiB each at most; and of all keys, of 12 KiB.
const OF_STRANGERS: u32 = 600;
const OF_KEYS: u32 = 300;
/// Sources that are counted apart in a window; further ones are counted together.
const SOURCES: usize = 1024;
/// Sums that are written at the end of a window: of the busiest sources, and one of the rest.
const SUMS: usize = 32;

/// The sender of a refused request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum RefusalSource {
    /// An unknown sender, by address; in IPv6 by its /64.
    Stranger(Option<IpAddr>),
    /// A known key, also one that has ended: by its id, or by its user where it has none.
    Key(String),
}

impl RefusalSource {
    /// `key` if it is known.
    pub(crate) fn of(key: Option<String>, client_ip: Option<IpAddr>) -> Self {
        key.map_or_else(|| Self::Stranger(client_ip.map(client_ip::customer_network)), Self::Key)
    }
}

/// The refusals since the last sums were written.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<Option<Window>>);

#[derive(Debug)]
struct Window {
    opened: Instant,
    since: Timestamp,
    strangers: SourceCounts,
    keys: SourceCounts,
}

#[derive(Debug)]
struct SourceCounts {
    /// Records that are still allowed.
    left: u32,
    sources: HashMap<RefusalSource, Tally>,
    /// Refusals of sources beyond [`SOURCES`].
    others: u64,
}

#[derive(Debug, Default)]
struct Tally {
    kept: u32,
    more: u64,
}

impl SourceCounts {
    fn new(records: u32) -> Self {
        Self { left: records, sources: HashMap::new(), others: 0 }
    }

    fn admit(&mut self, source: &RefusalSource) -> bool {
        if self.sources.len() == SOURCES && !self.sources.contains_key(source) {
            self.others += 1;
            return false;
        }
        let tally = self.sources.entry(source.clone()).or_default();
        let admitted = tally.kept < EACH && self.left > 0;
        if admitted {
            tally.kept += 1;
            self.left -= 1;
        } else {
            tally.more += 1;
        }
        admitted
    }

    /// The refusals that were only counted; the busiest source first.
    fn sums(self, since: Timestamp) -> Vec<Event> {
        let time = Timestamp::now();
        let mut counted: Vec<_> = self.sources.into_iter().filter(|(_, tally)| tally.more > 0).collect();
        counted.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.more));
        let rest = counted.split_off(counted.len().min(SUMS));
        let more = rest.iter().map(|(_, tally)| tally.more).sum::<u64>() + self.others;
        let mut sums: Vec<_> = counted
            .into_iter()
            .map(|(source, Tally { more, .. })| {
                let (client_ip, key_id) = match source {
                    RefusalSource::Stranger(ip) => (ip.map(|ip| ip.to_string()), None),
                    RefusalSource::Key(id) => (None, Some(id)),
                };
                Event::More { time, more, client_ip, key_id, sources: None, since }
            })
            .collect();
        if more > 0 {
            // The number of sources beyond the limit is not known.
            let sources = (self.others == 0).then_some(rest.len());
            sums.push(Event::More { time, more, client_ip: None, key_id: None, sources, since });
        }
        sums
    }
}

impl Refusals {
    /// Whether this refusal gets a record; if not, it is counted.
    pub(super) fn admit(&self, source: &RefusalSource, now: Instant) -> bool {
        let mut window = self.0.lock();
        let window = window.get_or_insert_with(|| Window {
            opened: now,
            since: Timestamp::now(),
            strangers: SourceCounts::new(OF_STRANGERS),
            keys: SourceCounts::new(OF_KEYS),
        });
        match source {
            RefusalSource::Stranger(_) => window.strangers.admit(source),
            RefusalSource::Key(_) => window.keys.admit(source),
        }
    }

    /// When the sums are due, if there was a refusal.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.lock().as_ref().map(|window| window.opened + WINDOW)
    }

    /// The sums of a window that is over by `now`.
    pub(super) fn sums(&self, now: Instant) -> Vec<Event> {
        let window = self.0.lock().take_if(|window| window.opened + WINDOW <= now);
        window.map(Window::sums).unwrap_or_default()
    }

    /// The sums of a window that is not over yet.
    pub(super) fn last_sums(&self) -> Vec<Event> {
        let window = self.0.lock().take();
        window.map(Window::sums).unwrap_or_default()
    }
}

impl Window {
    fn sums(self) -> Vec<Event> {
        [self.strangers.sums(self.since), self.keys.sums(self.since)].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stranger(number: u32) -> RefusalSource {
        RefusalSource::of(None, Some(IpAddr::from(number.to_be_bytes())))
    }

    fn total(sums: &[Event]) -> u64 {
        sums.iter().map(|sum| if let Event::More { more, .. } = sum { *more } else { 0 }).sum()
    }

    #[test]
    fn a_source_has_so_many_records_in_a_window_and_is_summed_after_that() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        assert_eq!(refusals.due(), None);
        let kept = (0..100).filter(|_| refusals.admit(&stranger(1), now)).count();
        assert_eq!(kept, EACH as usize);
        assert!(refusals.admit(&stranger(2), now), "another one has its own");
        assert!(refusals.admit(&RefusalSource::Key("k-1".to_owned()), now));
        assert_eq!(refusals.due(), Some(now + WINDOW));
        assert!(refusals.sums(now + WINDOW / 2).is_empty());
        let sums = refusals.sums(now + WINDOW);
        let [Event::More { more: 80, client_ip: Some(ip), sources: None, .. }] = &sums[..] else {
            panic!("{sums:?}")
        };
        assert_eq!(ip, "0.0.0.1");
        assert!(refusals.admit(&stranger(1), now + WINDOW), "the next window");
    }

    #[test]
    fn many_sources_are_bounded_in_records_in_memory_and_in_sums_and_every_refusal_is_counted() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let kept = (0..10_000).filter(|number| refusals.admit(&stranger(*number), now)).count();
        assert_eq!(kept, OF_STRANGERS as usize);
        assert_eq!(refusals.0.lock().as_ref().unwrap().strangers.sources.len(), SOURCES);
        let sums = refusals.last_sums();
        assert_eq!(sums.len(), SUMS + 1);
        assert_eq!(total(&sums) + u64::from(OF_STRANGERS), 10_000);
    }

    #[test]
    fn strangers_take_no_record_from_keys_nor_one_key_from_another() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        for number in 0..10_000 {
            refusals.admit(&stranger(number), now);
            refusals.admit(&RefusalSource::Key("loud".to_owned()), now);
        }
        assert!(refusals.admit(&RefusalSource::Key("quiet".to_owned()), now));
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_source() {
        let of = |text: &str| RefusalSource::of(None, Some(text.parse().unwrap()));
        assert_eq!(of("2001:db8::1"), of("2001:db8::2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    }
}
