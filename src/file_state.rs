//! Whether a file has changed. Polling sees what a notification can miss: a renamed file, a mounted secret that is a link
//! to a link, a network file system.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

/// What tells one state of a file from the next: device, inode, length, and the time of change in nanoseconds.
pub(crate) type State = Option<(u64, u64, u64, i64, i64)>;

pub(crate) fn file_state(path: &Path) -> State {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.len(), file.ctime(), file.ctime_nsec()))
}
