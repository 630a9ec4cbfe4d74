//! A file that is changed as a whole: written aside and renamed, so that a reader sees the old one or the new one, under a
//! lock on its folder. A symbolic link stays, and the file that it leads to is changed.

use std::{
    fs::{self, File, Permissions, TryLockError},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
};

use crate::trusted_file::{self, FileError};

/// A file that nobody else changes meanwhile: its folder's lock is let go when this is dropped.
pub(super) struct Locked {
    /// Behind all links.
    pub(super) path: PathBuf,
    folder: PathBuf,
    handle: File,
}

impl Locked {
    /// Waits until nobody else changes a file of this folder.
    ///
    /// # Errors
    /// A link that is not to be followed, or a folder that cannot be opened.
    pub(super) fn wait(path: &Path) -> Result<Self, FileError> {
        let locked = Self::open(path)?;
        locked.handle.lock()?;
        Ok(locked)
    }

    /// `None` while somebody else does.
    ///
    /// # Errors
    /// As [`Locked::wait`].
    pub(super) fn now(path: &Path) -> Result<Option<Self>, FileError> {
        let locked = Self::open(path)?;
        match locked.handle.try_lock() {
            Ok(()) => Ok(Some(locked)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    fn open(path: &Path) -> Result<Self, FileError> {
        let path = trusted_file::target(path)?;
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        let handle = File::open(&folder)?;
        Ok(Self { path, folder, handle })
    }

    /// What the file says; `None` if there is none.
    ///
    /// # Errors
    /// A file that cannot be read, or that others may write.
    pub(super) fn read(&self) -> Result<Option<String>, FileError> {
        match trusted_file::read_text(&self.path) {
            Ok(text) => Ok(Some(text)),
            Err(FileError::Io(error)) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts a text in its place, on disk before it is seen. A new file has `mode`; one that is there keeps its owner and its
    /// mode, or a process that runs as somebody else could not read it.
    ///
    /// # Errors
    /// A folder that cannot be written, a file that is mounted by itself, or one that cannot be given to its owner.
    pub(super) fn replace(&self, text: &str, mode: u32) -> io::Result<()> {
        let mut aside = tempfile::Builder::new().prefix(".keys").tempfile_in(&self.folder)?;
        aside.write_all(text.as_bytes())?;
        let permissions = match fs::metadata(&self.path) {
            Ok(old) => {
                fchown(aside.as_file(), Some(old.uid()), Some(old.gid()))?;
                old.permissions()
            }
            Err(_) => Permissions::from_mode(mode),
        };
        aside.as_file().set_permissions(permissions)?;
        aside.as_file().sync_all()?;
        aside.persist(&self.path).map_err(|error| match error.error.kind() {
            ErrorKind::ResourceBusy => io::Error::new(
                ErrorKind::ResourceBusy,
                "is mounted by itself, and cannot be replaced as a whole: mount its folder",
            ),
            _ => error.error,
        })?;
        self.handle.sync_all()
    }
}
