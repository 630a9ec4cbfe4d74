//! Warnings about scopes of keys that allow nothing.

use std::path::Path;

use crate::{
    auth::key_file::Record,
    settings::{Policy, Scope, Settings},
};

/// Warns of unknown scopes. The policy of the settings, if it can be read, knows more scopes.
pub(super) struct ScopeWarnings(Option<Policy>);

impl ScopeWarnings {
    pub(super) fn load(config: Option<&Path>) -> Self {
        Self(Settings::load_section(config, crate::cli::environment(), Policy::read).ok())
    }

    pub(super) fn of(&self, record: &Record) -> Vec<String> {
        record.scopes.iter().flatten().filter_map(|scope| self.on(scope)).collect()
    }

    pub(super) fn on(&self, scope: &str) -> Option<String> {
        let is_known =
            self.0.as_ref().map_or_else(|| Scope::from_word(scope).is_some(), |policy| policy.knows(scope));
        let near = Scope::like(scope).map_or_else(String::new, |near| format!(" ({} is)", near.word()));
        (!is_known).then(|| {
            format!(
                "{scope} is not a scope of the gateway{near}: it allows nothing unless policy.aliases has it"
            )
        })
    }
}
