//! The actor that reloads a changed key file, and collects the uses of keys.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};

use super::{KeyFile, Keys};
use crate::{code::Code, file_state::file_state, settings::Policy, telemetry::Metrics};

/// Often enough that a revoked key is refused within a second.
const INTERVAL: Duration = Duration::from_millis(250);
/// Ticks between two collections of uses.
const COLLECTION: usize = 4;

/// Never returns.
pub async fn run(keys: Arc<KeyFile>, policy: Policy, metrics: Metrics) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut loaded = keys.opened;
    let mut failed = None;
    metrics.key_file_reloaded(true);
    let path = keys.path.display();
    if keys.is_empty() {
        tracing::info!(%path, "the key file has no keys: only tokens of auth.issuers are credentials");
    } else {
        tracing::info!(%path, count = keys.in_force(), "key file loaded");
    }
    for tick in 1_usize.. {
        ticks.tick().await;
        if tick.is_multiple_of(COLLECTION) {
            keys.record_uses();
        }
        let now = file_state(&keys.path);
        if now == loaded && failed.is_none() {
            continue;
        }
        let read = keys.reload();
        metrics.key_file_reloaded(read.is_ok());
        match read {
            Ok(count) => {
                loaded = now;
                let ended = failed.take().map(|_| Code::KeyFileNotReloaded.text());
                tracing::info!(code = ended, path = %keys.path.display(), count, "key file reloaded");
                for scope in keys.unknown_scopes(&policy) {
                    let (path, write) = (keys.path.display(), scope.fix());
                    let code = Code::UnknownScope.text();
                    tracing::warn!(code = code, %path, found = %scope, write, "a key has a scope that allows nothing");
                }
            }
            // Tried again at every tick: the fault may be in the machine. Logged once for each state of the file.
            Err(error) if failed != Some(now) => {
                failed = Some(now);
                tracing::error!(code = Code::KeyFileNotReloaded.text(), %error, fix = error.fix(), "key file reload failed; keeping the previous keys");
            }
            Err(_) => {}
        }
    }
}

impl KeyFile {
    /// A warning for `/ready`, if the last reload failed.
    pub(crate) fn reload_failure(&self) -> Option<String> {
        let failed = self.reload_failed.load(Ordering::Relaxed);
        failed
            .then(|| format!("key file: reload failed; keeping the keys of {:.0}", self.keys.load().read_at))
    }

    /// Collects the uses of keys and starts to write them, if it is time. Does not wait.
    fn record_uses(&self) {
        let Some(recorder) = &self.recorder else { return };
        let keys = self.keys.load();
        self.collect_uses(&keys);
        recorder.begin(|| keys.ids());
    }

    /// The same at shutdown; waits until the write has been tried.
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
