//! The actor that takes a changed key file over.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

use super::KeyFile;

/// Often enough that a revoked key ends within a second. Polling sees what a notification can miss: a renamed
/// file, a mounted secret that is a link to a link, a network file system.
const INTERVAL: Duration = Duration::from_millis(250);

/// What tells one state of a file from the next: device, inode, length, and the time of change in nanoseconds.
pub(super) type State = Option<(u64, u64, u64, i64, i64)>;

/// Never returns.
pub async fn run(keys: Arc<KeyFile>) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut taken_over = keys.opened;
    let mut refused = None;
    loop {
        ticks.tick().await;
        let now = state(&keys.path);
        if now == taken_over {
            continue;
        }
        match keys.reload() {
            Ok(count) => {
                taken_over = now;
                tracing::info!(path = %keys.path.display(), count, "key file taken over");
            }
            // Tried again at every tick, for the fault may be the machine's; told once for each state of the file.
            Err(error) if refused != Some(now) => {
                refused = Some(now);
                tracing::error!(%error, "key file not taken over: the keys in force stay");
            }
            Err(_) => {}
        }
    }
}

pub(super) fn state(path: &Path) -> State {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.len(), file.ctime(), file.ctime_nsec()))
}
