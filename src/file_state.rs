//! Tells whether a file has changed. It is polled, because notifications miss renamed files, mounted secrets (links to links) and
//! network file systems.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

/// Device, inode, length, and time of change in seconds and nanoseconds; `None` if there is no file.
pub(crate) type State = Option<(u64, u64, u64, i64, i64)>;

pub(crate) fn file_state(path: &Path) -> State {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.len(), file.ctime(), file.ctime_nsec()))
}
