//! The key file's format: TOML, one `[[keys]]` table a key.

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroU32,
};

use jiff::Timestamp;
use serde::Deserialize;
use toml::Spanned;

use crate::{
    auth::{
        Workspace,
        key::{self, KeyDigest},
    },
    parse_fault::ParseFault,
};

/// A key file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    #[serde(default)]
    pub(super) keys: Vec<Spanned<Record>>,
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
    /// What the key is for, in its maker's words; shown by `keys list` and used for nothing.
    pub note: Option<String>,
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

/// What each field wants. The parser's own words would quote what it found.
const FORMS: [(&str, &str); 11] = [
    ("keys", "the keys are [[keys]] tables"),
    ("id", "the id is a text"),
    ("user", "the user is a text"),
    ("digest", "the digest is a text"),
    ("note", "the note is a text"),
    ("scopes", "the scopes are a list of texts"),
    ("workspace", "the workspace is the name of one of MLflow's"),
    ("rate_limit_per_hour", "the limit is a whole number, 1 or more"),
    ("created_at", "created_at is a time in quotes, such as \"2026-01-31T12:00:00Z\""),
    ("expires_at", "expires_at is a time in quotes, such as \"2026-01-31T12:00:00Z\""),
    ("revoked_at", "revoked_at is a time in quotes, such as \"2026-01-31T12:00:00Z\""),
];
const MISSING: [(&str, &str); 4] = [
    ("missing field `id`", "this key has no id"),
    ("missing field `user`", "this key has no user"),
    ("missing field `digest`", "this key has no digest"),
    ("missing field `created_at`", "this key has no created_at"),
];

impl Document {
    /// # Errors
    /// Where the text is not a key file.
    pub(super) fn parse(text: &str) -> Result<Self, ParseFault> {
        if let Err(error) = text.parse::<toml::Table>() {
            return Err(not_toml(text, &error));
        }
        toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let missing = MISSING.iter().find(|(begins, _)| error.message().starts_with(begins));
            let form = || FORMS.iter().find(|(field, _)| *field == field_before(text, start));
            let what = missing.or_else(form).map_or("no key has this, or not in this form", |(_, what)| what);
            ParseFault::at(text, start, what)
        })
    }

    /// The keys by digest.
    ///
    /// # Errors
    /// Every record that cannot be right.
    pub(super) fn into_keys(self, text: &str) -> Result<HashMap<KeyDigest, Record>, Vec<ParseFault>> {
        let mut faults = Vec::new();
        let mut ids = HashSet::new();
        let mut keys = HashMap::with_capacity(self.keys.len());
        for record in self.keys {
            let start = record.span().start;
            let mut fault = |what| faults.push(ParseFault::at(text, start, what));
            let record = record.into_inner();
            if record.id.is_empty() || record.user.is_empty() {
                fault("this key has an empty id or user");
            }
            if record.public_texts().any(key::looks_like_one)
                || record.note.as_deref().is_some_and(key::is_in)
            {
                fault(
                    "the id, the user, the note, a scope or the workspace of this key is or has an API key, which belongs nowhere",
                );
            }
            if !ids.insert(record.id.clone()) {
                fault("an earlier key has the id of this one");
            }
            match KeyDigest::parse(&record.digest) {
                None => fault("the digest of this key is not sha256:<64 hex digits>"),
                Some(digest) if keys.contains_key(&digest) => {
                    fault("an earlier key has the digest of this one")
                }
                Some(digest) => {
                    keys.insert(digest, record);
                }
            }
        }
        if faults.is_empty() { Ok(keys) } else { Err(faults) }
    }
}

impl Record {
    /// When it ended, if it has.
    pub fn ended_at(&self, now: Timestamp) -> Option<Timestamp> {
        [self.revoked_at, self.expires_at].into_iter().flatten().filter(|at| *at <= now).min()
    }

    /// What is shown of a key, to its user and in logs.
    fn public_texts(&self) -> impl Iterator<Item = &str> {
        let scopes = self.scopes.iter().flatten().map(String::as_str);
        let workspace = self.workspace.as_ref().map(Workspace::as_str);
        [&*self.id, &*self.user].into_iter().chain(scopes).chain(workspace)
    }
}

/// Where a text is no TOML at all.
pub(super) fn not_toml(text: &str, error: &toml::de::Error) -> ParseFault {
    let start = error.span().map_or(0, |span| span.start);
    let is_twice = error.message().starts_with("duplicate key");
    let what = if is_twice { "this name is there already" } else { "is no TOML; texts stand in quotes" };
    ParseFault::at(text, start, what)
}

/// The name of the field whose value begins at `start`, or has its first item there.
fn field_before(text: &str, start: usize) -> &str {
    let before = text.get(..start).unwrap_or_default().trim_end().trim_end_matches('[').trim_end();
    let Some(name) = before.strip_suffix('=').map(str::trim_end) else { return "" };
    let begin = name.rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map_or(0, |end| end + 1);
    name.get(begin..).unwrap_or_default()
}
