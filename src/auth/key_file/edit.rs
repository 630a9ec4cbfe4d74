//! Changes to the key file, made to its text, so that comments stay; one at a time.

use std::{
    io,
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use rand::{RngExt as _, distr::Alphanumeric};
use secrecy::{ExposeSecret as _, SecretString};
use toml::Spanned;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value};

use super::{KeyFileError, KeyFileFault, Record, document::Document, replace::LockedFile};
use crate::{
    auth::{
        Workspace,
        key::{self, Environment, KeyDigest},
    },
    trusted_file,
};

pub(super) const HEADER: &str = "# Keys of hokusai-gateway: digests only. Written by `hokusai-gateway keys`, and safe to edit: the \
                      gateway reloads\n# a changed file within a second, as a whole or not at all.\n";
/// The mode of a new key file.
const OWNER_ONLY: u32 = 0o600;

/// The properties of a new key.
#[derive(Debug, Clone, Default)]
pub struct NewKey {
    pub user: String,
    pub environment: Environment,
    pub note: Option<String>,
    /// `None`: the default scopes of the settings.
    pub scopes: Option<Vec<String>>,
    /// `None`: any workspace.
    pub workspace: Option<Workspace>,
    /// Patterns of the registered models that it may change; `None`: any.
    pub models: Option<Vec<String>>,
    /// Likewise of experiments.
    pub experiments: Option<Vec<String>>,
    /// `None`: the limit of the settings. So of the two below.
    pub rate_limit_per_hour: Option<NonZeroU32>,
    pub concurrent: Option<NonZeroU32>,
    pub creates_per_hour: Option<NonZeroU32>,
    pub expires_at: Option<Timestamp>,
}

impl NewKey {
    /// A key with a user and nothing else.
    pub fn of(user: &str, environment: Environment) -> Self {
        Self { user: user.to_owned(), environment, ..Self::default() }
    }
}

/// A new key. It is not stored, so it cannot be shown again.
#[derive(Debug)]
pub struct CreatedKey {
    pub id: String,
    pub key: SecretString,
}

/// Why the key file was not changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    #[error(transparent)]
    File(#[from] KeyFileError),
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    /// The id is not repeated: it may be a key.
    #[error("no key has this id; see `hokusai-gateway keys list`")]
    NoSuchKey,
    #[error("this key is already revoked")]
    AlreadyRevoked,
    #[error(
        "this key has no lifetime (expires_at is not after created_at), and neither would its successor; use `keys create`"
    )]
    NoLifetime,
}

/// Every key of the file, in its order.
///
/// # Errors
/// A file that cannot be read.
pub fn list(path: &Path) -> Result<Vec<Record>, EditError> {
    let text = trusted_file::read_file(path).map_err(KeyFileError::in_file(path))?;
    Ok(parse(&text).map_err(KeyFileError::in_file(path))?.1)
}

/// Adds a key; creates the file if there is none.
///
/// # Errors
/// A file that cannot be read or written.
pub fn create(path: &Path, new: &NewKey) -> Result<CreatedKey, EditError> {
    change(path, |document, _| Ok(add(document, new)))
}

/// Revokes a key at once.
///
/// # Errors
/// A file that cannot be read or written; an id that is unknown or already revoked.
pub fn revoke(path: &Path, id: &str) -> Result<(), EditError> {
    change(path, |document, records| {
        if find(records, id)?.revoked_at.is_some() {
            return Err(EditError::AlreadyRevoked);
        }
        set_time(document, id, "revoked_at", Timestamp::now());
        Ok(())
    })
}

/// Adds a key with the properties of `id`. The old key stays valid for `overlap`, or until its own expiry if that is sooner.
///
/// # Errors
/// As [`revoke`].
pub fn rotate(path: &Path, id: &str, overlap: SignedDuration) -> Result<CreatedKey, EditError> {
    change(path, |document, records| {
        let old = find(records, id)?;
        if old.revoked_at.is_some() {
            return Err(EditError::AlreadyRevoked);
        }
        let end = Timestamp::now().saturating_add(overlap).unwrap_or(Timestamp::MAX);
        // The successor has the same lifetime.
        let lifetime = old.expires_at.map(|at| at.duration_since(old.created_at));
        if lifetime.is_some_and(|lifetime| lifetime < SignedDuration::from_secs(1)) {
            return Err(EditError::NoLifetime);
        }
        let expires_at =
            lifetime.map(|lifetime| Timestamp::now().saturating_add(lifetime).unwrap_or(Timestamp::MAX));
        let environment = if id.starts_with("test_") { Environment::Test } else { Environment::Live };
        let new = NewKey {
            user: old.user.clone(),
            environment,
            note: old.note.clone(),
            scopes: old.scopes.clone(),
            workspace: old.workspace.clone(),
            models: old.models.clone(),
            experiments: old.experiments.clone(),
            rate_limit_per_hour: old.rate_limit_per_hour,
            concurrent: old.concurrent,
            creates_per_hour: old.creates_per_hour,
            expires_at,
        };
        set_time(document, id, "expires_at", old.expires_at.map_or(end, |at| at.min(end)));
        Ok(add(document, &new))
    })
}

