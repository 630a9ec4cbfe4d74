//! The names that a key may change, whoever owns the things.

use serde::{Deserialize, Serialize};

use super::Globs;

/// A key's fence. It says nothing about reading.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Fence {
    /// The registered models that it may change; `None`: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Globs>,
    /// The experiments that it may change, by their names, and everything in them; `None`: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiments: Option<Globs>,
}

impl Fence {
    /// Whether it fences nothing.
    pub fn is_open(&self) -> bool {
        self.models.is_none() && self.experiments.is_none()
    }

    /// Bytes of memory.
    pub(super) fn size(&self) -> usize {
        [&self.models, &self.experiments].into_iter().flatten().map(Globs::size).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_is_kept_as_the_lists_that_were_written() {
        let written = r#"{"models":["acme-*"],"experiments":[]}"#;
        let fence: Fence = serde_json::from_str(written).unwrap();
        assert_eq!(serde_json::to_string(&fence).unwrap(), written);
        assert!(serde_json::from_str::<Fence>(r#"{"models":["[a"]}"#).is_err());
        assert!(serde_json::from_str::<Fence>("{}").unwrap().is_open());
    }

    #[test]
    fn a_list_without_patterns_is_a_fence() {
        for written in [r#"{"models":[]}"#, r#"{"experiments":[]}"#] {
            assert!(!serde_json::from_str::<Fence>(written).unwrap().is_open(), "{written}");
        }
    }
}
