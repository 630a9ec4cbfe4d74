//! What MLflow said of things: where they belong, which never changes, and whose that is, which is asked again after a while.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use quick_cache::{Weighter, sync::Cache};

use super::{
    home::{Home, Item},
    thing::{Container, Thing},
};

/// Bytes of memory for homes and for things.
const ROOM_OF_HOMES: u64 = 32 * 1024 * 1024;
const ROOM_OF_THINGS: u64 = 16 * 1024 * 1024;
/// How many entries are expected; the room bounds them.
const ITEMS: usize = 100_000;
const THINGS: usize = 10_000;
/// Bytes of an entry beside its texts.
const FRAME: u64 = 160;
/// For so long a change of an owner by another instance, or past the gateway, may go unseen.
pub(super) const FRESH: Duration = Duration::from_secs(5);

/// A key of the caches: the same id in another workspace is another thing. `None`: the request names no workspace.
pub(super) type Of<T> = (Option<Arc<str>>, T);

#[derive(Debug)]
pub(super) struct Memory {
    homes: Cache<Of<Item>, RememberedHome, ByWeight>,
    things: Cache<Of<Container>, Remembered, ByWeight>,
    /// When a thing was changed last: an answer to an earlier question is not remembered.
    changed: Cache<Of<Container>, Instant>,
}

#[derive(Debug, Clone)]
struct RememberedHome {
    home: Arc<Home>,
    /// `None`: for ever.
    until: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Remembered {
    thing: Arc<Thing>,
    until: Instant,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self {
            homes: Cache::with_weighter(ITEMS, ROOM_OF_HOMES, ByWeight),
            things: Cache::with_weighter(THINGS, ROOM_OF_THINGS, ByWeight),
            changed: Cache::new(THINGS),
        }
    }

    pub(super) fn home(&self, item: &Of<Item>) -> Option<Arc<Home>> {
        let remembered = self.homes.get(item)?;
        remembered.until.is_none_or(|until| Instant::now() < until).then_some(remembered.home)
    }

    pub(super) fn remember_home(&self, item: Of<Item>, home: Arc<Home>, asked: Instant) {
        let until = item.1.moves().then(|| asked + FRESH);
        self.homes.insert(item, RememberedHome { home, until });
    }

    pub(super) fn thing(&self, container: &Of<Container>) -> Option<Arc<Thing>> {
        let remembered = self.things.get(container)?;
        (Instant::now() < remembered.until).then_some(remembered.thing)
    }

    /// Whether it was changed, or its change began or ended, after `asked`.
    pub(super) fn was_changed_since(&self, container: &Of<Container>, asked: Instant) -> bool {
        self.changed.get(container).is_some_and(|changed| changed >= asked)
    }

    /// Remembers the answer to a question that was asked at `asked`.
    pub(super) fn remember_thing(&self, container: Of<Container>, thing: Arc<Thing>, asked: Instant) {
        if !self.was_changed_since(&container, asked) {
            self.things.insert(container, Remembered { thing, until: asked + FRESH });
        }
    }

    /// Forgets a thing that is being changed, or was.
    pub(super) fn forget_thing(&self, container: &Of<Container>) {
        self.changed.insert(container.clone(), Instant::now());
        self.things.remove(container);
    }
}

/// Weighs entries by their texts.
#[derive(Debug, Clone)]
struct ByWeight;

fn workspace<T>((workspace, _): &Of<T>) -> u64 {
    workspace.as_deref().map_or(0, str::len) as u64
}

impl Weighter<Of<Item>, RememberedHome> for ByWeight {
    fn weight(&self, key: &Of<Item>, RememberedHome { home, .. }: &RememberedHome) -> u64 {
        FRAME + workspace(key) + key.1.id.len() as u64 + home.weight()
    }
}

impl Weighter<Of<Container>, Remembered> for ByWeight {
    fn weight(&self, key: &Of<Container>, Remembered { thing, .. }: &Remembered) -> u64 {
        let (Container::Experiment(id) | Container::Model(id)) = &key.1;
        let writers: usize = thing.writers.iter().map(|writer| 24 + writer.len()).sum();
        let texts = id.len() + thing.name.len() + thing.owner.as_deref().map_or(0, str::len) + writers;
        FRAME + workspace(key) + texts as u64
    }
}
