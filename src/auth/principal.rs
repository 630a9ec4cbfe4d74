//! Who a valid key belongs to.

use std::num::NonZeroU32;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a verifier vouches for. Whether it is enough for a request is for `policy` to say, on every request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Principal {
    pub user_id: Option<String>,
    pub key_id: Option<String>,
    /// `None` when the verifier says nothing of scopes; an empty list is a key that may do nothing.
    pub scopes: Option<Vec<String>>,
    pub expires_at: Option<Timestamp>,
    /// `None`: the settings' number.
    pub rate_limit_per_hour: Option<NonZeroU32>,
}
