//! The embedded key file: digests of keys, and their owners.
//!
//! It is read into memory, swapped as a whole when it changes ([`watch`]), and written by the `keys` command
//! ([`edit`], [`prune`]). If a reload fails, the previous keys stay. The last use of each key is in a file of its own
//! ([`last_use`]).

mod document;
pub mod edit;
mod fault;
pub mod last_use;
pub mod prune;
mod replace;
mod scopes;
pub mod watch;

use std::{
    collections::HashMap,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use parking_lot::Mutex;
use toml::Spanned;

use document::Document;
pub use document::{DocumentFault, Record};
pub use fault::{KeyFileError, KeyFileFault};
use last_use::Recorder;
pub(crate) use scopes::UnknownScope;

use super::{
    Fence, Principal, Rejection,
    key::{self, KeyDigest},
};
use crate::{
    file_state::{State, file_state},
    settings::{LastUsed, Policy},
    trusted_file::{self, FileError},
};

/// The keys in force.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    /// The state of the file when it was read; the watcher compares later states with it.
    opened: State,
    keys: ArcSwap<Keys>,
    /// Whether the last reload failed.
    reload_failed: AtomicBool,
    /// Ids revoked by a message, with the time. They stay revoked even if an older copy of the file is read later.
    revoked: Mutex<HashMap<String, Timestamp>>,
    /// `None` if last uses are not recorded.
    recorder: Option<Recorder>,
    /// Whether it may hold no keys, or not be there: tokens of issuers are credentials, too.
    is_optional: bool,
}

/// The contents of the file.
#[derive(Debug)]
struct Keys {
    by_digest: HashMap<KeyDigest, Key>,
    unknown_scopes: Vec<UnknownScope>,
    read_at: Timestamp,
}

/// How many revoked ids are remembered that the file does not have: a later copy may have them.
const MAX_UNKNOWN_REVOKED: usize = 10_000;
/// The longest of them, in bytes: a message may be long.
const MAX_UNKNOWN_LENGTH: usize = 1024;

impl KeyFile {
    /// # Errors
    /// Every fault of the file. A file without keys is one.
    pub fn open(path: &Path) -> Result<Self, KeyFileError> {
        Self::open_as(path, false)
    }

    /// # Errors
    /// Every fault of the file. A file without keys is one, and so is none, unless it `is_optional`.
    pub(crate) fn open_as(path: &Path, is_optional: bool) -> Result<Self, KeyFileError> {
        let opened = file_state(path);
        let keys = match read(path, is_optional) {
            Err(KeyFileFault::File(FileError::Io(error)))
                if is_optional && error.kind() == ErrorKind::NotFound =>
            {
                Keys { by_digest: HashMap::new(), unknown_scopes: Vec::new(), read_at: Timestamp::now() }
            }
            read => read.map_err(KeyFileError::in_file(path))?,
        };
        Ok(Self {
            path: path.to_owned(),
            opened,
            keys: ArcSwap::from_pointee(keys),
            reload_failed: AtomicBool::new(false),
            revoked: Mutex::default(),
            recorder: None,
            is_optional,
        })
    }

    /// Whether there is no key at all: only tokens of issuers are credentials.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.load().by_digest.is_empty()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Records the last use of each key, where the settings say.
    #[must_use]
    pub(super) fn recording(self, last_used: &LastUsed) -> Self {
        let is_named = matches!(last_used, LastUsed::File(_));
        let recorder = last_used.file(&self.path).map(|path| Recorder::new(path, is_named));
        Self { recorder, ..self }
    }

    /// Reads the file again. After an error the previous keys stay in force.
    ///
    /// # Errors
    /// As [`KeyFile::open`].
    pub fn reload(&self) -> Result<usize, KeyFileError> {
        let keys = read(&self.path, self.is_optional).map_err(KeyFileError::in_file(&self.path));
        self.reload_failed.store(keys.is_err(), Ordering::Relaxed);
        let keys = keys?;
        let count = keys.by_digest.len();
        let revoked = self.revoked.lock();
        for key in keys.by_digest.values() {
            key.revoke_if(|id| revoked.get(id).copied());
        }
        let old = self.keys.swap(keys.into());
        drop(revoked);
        self.collect_uses(&old);
        Ok(count)
    }

