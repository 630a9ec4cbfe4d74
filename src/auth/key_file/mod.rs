//! The embedded key file: digests of keys, and whose they are.
//!
//! It is read into memory, swapped as a whole when it changes ([`watch`]), and written by the `keys` command
//! ([`edit`]). A file that cannot be read never replaces one that could.

mod document;
pub mod edit;
pub mod watch;

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use jiff::Timestamp;

use document::Document;
pub use document::Record;

use super::{
    Principal, Rejection,
    key::{self, KeyDigest},
};
use crate::file_state::{State, file_state};

/// The keys in force.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    /// What the file was when it was opened: from here on the watcher looks for changes.
    opened: State,
    keys: ArcSwap<HashMap<KeyDigest, Key>>,
}

impl KeyFile {
    /// # Errors
    /// Everything that is wrong with the file, a file without a key included.
    pub fn open(path: &Path) -> Result<Self, KeyFileError> {
        let opened = file_state(path);
        Ok(Self { path: path.to_owned(), opened, keys: ArcSwap::from_pointee(read(path)?) })
    }

    /// Reads the file again. In case of an error the keys in force stay.
    ///
    /// # Errors
    /// As [`KeyFile::open`].
    pub fn reload(&self) -> Result<usize, KeyFileError> {
        let keys = read(&self.path)?;
        let count = keys.len();
        self.keys.store(keys.into());
        Ok(count)
    }

    /// How many keys may be used at this moment.
    pub fn in_force(&self) -> usize {
        let now = Timestamp::now();
        let ended = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        self.keys
            .load()
            .values()
            .filter(|key| !ended(key.revoked_at) && !ended(key.principal.expires_at))
            .count()
    }

    /// # Errors
    /// Why the key is refused. Expiry is not looked at here.
    pub fn verify(&self, key: &str) -> Result<Arc<Principal>, Rejection> {
        if !key::is_well_formed(key) {
            return Err(Rejection::Mistyped);
        }
        let keys = self.keys.load();
        let key = keys.get(&KeyDigest::of(key)).ok_or(Rejection::Unknown)?;
        let principal = Arc::clone(&key.principal);
        match key.revoked_at.filter(|at| *at <= Timestamp::now()) {
            Some(at) => Err(Rejection::Revoked { principal, at }),
            None => Ok(principal),
        }
    }
}

/// One key in force, or revoked.
#[derive(Debug)]
struct Key {
    principal: Arc<Principal>,
    revoked_at: Option<Timestamp>,
}

impl From<Record> for Key {
    fn from(record: Record) -> Self {
        let principal = Principal {
            user_id: Some(record.user),
            key_id: Some(record.id),
            scopes: record.scopes,
            is_admin: false,
            workspace: record.workspace,
            expires_at: record.expires_at,
            rate_limit_per_hour: record.rate_limit_per_hour,
        };
        Self { principal: Arc::new(principal), revoked_at: record.revoked_at }
    }
}

fn read(path: &Path) -> Result<HashMap<KeyDigest, Key>, KeyFileError> {
    let error = |problems| KeyFileError { path: path.to_owned(), problems };
    let text = std::fs::read_to_string(path).map_err(|io| error(vec![format!("cannot be read: {io}")]))?;
    let records = Document::parse(&text).and_then(Document::into_keys).map_err(error)?;
    Ok(records.into_iter().map(|(digest, record)| (digest, record.into())).collect())
}

/// Everything that is wrong with a key file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFileError {
    pub path: PathBuf,
    pub problems: Vec<String>,
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problems.join("; "))
    }
}

impl std::error::Error for KeyFileError {}

#[cfg(test)]
mod tests;
