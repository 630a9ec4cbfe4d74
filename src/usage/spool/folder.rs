//! Which folder it is, and whether it can be one.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};
use sha2::{Digest as _, Sha256};

use crate::{
    code::Code,
    settings::{AuthService, UsageSpool},
    trusted_file::{self, FileError},
};

/// Why a folder cannot be the spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolFault {
    #[error("is in the folder {}, which does not exist", .0.display())]
    NoParent(PathBuf),
    #[error("is not a folder")]
    NoFolder,
    #[error("cannot be written: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Untrusted(FileError),
}

impl SpoolFault {
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::NoParent(_) => Code::MissingDirectory,
            Self::NoFolder | Self::Io(_) => Code::UsageSpoolFailing,
            Self::Untrusted(error) => error.code(),
        }
    }

    pub(crate) fn fix(&self, path: &Path) -> String {
        let trusted = match self {
            Self::Untrusted(error) => error.fix(path),
            _ => None,
        };
        trusted.unwrap_or_else(|| "a folder that the gateway may write, or memory".to_owned())
    }
}

/// The folder of [`UsageSpool::Auto`]: each auth service has its own, so that none is told of another's keys.
pub(crate) fn default_folder(service: &AuthService) -> PathBuf {
    let digest = Sha256::digest(format!("{}\n{}", service.url, service.service_id));
    Path::new(UsageSpool::STATE).join("usage").join(hex::encode(&digest[..8]))
}

/// Whether a folder can be the spool; nothing is made.
///
/// # Errors
/// Why it cannot.
pub(crate) fn check(path: &Path) -> Result<(), SpoolFault> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            trusted_file::check_folder(path).map_err(SpoolFault::Untrusted)?;
            may_write(path)
        }
        Ok(_) => Err(SpoolFault::NoFolder),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match parent(path) {
            Some(parent) if !parent.is_dir() => Err(SpoolFault::NoParent(parent.to_owned())),
            parent => may_write(parent.unwrap_or_else(|| Path::new("."))),
        },
        Err(error) => Err(error.into()),
    }
}

/// The same of [`default_folder`], whose parents are made too.
pub(crate) fn check_default(path: &Path) -> Result<(), SpoolFault> {
    let there = path.ancestors().find(|folder| folder.exists()).unwrap_or(path);
    if there == path { check(path) } else { may_write(there) }
}

/// Makes the folder, and its parents if `with_parents`.
///
/// # Errors
/// A folder that cannot be made, or is not to be trusted.
pub(crate) fn make(path: &Path, with_parents: bool) -> Result<(), SpoolFault> {
    match DirBuilder::new().mode(0o700).recursive(with_parents).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
        _ => {}
    }
    check(path)
}

fn may_write(folder: &Path) -> Result<(), SpoolFault> {
    Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(io::Error::from)?)
}

fn parent(path: &Path) -> Option<&Path> {
    path.parent().filter(|parent| !parent.as_os_str().is_empty())
}
