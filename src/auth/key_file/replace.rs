//! Replaces a file atomically, under a lock on its folder: a temporary file is written and renamed, so that a reader sees the old
//! text or the new one. A symbolic link stays, and its target is replaced. All steps use the opened folder, not its path, which
//! could lead elsewhere by then.

use std::{
    ffi::OsStr,
    fs::{File, Permissions, TryLockError},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{PermissionsExt as _, fchown},
    path::Path,
};

use rand::{RngExt as _, distr::Alphanumeric};
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, openat, renameat, unlinkat},
    io::Errno,
};

use crate::trusted_file::{FileError, FileLocation, kind};

/// A file whose folder is locked until this is dropped.
pub(super) struct LockedFile(FileLocation);

impl LockedFile {
    /// Waits for the lock on the folder.
    ///
    /// # Errors
    /// A link that must not be followed, or a folder that cannot be opened.
    pub(super) fn wait(path: &Path) -> Result<Self, FileError> {
        let place = FileLocation::find(path)?;
        place.folder.lock()?;
        Ok(Self(place))
    }

    /// `None` if the folder is locked.
    ///
    /// # Errors
    /// As [`LockedFile::wait`].
    pub(super) fn try_now(path: &Path) -> Result<Option<Self>, FileError> {
        let place = FileLocation::find(path)?;
        match place.folder.try_lock() {
            Ok(()) => Ok(Some(Self(place))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// The text of the file; `None` if there is none.
    ///
    /// # Errors
    /// A file that cannot be read, or that others may write.
    pub(super) fn read(&self) -> Result<Option<String>, FileError> {
        self.0.read()
    }

    /// Replaces the text; synced to disk before the rename. A new file gets `mode`; an existing one keeps its owner and mode, so
    /// that other users can still read it.
    ///
    /// # Errors
    /// A folder that cannot be written, a file that is not regular or is a mount point, or an owner that cannot be set.
    pub(super) fn replace(&self, text: &str, mode: u32) -> io::Result<()> {
        let old = self.0.look()?;
        if old.is_some_and(|old| kind(&old) != FileType::RegularFile) {
            return Err(io::Error::other("is not a regular file"));
        }
        let mut temp = TempFile::new(&self.0.folder)?;
        temp.file.write_all(text.as_bytes())?;
        if let Some(old) = old {
            fchown(&temp.file, Some(old.st_uid), Some(old.st_gid))?;
        }
        let mode = old.map_or(mode, |old| old.st_mode & 0o777);
        temp.file.set_permissions(Permissions::from_mode(mode))?;
        temp.file.sync_all()?;
        temp.rename(&self.0.name)?;
        self.0.folder.sync_all()
    }
}

/// A temporary file; removed unless it is renamed.
struct TempFile<'a> {
    folder: &'a File,
    name: String,
    file: File,
    is_renamed: bool,
}

impl<'a> TempFile<'a> {
    fn new(folder: &'a File) -> io::Result<Self> {
        let random = rand::rng().sample_iter(Alphanumeric).take(16).map(char::from);
        let name: String = ".keys".chars().chain(random).collect();
        let new = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(folder, &name, new, Mode::RUSR | Mode::WUSR)?.into();
        Ok(Self { folder, name, file, is_renamed: false })
    }

    fn rename(mut self, name: &OsStr) -> io::Result<()> {
        renameat(self.folder, &self.name, self.folder, name).map_err(|error| match error {
            Errno::BUSY => io::Error::new(
                ErrorKind::ResourceBusy,
                "is a mount point and cannot be replaced: mount its folder instead",
            ),
            other => other.into(),
        })?;
        self.is_renamed = true;
        Ok(())
    }
}

impl Drop for TempFile<'_> {
    fn drop(&mut self) {
        if !self.is_renamed {
            let _ = unlinkat(self.folder, &self.name, AtFlags::empty());
        }
    }
}
