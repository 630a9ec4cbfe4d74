//! A person of whom an issuer has said who she is: what her session carries in place of a key.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Times are in seconds since 1970, by this gateway's clock. Its Debug output shows only the issuer.
#[derive(Clone, Serialize, Deserialize)]
pub struct Person {
    /// Random: what is remembered of her session.
    pub(crate) id: String,
    pub(crate) issuer: String,
    /// Each claim that the issuer's rules and user name, by the name that they have there; `null` where the issuer says nothing.
    pub(crate) claims: Map<String, Value>,
    /// When she logged in.
    pub(crate) since: i64,
    /// When the issuer last said so.
    pub(crate) checked: i64,
    /// What it is asked again with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh: Option<String>,
    /// When the session ends.
    pub(crate) ends: i64,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}
