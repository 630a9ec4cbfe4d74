//! Words that keys carry as scopes, and that allow nothing.

use std::path::Path;

use crate::{
    auth::key_file::Record,
    settings::{Policy, Scope, Settings},
};

/// What is said of scopes, where the policy of the settings can be read: words that it knows need no warning.
pub(super) struct ScopeWarnings(Option<Policy>);

impl ScopeWarnings {
    pub(super) fn load(config: Option<&Path>) -> Self {
        Self(Settings::load_policy(config, crate::cli::environment()).ok())
    }

    pub(super) fn of(&self, record: &Record) -> Vec<String> {
        record.scopes.iter().flatten().filter_map(|scope| self.on(scope)).collect()
    }

    pub(super) fn on(&self, scope: &str) -> Option<String> {
        let is_known =
            self.0.as_ref().map_or_else(|| Scope::from_word(scope).is_some(), |policy| policy.knows(scope));
        let near = Scope::like(scope).map_or_else(String::new, |near| format!(" ({} is)", near.word()));
        (!is_known).then(|| {
            format!("{scope} is no scope of the gateway's own{near}: it allows nothing unless policy.aliases says what")
        })
    }
}
