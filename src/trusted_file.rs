//! Reads the files that the gateway trusts: other users of the machine may not write them, nor read its secrets.
//!
//! Other users are those of the mode's last digit. The group may do what the mode says: it was chosen by somebody (an orchestrator's
//! `fsGroup`, a user's own group under umask 002).

use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{self, Path, PathBuf},
};

use crate::code::Code;
use rustix::{
    fs::{OFlags, StatVfsMountFlags, statvfs},
    process::geteuid,
};

mod location;

pub(crate) use location::{FileLocation, kind};

const OTHERS_READ: u32 = 0o004;
const OTHERS_WRITE: u32 = 0o002;
/// In a folder with this bit, a user cannot remove or replace another user's file.
const STICKY: u32 = 0o1000;

/// Why a file is refused.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is world-writable (mode {0:04o})")]
    Writable(u32),
    #[error("can be replaced by any user: the folder {} is world-writable", .0.display())]
    Replaceable(PathBuf),
    #[error("may be another user's: {path}, in a world-writable folder, is owned by user {owner}", path = .path.display())]
    Foreign { path: PathBuf, owner: u32 },
    #[error("is not followed: the link {path} is owned by user {owner}, and its target is not", path = .path.display())]
    Link { path: PathBuf, owner: u32 },
    #[error("is not a regular file")]
    Irregular,
    #[error("is world-readable (mode {0:04o})")]
    Readable(u32),
}

impl FileError {
    /// The code of the message for operators.
    pub fn code(&self) -> Code {
        match self {
            Self::Io(_) | Self::Irregular => Code::UnreadableFile,
            Self::Writable(_) | Self::Replaceable(_) | Self::Foreign { .. } | Self::Link { .. } => {
                Code::UntrustedFile
            }
            Self::Readable(_) => Code::ExposedSecret,
        }
    }

    /// What to do, unless the error itself says it.
    pub fn fix(&self, path: &Path) -> Option<String> {
        let path = path.display();
        match self {
            Self::Io(_) => None,
            Self::Irregular => Some("a regular file, not a pipe or a device".to_owned()),
            Self::Link { path, .. } => Some(format!(
                "the file's own path, or a link owned by you or root in place of {}",
                path.display()
            )),
            Self::Writable(_) => Some(format!("chmod o-w {path}")),
            Self::Replaceable(folder) => Some(format!("chmod o-w {}", folder.display())),
            Self::Foreign { path, .. } => {
                Some(format!("a file owned by you or root in place of {}", path.display()))
            }
            Self::Readable(_) => {
                Some(format!("chmod o-rwx {path}; defaultMode: 0440 for a Secret of Kubernetes"))
            }
        }
    }
}

/// Reads a text that decides what the gateway does.
///
/// # Errors
/// A file that cannot be read, is not UTF-8, or that other users may write or replace.
pub(crate) fn read_text(path: &Path) -> Result<String, FileError> {
    let (file, metadata) = open(path)?;
    let text = io::read_to_string(file)?;
    if text.is_empty() && metadata.file_type().is_fifo() {
        // At a reload an empty text would be the defaults.
        return Err(io::Error::other("is an empty pipe: a pipe can be read once only").into());
    }
    Ok(text)
}

/// Reads a text that is reloaded or changed. It must be a regular file: a pipe would block the reader.
///
/// # Errors
/// As [`read_text`]; and a file that is not regular.
pub(crate) fn read_file(path: &Path) -> Result<String, FileError> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = fs::OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    check_regular(&file, path)?;
    Ok(io::read_to_string(file)?)
}

/// Reads bytes instead of a text.
///
/// # Errors
/// As [`read_text`].
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, FileError> {
    read_to_end(open(path)?.0)
}

/// Reads a private key.
///
/// # Errors
/// As [`read_text`]; and a file that other users may read.
pub(crate) fn read_private_key(path: &Path) -> Result<Vec<u8>, FileError> {
    let (file, metadata) = open(path)?;
    exposed(&metadata).map_or_else(|| read_to_end(file), Err)
}

/// A secret in a file. That other users may read it is not an error, because orchestrators mount secrets so by default.
#[derive(Debug)]
pub(crate) struct Secret {
    pub(crate) text: String,
    pub(crate) exposed: Option<FileError>,
}

/// # Errors
/// As [`read_text`].
pub(crate) fn read_secret(path: &Path) -> Result<Secret, FileError> {
    let (file, metadata) = open(path)?;
    Ok(Secret { text: io::read_to_string(file)?, exposed: exposed(&metadata) })
}

/// Checks that no other user can put files into a folder, nor another in its place.
///
/// # Errors
/// A folder that other users may write or replace.
pub(crate) fn check_folder(path: &Path) -> Result<(), FileError> {
    check_trusted(&fs::metadata(path)?, path)
}

fn read_to_end(mut file: File) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn exposed(metadata: &Metadata) -> Option<FileError> {
    let is_read = metadata.is_file() && mode(metadata) & OTHERS_READ != 0;
    is_read.then(|| FileError::Readable(mode(metadata)))
}

/// Returns the metadata of the opened file: the path may lead elsewhere a moment later.
fn open(path: &Path) -> Result<(File, Metadata), FileError> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    // The mode of a pipe says nothing.
    if metadata.is_file() {
        check_trusted(&metadata, path)?;
    }
    Ok((file, metadata))
}

fn check_regular(file: &File, path: &Path) -> Result<(), FileError> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(FileError::Irregular);
    }
    check_trusted(&metadata, path)
}

fn check_trusted(metadata: &Metadata, path: &Path) -> Result<(), FileError> {
    if mode(metadata) & OTHERS_WRITE != 0 {
        return Err(FileError::Writable(mode(metadata)));
    }
    // The path as it was given, and the target of its links.
    check_not_replaceable(&path::absolute(path)?)?;
    check_not_replaceable(&fs::canonicalize(path)?)
}

/// Checks that no other user can replace this file, nor a folder that it is in.
fn check_not_replaceable(path: &Path) -> Result<(), FileError> {
    for path in path.ancestors() {
        let Some(folder) = path.parent() else { break };
        let mode = mode(&fs::metadata(folder)?);
        if mode & OTHERS_WRITE == 0 || is_read_only(folder) {
            continue;
        }
        if mode & STICKY == 0 {
            return Err(FileError::Replaceable(folder.to_owned()));
        }
        let owner = fs::symlink_metadata(path)?.uid();
        if ![0, geteuid().as_raw()].contains(&owner) {
            return Err(FileError::Foreign { path: path.to_owned(), owner });
        }
    }
    Ok(())
}

/// Kubernetes mounts secrets and config maps read-only, in folders of mode 0777.
fn is_read_only(folder: &Path) -> bool {
    statvfs(folder).is_ok_and(|file_system| file_system.f_flag.contains(StatVfsMountFlags::RDONLY))
}

fn mode(metadata: &Metadata) -> u32 {
    metadata.permissions().mode() & 0o7777
}
