//! Resolves the path of a file that is changed: its folder, opened so that it cannot be exchanged, and its name there.
//!
//! A symbolic link anywhere in the path is followed if its owner is root, the gateway's user, or the owner of its target (the rule of
//! Linux's fs.protected_symlinks, in every folder). Any other link could make root change a file that the link's owner may not.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, ErrorKind},
    os::{fd::OwnedFd, unix::ffi::OsStringExt as _},
    path::{self, Component, Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat},
    io::Errno,
    process::geteuid,
};

use super::{FileError, check_not_replaceable, check_regular};

/// As in Linux (path_resolution(7)).
const MAX_LINKS: usize = 40;
/// A folder in the middle of the path need not be readable.
#[cfg(target_os = "linux")]
const TRAVERSE: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const TRAVERSE: OFlags = OFlags::RDONLY;

/// The location of a file, which may not exist.
#[derive(Debug)]
pub(crate) struct FileLocation {
    pub(crate) folder: File,
    pub(crate) name: OsString,
    /// With links resolved, for messages.
    path: PathBuf,
}

enum Step {
    Name(OsString),
    Up,
    /// The target of this link is reached.
    LinkEnd(Link),
}

struct Link {
    path: PathBuf,
    owner: u32,
}

impl Link {
    fn check_target(self, owner: u32) -> Result<(), FileError> {
        if [0, geteuid().as_raw(), owner].contains(&self.owner) {
            return Ok(());
        }
        Err(FileError::Link { path: self.path, owner: self.owner })
    }
}

impl FileLocation {
    /// # Errors
    /// A link of another user, or that leads back to itself; a folder that cannot be opened.
    pub(crate) fn find(path: &Path) -> Result<Self, FileError> {
        let mut steps = steps_of(&path::absolute(path)?);
        let (mut folder, mut at, mut links) = (traverse(CWD, OsStr::new("/"))?, PathBuf::from("/"), 0);
        while let Some(step) = steps.pop_front() {
            let name = match step {
                Step::Name(name) => name,
                Step::Up => {
                    folder = traverse(&folder, OsStr::new(".."))?;
                    at.pop();
                    continue;
                }
                Step::LinkEnd(link) => {
                    link.check_target(fstat(&folder).map_err(io::Error::from)?.st_uid)?;
                    continue;
                }
            };
            let (path, found) = (at.join(&name), look(&folder, &name)?);
            if let Some(link) = found.filter(|found| kind(found) == FileType::Symlink) {
                links += 1;
                if links > MAX_LINKS {
                    return Err(io::Error::other("is a link that leads back to itself").into());
                }
                check_not_replaceable(&path)?;
                let leads_to = readlinkat(&folder, &name, Vec::new()).map_err(io::Error::from)?;
                let leads_to = PathBuf::from(OsString::from_vec(leads_to.into_bytes()));
                if leads_to.is_absolute() {
                    (folder, at) = (traverse(CWD, OsStr::new("/"))?, PathBuf::from("/"));
                }
                steps.push_front(Step::LinkEnd(Link { path, owner: link.st_uid }));
                steps_of(&leads_to).into_iter().rev().for_each(|step| steps.push_front(step));
                continue;
            }
            if steps.iter().any(|step| !matches!(step, Step::LinkEnd(_))) {
                (folder, at) = (traverse(&folder, &name)?, path);
                continue;
            }
            // A file that does not exist yet can be created by the owner of its folder.
            let owner = found.map_or_else(|| fstat(&folder), Ok).map_err(io::Error::from)?.st_uid;
            for step in steps {
                let Step::LinkEnd(link) = step else { continue };
                link.check_target(owner)?;
            }
            let readable = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let folder = openat(&folder, ".", readable, Mode::empty()).map_err(io::Error::from)?;
            return Ok(Self { folder: folder.into(), name, path });
        }
        Err(io::Error::from(ErrorKind::IsADirectory).into())
    }

    /// The state of the file; `None` if it does not exist. A link that is there now is not followed.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(crate) fn look(&self) -> io::Result<Option<Stat>> {
        look(&self.folder, &self.name)
    }

    /// The text of the file; `None` if it does not exist.
    ///
    /// # Errors
    /// As [`super::read_file`].
    pub(crate) fn read(&self) -> Result<Option<String>, FileError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file: File = match openat(&self.folder, &self.name, flags, Mode::empty()) {
            Ok(file) => file.into(),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(io::Error::from(error).into()),
        };
        check_regular(&file, &self.path)?;
        Ok(Some(io::read_to_string(file)?))
    }
}

pub(crate) fn kind(file: &Stat) -> FileType {
    FileType::from_raw_mode(file.st_mode)
}

fn steps_of(path: &Path) -> VecDeque<Step> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(Step::Name(name.to_owned())),
            Component::ParentDir => Some(Step::Up),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

fn look(folder: impl rustix::fd::AsFd, name: &OsStr) -> io::Result<Option<Stat>> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Opens a folder; fails if a link has replaced it since it was looked at.
fn traverse(folder: impl rustix::fd::AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = TRAVERSE | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(folder, name, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests;
