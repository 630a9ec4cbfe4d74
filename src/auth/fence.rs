//! The names that a key may change, whoever owns the things.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

/// The most patterns of a key, and the longest of them in characters.
const MAX_GLOBS: usize = 100;
const MAX_GLOB: usize = 256;

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

/// Patterns of names, compiled once. `*` crosses slashes; case counts. No pattern matches nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Globs {
    patterns: Vec<String>,
    set: GlobSet,
}

/// A list that cannot be used as patterns. The patterns are not quoted: they come from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotGlobs {
    #[error("pattern {0} cannot be read: `*`, `?`, `[a-z]` and `{{a,b}}` are known")]
    Unreadable(usize),
    #[error("pattern {0} has more than {MAX_GLOB} characters")]
    TooLong(usize),
    #[error("there are more than {MAX_GLOBS} patterns")]
    TooMany,
}

impl Fence {
    /// Whether it fences nothing.
    pub fn is_open(&self) -> bool {
        self.models.is_none() && self.experiments.is_none()
    }
}

impl Globs {
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    pub fn fit(&self, name: &str) -> bool {
        self.set.is_match(name)
    }
}

impl TryFrom<Vec<String>> for Globs {
    type Error = NotGlobs;

    /// Patterns are counted from 1.
    fn try_from(patterns: Vec<String>) -> Result<Self, NotGlobs> {
        if patterns.len() > MAX_GLOBS {
            return Err(NotGlobs::TooMany);
        }
        let mut set = GlobSetBuilder::new();
        for (number, pattern) in (1..).zip(&patterns) {
            if pattern.chars().nth(MAX_GLOB).is_some() {
                return Err(NotGlobs::TooLong(number));
            }
            let glob = GlobBuilder::new(pattern).literal_separator(false).build();
            set.add(glob.map_err(|_| NotGlobs::Unreadable(number))?);
        }
        // Each pattern compiles alone; together they may be too large.
        let set = set.build().map_err(|_| NotGlobs::TooMany)?;
        Ok(Self { patterns, set })
    }
}

impl From<Globs> for Vec<String> {
    fn from(globs: Globs) -> Self {
        globs.patterns
    }
}

impl PartialEq for Globs {
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
    }
}

impl Eq for Globs {}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(patterns: &[&str]) -> Result<Globs, NotGlobs> {
        patterns.iter().map(|&pattern| pattern.to_owned()).collect::<Vec<_>>().try_into()
    }

    #[test]
    fn a_name_is_inside_if_one_pattern_fits_all_of_it() {
        for (patterns, name, inside) in [
            (&["acme-*"][..], "acme-churn", true),
            (&["acme-*"], "acme-", true),
            (&["acme-*"], "xacme-churn", false),
            (&["acme-*"], "ACME-churn", false),
            (&["acme/*"], "acme/a/b", true),
            (&["acme/*"], "acme", false),
            (&["a?c"], "a/c", true),
            (&["{a,b}-[0-9]"], "b-7", true),
            (&["a", "b"], "b", true),
            (&["caf\u{e9}*"], "cafe\u{301}", false),
            (&["*"], "", true),
            (&[""], "", true),
            (&[], "", false),
            (&["\\*"], "*", true),
            (&["\\*"], "a", false),
        ] {
            assert_eq!(globs(patterns).unwrap().fit(name), inside, "{patterns:?} {name}");
        }
    }

    #[test]
    fn patterns_that_cannot_be_used_are_refused_by_number() {
        assert_eq!(globs(&["a", "[b"]).unwrap_err(), NotGlobs::Unreadable(2));
        assert_eq!(globs(&["{a"]).unwrap_err(), NotGlobs::Unreadable(1));
        assert_eq!(globs(&["a", &"b".repeat(257)]).unwrap_err(), NotGlobs::TooLong(2));
        assert_eq!(globs(&["a"; 101]).unwrap_err(), NotGlobs::TooMany);
    }

    #[test]
    fn a_fence_is_kept_as_the_lists_that_were_written() {
        let written = r#"{"models":["acme-*"],"experiments":[]}"#;
        let fence: Fence = serde_json::from_str(written).unwrap();
        assert_eq!(serde_json::to_string(&fence).unwrap(), written);
        assert!(serde_json::from_str::<Fence>(r#"{"models":["[a"]}"#).is_err());
        assert!(serde_json::from_str::<Fence>("{}").unwrap().is_open());
    }
}