fn add(document: &mut DocumentMut, new: &NewKey) -> CreatedKey {
    let key = key::generate(new.environment);
    let random = rand::rng().sample_iter(Alphanumeric).take(12).map(char::from);
    let id: String = new.environment.prefix().trim_start_matches("hk_").chars().chain(random).collect();
    let list = |texts: &Option<Vec<String>>| Some(Value::from(texts.as_ref()?.iter().collect::<Array>()));
    let number = |limit: Option<NonZeroU32>| limit.map(|limit| i64::from(limit.get()).into());
    let fields = [
        ("id", Some(Value::from(&id))),
        ("user", Some(Value::from(&new.user))),
        ("digest", Some(KeyDigest::of(key.expose_secret()).to_string().into())),
        ("note", new.note.as_ref().map(Value::from)),
        ("scopes", list(&new.scopes)),
        ("workspace", new.workspace.as_ref().map(|workspace| workspace.as_str().into())),
        ("models", list(&new.models)),
        ("experiments", list(&new.experiments)),
        ("rate_limit_per_hour", number(new.rate_limit_per_hour)),
        ("concurrent", number(new.concurrent)),
        ("creates_per_hour", number(new.creates_per_hour)),
        ("created_at", Some(time(Timestamp::now()))),
        ("expires_at", new.expires_at.map(time)),
    ];
    let mut table: Table = fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    // The comment of a file without keys belongs above the first key.
    let above = document.trailing().as_str().unwrap_or_default().to_owned();
    if document.is_empty() && !above.is_empty() {
        table.decor_mut().set_prefix(above);
        document.set_trailing("");
    }
    if let Some(tables) = document
        .entry("keys")
        .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()))
        .as_array_of_tables_mut()
    {
        tables.push(table);
    }
    CreatedKey { id, key }
}

fn set_time(document: &mut DocumentMut, id: &str, field: &str, at: Timestamp) {
    let tables = document.get_mut("keys").and_then(Item::as_array_of_tables_mut);
    let mut of_key = tables.into_iter().flat_map(ArrayOfTables::iter_mut);
    if let Some(table) = of_key.find(|table| table.get("id").and_then(Item::as_str) == Some(id)) {
        table.insert(field, time(at).into());
    }
}

/// Whole seconds: enough for a person, and every reader takes them.
fn time(at: Timestamp) -> Value {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()
}

fn find<'a>(records: &'a [Record], id: &str) -> Result<&'a Record, EditError> {
    records.iter().find(|record| record.id == id).ok_or(EditError::NoSuchKey)
}

fn parse(text: &str) -> Result<(DocumentMut, Vec<Record>), KeyFileFault> {
    let records = Document::parse(text)?.keys;
    let document: DocumentMut = text.parse().map_err(|_| KeyFileFault::NotTables)?;
    if document.get("keys").is_some_and(|keys| !keys.is_array_of_tables()) {
        return Err(KeyFileFault::NotTables);
    }
    Ok((document, records.into_iter().map(Spanned::into_inner).collect()))
}

/// Changes the file, unless the gateway would refuse the result.
pub(super) fn change<T>(
    path: &Path,
    edit: impl FnOnce(&mut DocumentMut, &[Record]) -> Result<T, EditError>,
) -> Result<T, EditError> {
    let file = LockedFile::wait(path).map_err(KeyFileError::in_file(path))?;
    let text = file.read().map_err(KeyFileError::in_file(path))?.unwrap_or_else(|| HEADER.to_owned());
    let (mut document, records) = parse(&text).map_err(KeyFileError::in_file(path))?;
    let outcome = edit(&mut document, &records)?;
    let changed = document.to_string();
    Document::parse(&changed)
        .and_then(|document| document.into_keys(&changed))
        .map_err(KeyFileError::in_file(path))?;
    file.replace(&changed, OWNER_ONLY).map_err(|source| EditError::Io { path: path.to_owned(), source })?;
    Ok(outcome)
}
