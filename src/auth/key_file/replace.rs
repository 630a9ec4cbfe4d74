//! A file that is changed as a whole: written aside and renamed, so that a reader sees the old one or the new one, under a
//! lock on its folder. A symbolic link stays, and the file that it leads to is changed. All is done in the folder that was
//! opened, and not by the folder's name, which may be another's by then.

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

use crate::trusted_file::{FileError, Place, kind};

/// A file that nobody else changes meanwhile: its folder's lock is let go when this is dropped.
pub(super) struct Locked(Place);

impl Locked {
    /// Waits until nobody else changes a file of this folder.
    ///
    /// # Errors
    /// A link that is not to be followed, or a folder that cannot be opened.
    pub(super) fn wait(path: &Path) -> Result<Self, FileError> {
        let place = Place::find(path)?;
        place.folder.lock()?;
        Ok(Self(place))
    }

    /// `None` while somebody else does.
    ///
    /// # Errors
    /// As [`Locked::wait`].
    pub(super) fn now(path: &Path) -> Result<Option<Self>, FileError> {
        let place = Place::find(path)?;
        match place.folder.try_lock() {
            Ok(()) => Ok(Some(Self(place))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// What the file says; `None` if there is none.
    ///
    /// # Errors
    /// A file that cannot be read, or that others may write.
    pub(super) fn read(&self) -> Result<Option<String>, FileError> {
        self.0.read()
    }

    /// Puts a text in its place, on disk before it is seen. A new file has `mode`; one that is there keeps its owner and its
    /// mode, or a process that runs as somebody else could not read it.
    ///
    /// # Errors
    /// A folder that cannot be written, what is no regular file, a file that is mounted by itself, or one that cannot be given
    /// to its owner.
    pub(super) fn replace(&self, text: &str, mode: u32) -> io::Result<()> {
        let old = self.0.look()?;
        if old.is_some_and(|old| kind(&old) != FileType::RegularFile) {
            return Err(io::Error::other("is no regular file"));
        }
        let mut aside = Aside::new(&self.0.folder)?;
        aside.file.write_all(text.as_bytes())?;
        if let Some(old) = old {
            fchown(&aside.file, Some(old.st_uid), Some(old.st_gid))?;
        }
        let mode = old.map_or(mode, |old| old.st_mode & 0o777);
        aside.file.set_permissions(Permissions::from_mode(mode))?;
        aside.file.sync_all()?;
        aside.rename(&self.0.name)?;
        self.0.folder.sync_all()
    }
}

/// A file that is removed unless it is given its name.
struct Aside<'a> {
    folder: &'a File,
    name: String,
    file: File,
    is_named: bool,
}

impl<'a> Aside<'a> {
    fn new(folder: &'a File) -> io::Result<Self> {
        let random = rand::rng().sample_iter(Alphanumeric).take(16).map(char::from);
        let name: String = ".keys".chars().chain(random).collect();
        let new = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(folder, &name, new, Mode::RUSR | Mode::WUSR)?.into();
        Ok(Self { folder, name, file, is_named: false })
    }

    fn rename(mut self, name: &OsStr) -> io::Result<()> {
        renameat(self.folder, &self.name, self.folder, name).map_err(|error| match error {
            Errno::BUSY => io::Error::new(
                ErrorKind::ResourceBusy,
                "is mounted by itself, and cannot be replaced as a whole: mount its folder",
            ),
            other => other.into(),
        })?;
        self.is_named = true;
        Ok(())
    }
}

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        if !self.is_named {
            let _ = unlinkat(self.folder, &self.name, AtFlags::empty());
        }
    }
}
