//! Where a file that is changed really is: its folder, held open so that it cannot be exchanged, and its name there.
//!
//! A symbolic link is followed, in the path as at its end, if it is root's or our own user's, or if whoever laid it also owns
//! what it leads to (the rule of Linux's fs.protected_symlinks, in every folder). Any other would have root change a file
//! that the link's owner may not.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, ErrorKind, Read as _},
    os::{fd::OwnedFd, unix::ffi::OsStringExt as _},
    path::{self, Component, Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat},
    io::Errno,
    process::geteuid,
};

use super::{FileError, believe_regular, hold};

/// As many as Linux follows (path_resolution(7)).
const MOST_LINKS: usize = 40;
/// A folder that is only passed need not be readable.
#[cfg(target_os = "linux")]
const PASSED: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const PASSED: OFlags = OFlags::RDONLY;

/// A file, whether it is there or not.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) folder: File,
    pub(crate) name: OsString,
    /// Without links, for messages.
    path: PathBuf,
}

enum Step {
    Name(OsString),
    Up,
    /// What this link leads to is reached.
    Reached(Link),
}

struct Link {
    path: PathBuf,
    owner: u32,
}

impl Link {
    fn may_lead_to(self, owner: u32) -> Result<(), FileError> {
        if [0, geteuid().as_raw(), owner].contains(&self.owner) {
            return Ok(());
        }
        Err(FileError::Link { path: self.path, owner: self.owner })
    }
}

impl Place {
    /// # Errors
    /// A link that somebody else may have laid, or that leads back to itself; a folder that cannot be opened.
    pub(crate) fn find(path: &Path) -> Result<Self, FileError> {
        let mut steps = steps_of(&path::absolute(path)?);
        let (mut folder, mut at, mut links) = (pass(CWD, OsStr::new("/"))?, PathBuf::from("/"), 0);
        while let Some(step) = steps.pop_front() {
            let name = match step {
                Step::Name(name) => name,
                Step::Up => {
                    folder = pass(&folder, OsStr::new(".."))?;
                    at.pop();
                    continue;
                }
                Step::Reached(link) => {
                    link.may_lead_to(fstat(&folder).map_err(io::Error::from)?.st_uid)?;
                    continue;
                }
            };
            let (path, found) = (at.join(&name), look(&folder, &name)?);
            if let Some(link) = found.filter(|found| kind(found) == FileType::Symlink) {
                links += 1;
                if links > MOST_LINKS {
                    return Err(io::Error::other("is a link that leads back to itself").into());
                }
                hold(&path)?;
                let leads_to = readlinkat(&folder, &name, Vec::new()).map_err(io::Error::from)?;
                let leads_to = PathBuf::from(OsString::from_vec(leads_to.into_bytes()));
                if leads_to.is_absolute() {
                    (folder, at) = (pass(CWD, OsStr::new("/"))?, PathBuf::from("/"));
                }
                steps.push_front(Step::Reached(Link { path, owner: link.st_uid }));
                steps_of(&leads_to).into_iter().rev().for_each(|step| steps.push_front(step));
                continue;
            }
            if steps.iter().any(|step| !matches!(step, Step::Reached(_))) {
                (folder, at) = (pass(&folder, &name)?, path);
                continue;
            }
            // Whoever owns a folder may make in it what is not there yet.
            let owner = found.map_or_else(|| fstat(&folder), Ok).map_err(io::Error::from)?.st_uid;
            for step in steps {
                let Step::Reached(link) = step else { continue };
                link.may_lead_to(owner)?;
            }
            let readable = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let folder = openat(&folder, ".", readable, Mode::empty()).map_err(io::Error::from)?;
            return Ok(Self { folder: folder.into(), name, path });
        }
        Err(io::Error::from(ErrorKind::IsADirectory).into())
    }

    /// What is there now, which is no link that was followed.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub(crate) fn look(&self) -> io::Result<Option<Stat>> {
        look(&self.folder, &self.name)
    }

    /// What the file says; `None` if there is none.
    ///
    /// # Errors
    /// As [`super::read_file`].
    pub(crate) fn read(&self) -> Result<Option<String>, FileError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let mut file: File = match openat(&self.folder, &self.name, flags, Mode::empty()) {
            Ok(file) => file.into(),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(io::Error::from(error).into()),
        };
        believe_regular(&file, &self.path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(Some(text))
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

/// Not through a link that has come in place of the folder since it was looked at.
fn pass(folder: impl rustix::fd::AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = PASSED | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(folder, name, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests;
