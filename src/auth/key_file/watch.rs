//! The actor that takes a changed key file over, and collects which keys were used.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};

use super::{KeyFile, Keys};
use crate::{code::Code, file_state::file_state, settings::Policy, telemetry::Metrics};

/// Often enough that a revoked key ends within a second.
const INTERVAL: Duration = Duration::from_millis(250);
/// Ticks between two collections of uses.
const COLLECTION: usize = 4;

/// Never returns.
pub async fn run(keys: Arc<KeyFile>, policy: Policy, metrics: Metrics) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut taken_over = keys.opened;
    let mut refused = None;
    metrics.key_file_read(true);
    tracing::info!(path = %keys.path.display(), count = keys.in_force(), "key file in force");
    for tick in 1_usize.. {
        ticks.tick().await;
        if tick.is_multiple_of(COLLECTION) {
            keys.record_uses();
        }
        let now = file_state(&keys.path);
        if now == taken_over && refused.is_none() {
            continue;
        }
        let read = keys.reload();
        metrics.key_file_read(read.is_ok());
        match read {
            Ok(count) => {
                taken_over = now;
                refused = None;
                tracing::info!(code = Code::KeyFileNotReloaded.text(), path = %keys.path.display(), count, "key file taken over");
                for scope in keys.unknown_scopes(&policy) {
                    let (path, write) = (keys.path.display(), scope.fix());
                    let code = Code::UnknownScope.text();
                    tracing::warn!(code = code, %path, found = %scope, write, "a key has a scope that allows nothing");
                }
            }
            // Tried again at every tick, for the fault may be the machine's; told once for each state of the file.
            Err(error) if refused != Some(now) => {
                refused = Some(now);
                tracing::error!(code = Code::KeyFileNotReloaded.text(), %error, fix = error.fix(), "key file not taken over: the keys in force stay");
            }
            Err(_) => {}
        }
    }
}

impl KeyFile {
    /// That the keys in force are not those of the file as it stands, if they are not; for everybody to read.
    pub(crate) fn not_reloaded(&self) -> Option<String> {
        let since = || Timestamp::from_second(self.read_at.load(Ordering::Relaxed)).unwrap_or_default();
        let is_refused = self.is_refused.load(Ordering::Relaxed);
        is_refused.then(|| format!("key file: reload failed; the keys of {} stay in force", since()))
    }
    /// Has it written down which keys were used since the last time, now and then. Waits for nothing.
    fn record_uses(&self) {
        let Some(recorder) = &self.recorder else { return };
        let keys = self.keys.load();
        self.collect_uses(&keys);
        recorder.begin(|| keys.ids());
    }

    /// The same at the end; returns when it has been tried.
    pub(crate) async fn record_last_uses(&self) {
        let Some(recorder) = &self.recorder else { return };
        let keys = self.keys.load_full();
        self.collect_uses(&keys);
        recorder.finish(|| keys.ids()).await;
    }

    pub(super) fn collect_uses(&self, keys: &Keys) {
        let Some(recorder) = &self.recorder else { return };
        let now = Timestamp::now();
        for key in keys.by_digest.values().filter(|key| key.used.load(Ordering::Relaxed)) {
            key.used.store(false, Ordering::Relaxed);
            key.principal.key_id.iter().for_each(|id| recorder.note(id, now));
        }
    }
}

impl Keys {
    fn ids(&self) -> HashSet<String> {
        self.by_digest.values().filter_map(|key| key.principal.key_id.clone()).collect()
    }
}
