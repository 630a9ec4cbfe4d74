//! The key file's format: TOML, one `[[keys]]` table a key.

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroU32,
};

use jiff::Timestamp;
use serde::Deserialize;

use crate::auth::{Workspace, key::KeyDigest};

/// A key file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    #[serde(default)]
    pub(super) keys: Vec<Record>,
}

/// One key: everything but the key. Times are RFC 3339 texts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The key's public name, in logs and for `keys revoke`.
    pub id: String,
    /// Whom the key belongs to; one user may have several.
    pub user: String,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// Left out: the key carries no scopes of its own.
    pub scopes: Option<Vec<String>>,
    /// Left out: any workspace of MLflow's.
    pub workspace: Option<Workspace>,
    /// Left out: the settings' number.
    pub rate_limit_per_hour: Option<NonZeroU32>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

impl Document {
    /// # Errors
    /// Where the text is not a key file.
    pub(super) fn parse(text: &str) -> Result<Self, Vec<String>> {
        toml::from_str(text).map_err(|error| vec![error.to_string().trim_end().to_owned()])
    }

    /// The keys by digest.
    ///
    /// # Errors
    /// Every record that cannot be right; and a file that holds none, which is a mistake and not a policy.
    pub(super) fn into_keys(self) -> Result<HashMap<KeyDigest, Record>, Vec<String>> {
        let mut problems = Vec::new();
        let mut ids = HashSet::new();
        let mut keys = HashMap::with_capacity(self.keys.len());
        if self.keys.is_empty() {
            problems.push("holds no keys".to_owned());
        }
        for record in self.keys {
            if record.id.is_empty() || record.user.is_empty() {
                problems.push(format!("key `{}` has an empty id or user", record.id));
            }
            if !ids.insert(record.id.clone()) {
                problems.push(format!("two keys have the id `{}`", record.id));
            }
            match KeyDigest::parse(&record.digest) {
                None => {
                    problems.push(format!("the digest of key `{}` is not sha256:<64 hex digits>", record.id))
                }
                Some(digest) => {
                    let id = record.id.clone();
                    if let Some(other) = keys.insert(digest, record) {
                        problems.push(format!("keys `{}` and `{id}` have one digest", other.id));
                    }
                }
            }
        }
        if problems.is_empty() { Ok(keys) } else { Err(problems) }
    }
}
