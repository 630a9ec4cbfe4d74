//! The embedded key file: digests of keys, and whose they are.
//!
//! It is read into memory, swapped as a whole when it changes ([`watch`]), and written by the `keys` command
//! ([`edit`], [`prune`]). A file that cannot be read never replaces one that could. When each key was last used is in a file of
//! its own ([`last_use`]).

mod document;
pub mod edit;
pub mod last_use;
pub mod prune;
mod replace;
mod scopes;
pub mod watch;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use toml::Spanned;

use document::Document;
pub use document::Record;
use last_use::Recorder;
pub(crate) use scopes::UnknownScope;

use super::{
    Principal, Rejection,
    key::{self, KeyDigest},
};
use crate::{
    code::Code,
    file_state::{State, file_state},
    parse_fault::ParseFault,
    settings::{LastUsed, Policy},
    trusted_file::{self, FileError},
};

/// The keys in force.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    /// What the file was when it was opened: from here on the watcher looks for changes.
    opened: State,
    keys: ArcSwap<Keys>,
    /// When they were read, in seconds since 1970.
    read_at: AtomicI64,
    /// Whether the file could not be read when that was tried last.
    is_refused: AtomicBool,
    /// Ids that this process was told are revoked, and when: a copy of the file that does not say so yet makes none of them good.
    revoked: Mutex<HashMap<String, Timestamp>>,
    /// Only where last uses are kept.
    recorder: Option<Recorder>,
}

/// What one reading of the file gave.
#[derive(Debug)]
struct Keys {
    by_digest: HashMap<KeyDigest, Key>,
    unknown_scopes: Vec<UnknownScope>,
}

/// Ids that are remembered as revoked though the file does not have them: those that a later copy may bring.
const UNKNOWN_REVOKED: usize = 10_000;
/// The longest of them, in bytes: who may publish may publish long texts.
const LONGEST_UNKNOWN: usize = 1024;

impl KeyFile {
    /// # Errors
    /// Everything that is wrong with the file, a file without a key included.
    pub fn open(path: &Path) -> Result<Self, KeyFileError> {
        let opened = file_state(path);
        Ok(Self {
            path: path.to_owned(),
            opened,
            keys: ArcSwap::from_pointee(read(path)?),
            read_at: AtomicI64::new(Timestamp::now().as_second()),
            is_refused: AtomicBool::new(false),
            revoked: Mutex::default(),
            recorder: None,
        })
    }

    /// Keeps the last use of each key, where the settings say.
    #[must_use]
    pub(super) fn recording(self, last_used: &LastUsed) -> Self {
        let is_named = matches!(last_used, LastUsed::File(_));
        let recorder = last_used.file(&self.path).map(|path| Recorder::new(path, is_named));
        Self { recorder, ..self }
    }

    /// Reads the file again. In case of an error the keys in force stay.
    ///
    /// # Errors
    /// As [`KeyFile::open`].
    pub fn reload(&self) -> Result<usize, KeyFileError> {
        let keys = read(&self.path);
        self.is_refused.store(keys.is_err(), Ordering::Relaxed);
        let keys = keys?;
        let count = keys.by_digest.len();
        let revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys.by_digest.values() {
            key.end_if(|id| revoked.get(id).copied());
        }
        let old = self.keys.swap(keys.into());
        drop(revoked);
        self.read_at.store(Timestamp::now().as_second(), Ordering::Relaxed);
        self.collect_uses(&old);
        Ok(count)
    }

    /// Ends a key in this process, whatever the file says and will say.
    pub(super) fn revoke(&self, id: &str) {
        let now = Timestamp::now();
        let mut revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = self.keys.load();
        let ended = keys.by_digest.values().filter(|key| key.end_if(|of_key| (of_key == id).then_some(now)));
        let is_known = ended.count() > 0;
        if is_known || (revoked.len() < UNKNOWN_REVOKED && id.len() <= LONGEST_UNKNOWN) {
            revoked.insert(id.to_owned(), now);
        }
        if is_known {
            tracing::info!(key_id = id, "revoked by a message");
        }
    }

