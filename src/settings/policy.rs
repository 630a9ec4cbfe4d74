//! The scopes of keys.

use std::collections::BTreeMap;

use super::{
    Mode,
    reader::{Noted, Reader},
    value::{FromText, section, words},
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
    /// Whether owners are judged.
    pub ownership: Mode,
    /// Things without an owner.
    pub unowned: Unowned,
    /// Whether those who register versions also decide which one is in use.
    pub promotion: Promotion,
}

words! {
    /// Who may change a thing without an owner.
    pub enum Unowned {
        /// Everybody who may change things.
        Open = "open",
        /// Administrators.
        Closed = "closed",
    }
}

words! {
    /// The scope for deciding which version of a model is in use, by aliases and stages.
    pub enum Promotion {
        /// `mlflow:write` includes it.
        Write = "write",
        /// It requires a scope of its own, `mlflow:promote`.
        Separate = "separate",
    }
}

words! {
    /// A scope of a key. `policy::scopes` has the routes that each allows.
    pub enum Scope {
        Read = "mlflow:read",
        Write = "mlflow:write",
        Delete = "mlflow:delete",
        Admin = "mlflow:admin",
        RegistryWrite = "mlflow:registry_write",
        Promote = "mlflow:promote",
        ArtifactRead = "mlflow:artifact_read",
        ArtifactWrite = "mlflow:artifact_write",
        TraceWrite = "mlflow:trace_write",
        GatewayInvoke = "mlflow:gateway_invoke",
        Ui = "mlflow:ui",
    }
}

/// The similarity from which a word counts as a misprint of a scope; 1 is equal.
const LIKENESS: f64 = 0.7;

impl Scope {
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
}

impl Policy {
    /// Whether a word is a scope or an alias.
    pub fn knows(&self, word: &str) -> bool {
        self.aliases.contains_key(word) || Scope::from_word(word).is_some()
    }

    pub(crate) fn read(reader: &mut Reader) -> Result<Self, Noted> {
        section!(Self {
            mode: reader.value("policy.mode"),
            default_scopes: reader.list("policy.default_scopes"),
            aliases: reader.table_of_lists("policy.aliases"),
            ownership: reader.value("policy.ownership"),
            unowned: reader.value("policy.unowned"),
            promotion: Self::read_promotion(reader),
        })
    }

    /// Of this section, the command `routes` needs no other setting.
    pub(crate) fn read_promotion(reader: &mut Reader) -> Result<Promotion, Noted> {
        reader.value("policy.promotion")
    }
}
