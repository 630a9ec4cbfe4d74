//! Patterns of names.

use std::{fmt, mem};

use globset::GlobBuilder;
use regex_automata::{
    nfa::thompson::{self, WhichCaptures, pikevm::PikeVM},
    util::syntax,
};
use serde::{Deserialize, Serialize};

/// The most patterns of a list, and the longest of them in characters.
const MAX_GLOBS: usize = 100;
const MAX_GLOB: usize = 256;
/// The most memory of a compiled list, in bytes: 100 patterns of 20 characters.
const MAX_COMPILED: usize = 128 * 1024;

/// Patterns of names, compiled once. `*` crosses slashes; case counts. No pattern matches nothing.
///
/// They are globset's. But its own sets keep a cache of up to 10 MiB a thread, and the gateway has a list for each key that it
/// knows: so a list is compiled to what cannot grow.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Globs {
    patterns: Vec<String>,
    compiled: PikeVM,
}

/// Why a list cannot be used as patterns. The patterns are not quoted: they come from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotGlobs {
    #[error("pattern {0} cannot be read: `*`, `?`, `[a-z]` in ASCII and `{{a,b}}` are known")]
    Unreadable(usize),
    #[error("pattern {0} has more than {MAX_GLOB} characters")]
    TooLong(usize),
    #[error("there are more than {MAX_GLOBS} patterns")]
    TooMany,
    #[error("the patterns are too large together: write fewer, or shorter ones")]
    TooLarge,
}

impl Globs {
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    pub fn fit(&self, name: &str) -> bool {
        self.compiled.is_match(&mut self.compiled.create_cache(), name)
    }

    /// Bytes of memory.
    pub(super) fn size(&self) -> usize {
        let texts: usize = self.patterns.iter().map(|pattern| mem::size_of::<String>() + pattern.len()).sum();
        texts + self.compiled.get_nfa().memory_usage()
    }
}

impl TryFrom<Vec<String>> for Globs {
    type Error = NotGlobs;

    /// Patterns are counted from 1.
    fn try_from(patterns: Vec<String>) -> Result<Self, NotGlobs> {
        if patterns.len() > MAX_GLOBS {
            return Err(NotGlobs::TooMany);
        }
        let read = (1..).zip(&patterns).map(|(number, pattern)| regex(number, pattern));
        let regexes = read.collect::<Result<Vec<_>, _>>()?;
        let compiled = PikeVM::builder()
            .syntax(syntax::Config::new().utf8(false).dot_matches_new_line(true))
            .thompson(
                thompson::Config::new()
                    .utf8(false)
                    .which_captures(WhichCaptures::None)
                    .nfa_size_limit(Some(MAX_COMPILED)),
            )
            .build_many(&regexes);
        Ok(Self { patterns, compiled: compiled.map_err(|_| NotGlobs::TooLarge)? })
    }
}

/// The regular expression of one pattern: of bytes, as globset writes it.
fn regex(number: usize, pattern: &str) -> Result<String, NotGlobs> {
    if pattern.chars().nth(MAX_GLOB).is_some() {
        return Err(NotGlobs::TooLong(number));
    }
    // A class matches one byte: a letter beyond ASCII in it would match parts of others.
    let classes = pattern.find('[').zip(pattern.rfind(']')).and_then(|(from, to)| pattern.get(from..to));
    if classes.is_some_and(|classes| !classes.is_ascii()) {
        return Err(NotGlobs::Unreadable(number));
    }
    let glob = GlobBuilder::new(pattern).literal_separator(false).backslash_escape(true).build();
    glob.map(|glob| glob.regex().to_owned()).map_err(|_| NotGlobs::Unreadable(number))
}

impl From<Globs> for Vec<String> {
    fn from(globs: Globs) -> Self {
        globs.patterns
    }
}

impl fmt::Debug for Globs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Globs").field(&self.patterns).finish()
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
            (&["acme-*"], "acme", false),
            (&["acme-*"], "xacme-churn", false),
            (&["acme-*"], "ACME-churn", false),
            (&["acme-*"], " acme-churn", false),
            (&["acme-*"], "x\nacme-churn", false),
            (&["acme-*"], "acme-\nchurn", true),
            (&["acme"], "acme\n", false),
            (&["*-acme"], "a-acme", true),
            (&["*-acme"], "a-acme-b", false),
            (&["*.acme"], "a/b.acme", true),
            (&["*.acme"], "a.acme/b", false),
            (&["acme/*"], "acme/a/b", true),
            (&["acme/*"], "acme", false),
            (&["acme/**"], "acme/a/b", true),
            (&["a?c"], "a/c", true),
            (&["a?c"], "ac", false),
            (&["{a,b}-[0-9]"], "b-7", true),
            (&["{a,b}-[0-9]"], "c-7", false),
            (&["[!a]*"], "acme", false),
            (&["a", "b"], "b", true),
            (&["a*", "*b"], "cc", false),
            (&["caf\u{e9}*"], "caf\u{e9}-x", true),
            (&["caf\u{e9}*"], "cafe\u{301}", false),
            (&["caf\u{e9}-[0-9]"], "caf\u{e9}-7", true),
            (&["*"], "", true),
            (&["*"], "caf\u{e9}", true),
            (&[""], "", true),
            (&[""], "a", false),
            (&[], "", false),
            (&[], "a", false),
            (&["\\*"], "*", true),
            (&["\\*"], "a", false),
            (&["a.c"], "abc", false),
            (&["(a|b)+$"], "a", false),
            (&["acme"], "a*", false),
            (&["acme"], "*", false),
        ] {
            assert_eq!(globs(patterns).unwrap().fit(name), inside, "{patterns:?} {name:?}");
        }
    }

    #[test]
    fn patterns_that_cannot_be_used_are_refused_by_number() {
        let long = "b".repeat(MAX_GLOB + 1);
        for (patterns, expected) in [
            (&["a", "[b"][..], NotGlobs::Unreadable(2)),
            (&["{a"], NotGlobs::Unreadable(1)),
            (&["a}"], NotGlobs::Unreadable(1)),
            (&["[b-a]"], NotGlobs::Unreadable(1)),
            (&["a\\"], NotGlobs::Unreadable(1)),
            (&["[\u{e9}]*"], NotGlobs::Unreadable(1)),
            (&["[]\u{e9}]*"], NotGlobs::Unreadable(1)),
            (&["a", &long], NotGlobs::TooLong(2)),
            (&["a"; MAX_GLOBS + 1], NotGlobs::TooMany),
            (&[&"b".repeat(MAX_GLOB)[..]; MAX_GLOBS], NotGlobs::TooLarge),
        ] {
            assert_eq!(globs(patterns).unwrap_err(), expected, "{patterns:.80?}");
        }
    }

    #[test]
    fn a_list_that_is_taken_is_small_and_a_usual_one_is_taken() {
        let usual: Vec<_> = (0..MAX_GLOBS).map(|number| format!("team-{number:03}/models-*")).collect();
        let alternatives = vec![format!("{{{}}}", ["a"; 127].join(",")); 20];
        let questions = vec!["*a?".repeat(20); 20];
        let classes = vec!["[acegikmoqsuwy]".repeat(5); 20];
        for patterns in [usual, alternatives, questions, classes] {
            let shown = patterns[0].clone();
            let globs = Globs::try_from(patterns).unwrap_or_else(|fault| panic!("{shown}: {fault}"));
            assert!(globs.size() <= MAX_COMPILED, "{shown}: {}", globs.size());
        }
    }
}