    /// How many keys may be used at this moment.
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

    /// The scopes of keys that allow nothing under this policy.
    pub(crate) fn unknown_scopes(&self, policy: &Policy) -> Vec<UnknownScope> {
        let keys = self.keys.load();
        keys.unknown_scopes.iter().filter(|scope| !scope.is_alias(policy)).cloned().collect()
    }

    /// # Errors
    /// Why the key is refused. Expiry is not looked at here.
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

/// One key in force, or revoked.
#[derive(Debug)]
struct Key {
    principal: Arc<Principal>,
    /// What the file says.
    revoked_in_file: Option<Timestamp>,
    /// What this process was told.
    revoked_by_message: OnceLock<Timestamp>,
    /// Whether it was used since uses were last collected.
    used: AtomicBool,
}

impl Key {
    fn revoked_at(&self) -> Option<Timestamp> {
        self.revoked_by_message.get().copied().or(self.revoked_in_file)
    }

    /// Ends it if `revoked` knows its id. Whether it does.
    fn end_if(&self, revoked: impl Fn(&str) -> Option<Timestamp>) -> bool {
        let at = self.principal.key_id.as_deref().and_then(revoked);
        at.map(|at| self.revoked_by_message.get_or_init(|| at)).is_some()
    }

    /// One load, but for the first use after a collection. An expired key is not used: `policy` refuses it.
    fn note_use(&self) {
        let is_over = || self.principal.expires_at.is_some_and(|at| at <= Timestamp::now());
        if !self.used.load(Ordering::Relaxed) && !is_over() {
            self.used.store(true, Ordering::Relaxed);
        }
    }
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
        Self {
            principal: Arc::new(principal),
            revoked_in_file: record.revoked_at,
            revoked_by_message: OnceLock::new(),
            used: AtomicBool::new(false),
        }
    }
}

fn read(path: &Path) -> Result<Keys, KeyFileError> {
    let error = |fault| KeyFileError { path: path.to_owned(), fault };
    let text = trusted_file::read_file(path).map_err(|source| error(source.into()))?;
    let document = Document::parse(&text).map_err(|fault| error(KeyFileFault::Wrong(vec![fault])))?;
    if document.keys.is_empty() {
        return Err(error(KeyFileFault::Empty));
    }
    let unknown = |record: &Spanned<Record>| UnknownScope::of(record.get_ref(), &text, record.span().start);
    let unknown_scopes = document.keys.iter().flat_map(unknown).collect();
    let records = document.into_keys(&text).map_err(|faults| error(KeyFileFault::Wrong(faults)))?;
    let by_digest = records.into_iter().map(|(digest, record)| (digest, record.into())).collect();
    Ok(Keys { by_digest, unknown_scopes })
}

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", path.display())]
pub struct KeyFileError {
    pub path: PathBuf,
    pub fault: KeyFileFault,
}

/// Why it cannot.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileFault {
    #[error(transparent)]
    File(#[from] FileError),
    /// A mistake, and not a policy.
    #[error("holds no keys")]
    Empty,
    /// Everything that is wrong with it.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Wrong(Vec<ParseFault>),
    #[error("cannot be edited by this command: write the keys as [[keys]] tables")]
    NotTables,
}

impl KeyFileError {
    /// The cause that an operator is told of.
    pub fn code(&self) -> Code {
        match &self.fault {
            KeyFileFault::File(error) => error.code(),
            KeyFileFault::Empty => Code::NobodyLetIn,
            KeyFileFault::Wrong(_) | KeyFileFault::NotTables => Code::BadKeyFile,
        }
    }

    /// What to do.
    pub fn fix(&self) -> String {
        match &self.fault {
            KeyFileFault::File(error) => error.fix(&self.path),
            _ => None,
        }
        .unwrap_or_else(|| "a file with keys: `hokusai-gateway keys create --user NAME` makes it".to_owned())
    }
}

#[cfg(test)]
mod tests;