    /// Revokes a key in this process, whatever the file says.
    pub(super) fn revoke(&self, id: &str) {
        let now = Timestamp::now();
        let mut revoked = self.revoked.lock();
        let keys = self.keys.load();
        let ended =
            keys.by_digest.values().filter(|key| key.revoke_if(|of_key| (of_key == id).then_some(now)));
        let is_known = ended.count() > 0;
        if is_known || (revoked.len() < MAX_UNKNOWN_REVOKED && id.len() <= MAX_UNKNOWN_LENGTH) {
            revoked.insert(id.to_owned(), now);
        }
        if is_known {
            tracing::info!(key_id = id, "revoked by a message");
        }
    }

    /// The number of keys that are neither expired nor revoked.
    pub fn in_force(&self) -> usize {
        let now = Timestamp::now();
        let ended = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        self.keys
            .load()
            .by_digest
            .values()
            .filter(|key| !ended(key.revoked_at()) && !ended(key.principal.expires_at))
            .count()
    }

    /// The scopes in the file that this policy does not know.
    pub(crate) fn unknown_scopes(&self, policy: &Policy) -> Vec<UnknownScope> {
        let keys = self.keys.load();
        keys.unknown_scopes.iter().filter(|scope| !scope.is_alias(policy)).cloned().collect()
    }

    /// # Errors
    /// Why the key is rejected. Expiry is checked by `policy`.
    pub fn verify(&self, key: &str) -> Result<Arc<Principal>, Rejection> {
        if !key::is_well_formed(key) {
            return Err(Rejection::Mistyped);
        }
        let keys = self.keys.load();
        let key = keys.by_digest.get(&KeyDigest::of(key)).ok_or(Rejection::Unknown)?;
        let principal = Arc::clone(&key.principal);
        match key.revoked_at().filter(|at| *at <= Timestamp::now()) {
            Some(at) => Err(Rejection::Revoked { principal, at }),
            None => {
                key.note_use();
                Ok(principal)
            }
        }
    }
}

/// One key of the file, valid or not.
#[derive(Debug)]
struct Key {
    principal: Arc<Principal>,
    /// By the file.
    revoked_in_file: Option<Timestamp>,
    /// By a message to this process.
    revoked_by_message: OnceLock<Timestamp>,
    /// Whether it was used since the last collection of uses.
    used: AtomicBool,
}

impl Key {
    fn revoked_at(&self) -> Option<Timestamp> {
        self.revoked_by_message.get().copied().or(self.revoked_in_file)
    }

    /// Revokes it if `revoked` has its id. Returns whether it has.
    fn revoke_if(&self, revoked: impl Fn(&str) -> Option<Timestamp>) -> bool {
        let at = self.principal.key_id.as_deref().and_then(revoked);
        at.map(|at| self.revoked_by_message.get_or_init(|| at)).is_some()
    }

    /// Cheap after the first use: one load. An expired key does not count: `policy` refuses it.
    fn note_use(&self) {
        let is_over = || self.principal.expires_at.is_some_and(|at| at <= Timestamp::now());
        if !self.used.load(Ordering::Relaxed) && !is_over() {
            self.used.store(true, Ordering::Relaxed);
        }
    }
}

impl Key {
    fn new(record: Record, fence: Fence) -> Self {
        let principal = Principal {
            user_id: Some(record.user),
            key_id: Some(record.id),
            scopes: record.scopes,
            is_admin: false,
            workspace: record.workspace,
            fence,
            expires_at: record.expires_at,
            rate_limit_per_hour: record.rate_limit_per_hour,
            concurrent: record.concurrent,
            creates_per_hour: record.creates_per_hour,
        };
        Self {
            principal: Arc::new(principal),
            revoked_in_file: record.revoked_at,
            revoked_by_message: OnceLock::new(),
            used: AtomicBool::new(false),
        }
    }
}

fn read(path: &Path, may_be_empty: bool) -> Result<Keys, KeyFileFault> {
    let text = trusted_file::read_file(path)?;
    let document = Document::parse(&text)?;
    if document.keys.is_empty() && !may_be_empty {
        return Err(KeyFileFault::Empty);
    }
    let unknown = |record: &Spanned<Record>| UnknownScope::of(record.get_ref(), &text, record.span().start);
    let unknown_scopes = document.keys.iter().flat_map(unknown).collect();
    let records = document.into_keys(&text)?.into_iter();
    let by_digest = records.map(|(digest, (record, fence))| (digest, Key::new(record, fence))).collect();
    Ok(Keys { by_digest, unknown_scopes, read_at: Timestamp::now() })
}

#[cfg(test)]
mod tests;
