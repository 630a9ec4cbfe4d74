//! The scopes of keys.

use std::collections::BTreeMap;

use super::{
    Mode,
    reader::Reader,
    value::{FromText, words},
};

/// `[policy]`
#[derive(Debug, Clone)]
pub struct Policy {
    /// Whether scopes are enforced.
    pub mode: Mode,
    /// The scopes of a key without a list of scopes. A key with an empty list has none.
    pub default_scopes: Vec<Scope>,
    /// Other words for scopes, and the scopes that they stand for.
    pub aliases: BTreeMap<String, Vec<Scope>>,
}

/// A scope of a key. `policy::scopes` has the routes that each allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Read,
    Write,
    Delete,
    Admin,
    RegistryWrite,
    ArtifactRead,
    ArtifactWrite,
    TraceWrite,
    GatewayInvoke,
    Ui,
}

words!(
    Scope,
    "mlflow:read" => Self::Read,
    "mlflow:write" => Self::Write,
    "mlflow:delete" => Self::Delete,
    "mlflow:admin" => Self::Admin,
    "mlflow:registry_write" => Self::RegistryWrite,
    "mlflow:artifact_read" => Self::ArtifactRead,
    "mlflow:artifact_write" => Self::ArtifactWrite,
    "mlflow:trace_write" => Self::TraceWrite,
    "mlflow:gateway_invoke" => Self::GatewayInvoke,
    "mlflow:ui" => Self::Ui
);

/// The similarity from which a word counts as a misprint of a scope; 1 is equal.
const LIKENESS: f64 = 0.7;

impl Scope {
    pub const ALL: [Self; 10] = [
        Self::Read,
        Self::Write,
        Self::Delete,
        Self::Admin,
        Self::RegistryWrite,
        Self::ArtifactRead,
        Self::ArtifactWrite,
        Self::TraceWrite,
        Self::GatewayInvoke,
        Self::Ui,
    ];

    pub fn from_word(word: &str) -> Option<Self> {
        Self::from_text(word).ok()
    }

    /// The scope that a misprint probably means.
    pub fn like(word: &str) -> Option<Self> {
        let likeness =
            |scope: &Self| strsim::normalized_damerau_levenshtein(scope.word(), &word.to_lowercase());
        let near = Self::ALL.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        // Also `read` for `mlflow:read`.
        let bare =
            Self::ALL.into_iter().find(|scope| scope.word().ends_with(&format!(":{}", word.to_lowercase())));
        bare.or_else(|| near.filter(|scope| likeness(scope) >= LIKENESS))
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "mlflow:read",
            Self::Write => "mlflow:write",
            Self::Delete => "mlflow:delete",
            Self::Admin => "mlflow:admin",
            Self::RegistryWrite => "mlflow:registry_write",
            Self::ArtifactRead => "mlflow:artifact_read",
            Self::ArtifactWrite => "mlflow:artifact_write",
            Self::TraceWrite => "mlflow:trace_write",
            Self::GatewayInvoke => "mlflow:gateway_invoke",
            Self::Ui => "mlflow:ui",
        }
    }
}

impl Policy {
    /// Whether a word is a scope or an alias.
    pub fn knows(&self, word: &str) -> bool {
        self.aliases.contains_key(word) || Scope::from_word(word).is_some()
    }

    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let mode = reader.value("policy.mode");
        let default_scopes = reader.list("policy.default_scopes");
        let aliases = reader.table_of_lists("policy.aliases");
        Some(Self { mode: mode?, default_scopes: default_scopes?, aliases: aliases? })
    }
}
