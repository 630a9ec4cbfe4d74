//! The files that the gateway believes: nobody else on the machine may write them, and nobody else may read its secrets.
//!
//! "Others" are those of the mode's last digit. A group is one that somebody has chosen (an orchestrator's `fsGroup`, a
//! user's own group under the umask 002), and may do what its mode says.

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

mod place;

pub(crate) use place::{Place, kind};

const OTHERS_READ: u32 = 0o004;
const OTHERS_WRITE: u32 = 0o002;
/// In a folder that has this, nobody removes or replaces somebody else's file.
const STICKY: u32 = 0o1000;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("may be written by everybody on this machine (mode {0:04o})")]
    Writable(u32),
    #[error("may be replaced by everybody on this machine: so is the mode of the folder {}", .0.display())]
    Replaceable(PathBuf),
    #[error("may be somebody else's: {path}, in a folder in which everybody may make files, is of the user {owner}", path = .path.display())]
    Foreign { path: PathBuf, owner: u32 },
    #[error("is not reached: the link {path} is of the user {owner}, and what it leads to is not", path = .path.display())]
    Link { path: PathBuf, owner: u32 },
    #[error("is no regular file")]
    Irregular,
    #[error("may be read by everybody on this machine (mode {0:04o})")]
    Readable(u32),
}

impl FileError {
    /// The cause that an operator is told of.
    pub fn code(&self) -> Code {
        match self {
            Self::Io(_) | Self::Irregular => Code::UnreadableFile,
            Self::Writable(_) | Self::Replaceable(_) | Self::Foreign { .. } | Self::Link { .. } => {
                Code::UntrustedFile
            }
            Self::Readable(_) => Code::ExposedSecret,
        }
    }

    /// What to do, unless it is to be seen from the error itself.
    pub fn fix(&self, path: &Path) -> Option<String> {
        let path = path.display();
        match self {
            Self::Io(_) => None,
            Self::Irregular => Some("a regular file, and no pipe or device".to_owned()),
            Self::Link { path, .. } => Some(format!(
                "the file's own name, or a link of your own or of root's in place of {}",
                path.display()
            )),
            Self::Writable(_) => Some(format!("chmod o-w {path}")),
            Self::Replaceable(folder) => Some(format!("chmod o-w {}", folder.display())),
            Self::Foreign { path, .. } => {
                Some(format!("a file of your own or of root's in place of {}", path.display()))
            }
            Self::Readable(_) => {
                Some(format!("chmod o-rwx {path}; defaultMode: 0440 for a Secret of Kubernetes"))
            }
        }
    }
}

/// A text that decides what is done.
///
/// # Errors
/// A file that cannot be read, is no UTF-8, or that others may write or replace.
pub(crate) fn read_text(path: &Path) -> Result<String, FileError> {
    let (mut file, metadata) = open(path)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    if text.is_empty() && metadata.file_type().is_fifo() {
        // Not what it said before: at a reload that would be the defaults.
        return Err(io::Error::other("is a pipe with nothing in it: it can be read once").into());
    }
    Ok(text)
}

/// The same for a file that is read again and again, or changed: a regular one. Whoever makes a pipe of it would have
/// its reader wait for ever.
///
/// # Errors
/// As [`read_text`]; and what is no regular file.
pub(crate) fn read_file(path: &Path) -> Result<String, FileError> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut file = fs::OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    believe_regular(&file, path)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// The same for what is no text.
///
/// # Errors
/// As [`read_text`].
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, FileError> {
    let (mut file, _) = open(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A private key.
///
/// # Errors
/// As [`read_text`]; and a file that others may read.
pub(crate) fn read_private_key(path: &Path) -> Result<Vec<u8>, FileError> {
    let (mut file, metadata) = open(path)?;
    if let Some(exposed) = exposed(&metadata) {
        return Err(exposed);
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A secret in a file, and whether others may read it: that is no error, for it is how orchestrators mount them by default.
#[derive(Debug)]
pub(crate) struct Secret {
    pub(crate) text: String,
    pub(crate) exposed: Option<FileError>,
}

/// # Errors
/// As [`read_text`].
pub(crate) fn read_secret(path: &Path) -> Result<Secret, FileError> {
    let (mut file, metadata) = open(path)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(Secret { text, exposed: exposed(&metadata) })
}

fn exposed(metadata: &Metadata) -> Option<FileError> {
    let is_read = metadata.is_file() && mode(metadata) & OTHERS_READ != 0;
    is_read.then(|| FileError::Readable(mode(metadata)))
}

/// What is opened is what is looked at: a name may lead elsewhere a moment later.
fn open(path: &Path) -> Result<(File, Metadata), FileError> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    // A pipe is whoever's has it open.
    if metadata.is_file() {
        believe(&metadata, path)?;
    }
    Ok((file, metadata))
}

fn believe_regular(file: &File, path: &Path) -> Result<(), FileError> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(FileError::Irregular);
    }
    believe(&metadata, path)
}

fn believe(metadata: &Metadata, path: &Path) -> Result<(), FileError> {
    if mode(metadata) & OTHERS_WRITE != 0 {
        return Err(FileError::Writable(mode(metadata)));
    }
    // Where its name is, and what its name links to.
    hold(&path::absolute(path)?)?;
    hold(&fs::canonicalize(path)?)
}

/// Nobody else may put another thing in the place of this one, nor of a folder that it is in.
fn hold(path: &Path) -> Result<(), FileError> {
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

/// As Kubernetes mounts what it makes files of, in folders of the mode 0777.
fn is_read_only(folder: &Path) -> bool {
    statvfs(folder).is_ok_and(|file_system| file_system.f_flag.contains(StatVfsMountFlags::RDONLY))
}

fn mode(metadata: &Metadata) -> u32 {
    metadata.permissions().mode() & 0o7777
}
