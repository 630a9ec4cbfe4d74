//! The folder where batches wait, so that neither a restart nor an outage loses them.
//!
//! Several processes may have one folder. Each has files of its own, by its id at the beginning of their names, and a lock file that is locked
//! while it lives: so what a dead process left is told from what a living one is about to send. Files with other names are left alone,
//! and links are not followed.

mod adoption;
mod folder;
mod name;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use uuid::Uuid;

pub(crate) use folder::SpoolFault;
pub(super) use folder::make;
pub(crate) use folder::{check, check_default, default_folder};
use name::{FileName, Kind};

use super::batch::{Batch, MAX_BYTES};

/// How often another id is tried where the lock of a new one is taken, by a process that looks for dead ones.
const TRIES: usize = 5;

/// This process's part of the folder.
#[derive(Debug)]
pub(super) struct Spool {
    path: PathBuf,
    owner: Uuid,
    /// Locked until it is dropped.
    _lock: File,
}

/// A complete batch in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SealedFile {
    pub(super) id: Uuid,
    pub(super) from: i64,
    pub(super) requests: u64,
    pub(super) size: u64,
}

impl Spool {
    /// # Errors
    /// A folder that cannot be made or written.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        for _ in 0..TRIES {
            let owner = Uuid::new_v4();
            if let Some(lock) = lock(&path.join(FileName { owner, kind: Kind::Lock }.to_string()))? {
                return Ok(Self { path: path.to_owned(), owner, _lock: lock });
            }
        }
        Err(io::Error::other("every lock is taken"))
    }

    /// Writes the batch that is added to, in place of what was there of it.
    ///
    /// # Errors
    /// A full disk, or another failure to write.
    pub(super) fn write_open(&self, id: Uuid, bytes: &[u8]) -> io::Result<()> {
        self.write(Kind::Open(id), bytes, false)
    }

    /// Writes a batch that is complete, and syncs it.
    ///
    /// # Errors
    /// As [`Self::write_open`].
    pub(super) fn seal(&self, batch: SealedFile, bytes: &[u8]) -> io::Result<()> {
        self.write(Kind::Open(batch.id), bytes, true)?;
        // In two steps: a batch is never there twice.
        fs::rename(self.at(Kind::Open(batch.id)), self.at(batch.kind()))
    }

    fn write(&self, kind: Kind, bytes: &[u8], synced: bool) -> io::Result<()> {
        let temporary = self.at(Kind::Temporary);
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        if synced {
            file.sync_data()?;
        }
        fs::rename(temporary, self.at(kind))
    }

    /// The bytes of a batch.
    ///
    /// # Errors
    /// A file that cannot be read, or is not the batch that its name says.
    pub(super) fn read(&self, batch: SealedFile) -> io::Result<(Vec<u8>, Batch)> {
        read_batch(&self.at(batch.kind()), batch.id)
    }

    /// Removes a batch; that it is gone already is no failure.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub(super) fn remove(&self, batch: SealedFile) -> io::Result<()> {
        match fs::remove_file(self.at(batch.kind())) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    fn at(&self, kind: Kind) -> PathBuf {
        self.path.join(FileName { owner: self.owner, kind }.to_string())
    }
}

impl SealedFile {
    fn kind(self) -> Kind {
        Kind::Sealed { from: self.from, id: self.id, requests: self.requests }
    }
}

/// Locks a lock file, which is made where it is not there; `None` if a living process has it.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = flags.bits().cast_signed();
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("a lock that is not a regular file"));
    }
    claim(file, path)
}

fn claim(file: File, path: &Path) -> io::Result<Option<File>> {
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(None),
        Err(fs::TryLockError::Error(error)) => return Err(error),
    }
    // Whoever had it before may have removed it meanwhile: then the next one makes another, and this lock is nobody's.
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let is_there = fs::symlink_metadata(path)
        .is_ok_and(|there| file.metadata().is_ok_and(|locked| identity(locked) == identity(there)));
    Ok(is_there.then_some(file))
}

fn read_batch(path: &Path, id: Uuid) -> io::Result<(Vec<u8>, Batch)> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > MAX_BYTES as u64 {
        return Err(io::Error::new(ErrorKind::InvalidData, "not a file of a batch's size"));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    file.take(MAX_BYTES as u64).read_to_end(&mut bytes)?;
    let batch: Batch = serde_json::from_slice(&bytes)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "not a batch, or not all of one"))?;
    if batch.batch_id != id {
        return Err(io::Error::new(ErrorKind::InvalidData, "another batch than its name says"));
    }
    Ok((bytes, batch))
}

#[cfg(test)]
mod tests;
