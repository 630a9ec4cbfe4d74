//! The key file's format: TOML, one `[[keys]]` table a key.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    num::NonZeroU32,
};

use jiff::Timestamp;
use serde::Deserialize;
use toml::Spanned;

use super::KeyFileFault;
use crate::{
    auth::{
        Fence, Globs, NotGlobs, Workspace,
        key::{self, KeyDigest},
    },
    parse_fault::ParseFault,
    redaction::without_keys,
};

/// The text of a key file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    #[serde(default)]
    pub(super) keys: Vec<Spanned<Record>>,
}

/// One key, without the key itself. Times are RFC 3339 texts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The key's public name, in logs and for `keys revoke`.
    pub id: String,
    /// The owner of the key; one user may have several keys.
    pub user: String,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// A free text for people; shown by `keys list`, and used for nothing else.
    pub note: Option<String>,
    /// Left out: the default scopes of the settings.
    pub scopes: Option<Vec<String>>,
    /// Left out: any workspace of MLflow's.
    pub workspace: Option<Workspace>,
    /// Patterns of the registered models that it may change, as they were written. Left out: any.
    pub models: Option<Vec<String>>,
    /// Likewise of experiments.
    pub experiments: Option<Vec<String>>,
    /// Left out: the limit of the settings. So of the two below.
    pub rate_limit_per_hour: Option<NonZeroU32>,
    pub concurrent: Option<NonZeroU32>,
    pub creates_per_hour: Option<NonZeroU32>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

/// The form of each field. The TOML parser's own messages would quote the text.
const FORMS: [(&str, &str); 15] = [
    ("keys", "the keys are [[keys]] tables"),
    ("id", "the id is a text"),
    ("user", "the user is a text"),
    ("digest", "the digest is a text"),
    ("note", "the note is a text"),
    ("scopes", "the scopes are a list of texts"),
    ("workspace", "the workspace is the name of one of MLflow's"),
    ("models", "the models of a key are a list of patterns, such as [\"acme-*\"]"),
    ("experiments", "the experiments of a key are a list of patterns, such as [\"acme/*\"]"),
    ("rate_limit_per_hour", "the limit is a whole number, 1 or more"),
    ("concurrent", "the limit is a whole number, 1 or more"),
    ("creates_per_hour", "the limit is a whole number, 1 or more"),
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
    /// The position of the first fault.
    pub(super) fn parse(text: &str) -> Result<Self, KeyFileFault> {
        if let Err(error) = text.parse::<toml::Table>() {
            return Err(KeyFileFault::Wrong(vec![not_toml(text, &error).into()]));
        }
        toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let missing = MISSING.iter().find(|(begins, _)| error.message().starts_with(begins));
            let form = || FORMS.iter().find(|(field, _)| *field == field_before(text, start));
            let what = missing
                .or_else(form)
                .map_or("this field does not exist, or has another form", |(_, what)| what);
            KeyFileFault::Wrong(vec![ParseFault::at(text, start, what).into()])
        })
    }

    /// The keys by digest, with their fences.
    ///
    /// # Errors
    /// Every record with a fault.
    pub(super) fn into_keys(self, text: &str) -> Result<HashMap<KeyDigest, (Record, Fence)>, KeyFileFault> {
        let mut faults = Vec::new();
        let mut ids = HashSet::new();
        let mut keys = HashMap::with_capacity(self.keys.len());
        for record in self.keys {
            let start = record.span().start;
            let record = record.into_inner();
            let fence = record.fence(text, start, &mut faults);
            let mut fault = |what| faults.push(ParseFault::at(text, start, what).into());
            if record.id.is_empty() || record.user.is_empty() {
                fault("this key has an empty id or user");
            }
            if record.public_texts().any(key::looks_like_one) || record.free_texts().any(key::is_in) {
                fault(
                    "the id, user, note, workspace, a scope or a pattern of this key contains an API key; keys must not be stored in clear",
                );
            }
            if !ids.insert(record.id.clone()) {
                fault("another key before this one has the same id");
            }
            match KeyDigest::parse(&record.digest) {
                None => fault("the digest of this key is not sha256:<64 hex digits>"),
                Some(digest) if keys.contains_key(&digest) => {
                    fault("another key before this one has the same digest")
                }
                Some(digest) => {
                    keys.insert(digest, (record, fence));
                }
            }
        }
        if faults.is_empty() { Ok(keys) } else { Err(KeyFileFault::Wrong(faults)) }
    }
}

impl Record {
    /// The time of its expiry or revocation, if that is over.
    pub fn ended_at(&self, now: Timestamp) -> Option<Timestamp> {
        [self.revoked_at, self.expires_at].into_iter().flatten().filter(|at| *at <= now).min()
    }

    /// The compiled patterns. A list with a fault is told, and none here: nobody uses a file with faults.
    fn fence(&self, text: &str, start: usize, faults: &mut Vec<DocumentFault>) -> Fence {
        let mut compile = |whose, patterns: &Option<Vec<String>>| {
            let fault_of = |fault| DocumentFault::Globs {
                at: ParseFault::at(text, start, whose),
                key_id: without_keys(&self.id).escape_debug().to_string(),
                fault,
            };
            let globs = Globs::try_from(patterns.clone()?).map_err(fault_of);
            globs.map_err(|fault| faults.push(fault)).ok()
        };
        Fence {
            models: compile("the models of the key", &self.models),
            experiments: compile("the experiments of the key", &self.experiments),
        }
    }

    /// The texts that may hold anything.
    fn free_texts(&self) -> impl Iterator<Item = &str> {
        let patterns = [&self.models, &self.experiments].into_iter().flatten().flatten();
        self.note.iter().chain(patterns).map(String::as_str)
    }

    /// The texts that are shown to users and in logs.
    fn public_texts(&self) -> impl Iterator<Item = &str> {
        let scopes = self.scopes.iter().flatten().map(String::as_str);
        let workspace = self.workspace.as_ref().map(Workspace::as_str);
        [&*self.id, &*self.user].into_iter().chain(scopes).chain(workspace)
    }
}

/// A fault in the text of a key file. It quotes the id of a key, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentFault {
    Text(ParseFault),
    /// A list of patterns that cannot be used.
    Globs {
        at: ParseFault,
        key_id: String,
        fault: NotGlobs,
    },
}

impl From<ParseFault> for DocumentFault {
    fn from(fault: ParseFault) -> Self {
        Self::Text(fault)
    }
}

impl fmt::Display for DocumentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(fault) => fault.fmt(f),
            Self::Globs { at, key_id, fault } => write!(f, "{at} {key_id}: {fault}"),
        }
    }
}

/// The position where a text is not TOML.
fn not_toml(text: &str, error: &toml::de::Error) -> ParseFault {
    let start = error.span().map_or(0, |span| span.start);
    let is_twice = error.message().starts_with("duplicate key");
    let what = if is_twice { "this name is there twice" } else { "not TOML; texts must be in quotes" };
    ParseFault::at(text, start, what)
}

/// The name of the field whose value begins at `start`, or has its first item there.
fn field_before(text: &str, start: usize) -> &str {
    let before = text.get(..start).unwrap_or_default().trim_end().trim_end_matches('[').trim_end();
    let Some(name) = before.strip_suffix('=').map(str::trim_end) else { return "" };
    let begin = name.rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map_or(0, |end| end + 1);
    name.get(begin..).unwrap_or_default()
}
