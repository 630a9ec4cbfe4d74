//! The owner of a valid key.

use std::num::NonZeroU32;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Fence;

/// The identity that a verifier returns. Whether it is enough for a request, `policy` decides on every request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Principal {
    pub user_id: Option<String>,
    pub key_id: Option<String>,
    /// `None` if the verifier names no scopes; an empty list is a key that may do nothing.
    pub scopes: Option<Vec<String>>,
    /// The verifier says that it may do everything.
    pub is_admin: bool,
    /// The only workspace of MLflow that it may see; `None`: any.
    pub workspace: Option<Workspace>,
    /// Which names it may change.
    pub fence: Fence,
    pub expires_at: Option<Timestamp>,
    /// `None`: the settings' number. So of the two below.
    pub rate_limit_per_hour: Option<NonZeroU32>,
    /// Requests at once.
    pub concurrent: Option<NonZeroU32>,
    /// New experiments, runs and models.
    pub creates_per_hour: Option<NonZeroU32>,
}

impl Principal {
    /// By what keys are told apart where their requests are counted. Those without an id and a user are one.
    pub(crate) fn counted_as(&self) -> &str {
        self.key_id.as_deref().or(self.user_id.as_deref()).unwrap_or_default()
    }
}

/// The name of a workspace of MLflow's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Workspace(String);

impl Workspace {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Workspace {
    type Error = NotAWorkspace;

    /// As MLflow names them: 2 to 63 of `a-z`, `0-9` and inner `-` (mlflow/store/workspace/abstract_store.py,
    /// `WorkspaceNameValidator`).
    fn try_from(name: String) -> Result<Self, Self::Error> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = (2..=63).contains(&name.len())
            && name.bytes().all(plain)
            && !name.starts_with('-')
            && !name.ends_with('-');
        if fits { Ok(Self(name)) } else { Err(NotAWorkspace) }
    }
}

impl From<Workspace> for String {
    fn from(Workspace(name): Workspace) -> Self {
        name
    }
}

/// A text that is not the name of a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a workspace's name is 2 to 63 lower-case letters, digits and inner hyphens")]
pub struct NotAWorkspace;
