//! Parses the arguments of `keys`. No message quotes one: it may be a key in the wrong place.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::auth::{Globs, NotAWorkspace, NotGlobs, Workspace, key};

/// The longest note, and the longest name of a user or a scope, in characters.
const LONGEST_NOTE: usize = 200;
const LONGEST_NAME: usize = 256;

pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    humantime::parse_duration(text).map_err(|_| "is not a duration such as 90d or 24h")
}

/// The lifetime of a key: times in the key file are whole seconds.
pub(super) fn lifetime(text: &str) -> Result<Duration, &'static str> {
    let lifetime = duration(text)?;
    if lifetime < Duration::from_secs(1) {
        return Err("is shorter than a second: the key would end before anybody can use it");
    }
    Ok(lifetime)
}

pub(in crate::cli) fn workspace(name: &str) -> Result<Workspace, NotAWorkspace> {
    Workspace::try_from(name.to_owned())
}

/// A user or a scope.
pub(in crate::cli) fn name(text: &str) -> Result<String, &'static str> {
    one_line(text, LONGEST_NAME)
}

/// A pattern of names, or an empty text, which stands for none.
pub(super) fn pattern(text: &str) -> Result<String, &'static str> {
    if text.is_empty() { Ok(String::new()) } else { one_line(text, LONGEST_NAME) }
}

/// The patterns of an option, if it is given. An empty one alone: the key may change nothing of this kind.
pub(super) fn patterns(given: Option<Vec<String>>) -> Result<Option<Vec<String>>, NotGlobs> {
    let Some(mut patterns) = given else { return Ok(None) };
    if patterns == [""] {
        patterns.clear();
    }
    Globs::try_from(patterns).map(|globs| Some(globs.into()))
}

pub(super) fn note(text: &str) -> Result<String, &'static str> {
    one_line(text, LONGEST_NOTE)
}

fn one_line(text: &str, longest: usize) -> Result<String, &'static str> {
    if text.trim().is_empty() {
        return Err("is empty");
    }
    if text.chars().count() > longest {
        return Err("is too long");
    }
    if text.chars().any(char::is_control) {
        return Err("has a line end or another control character");
    }
    if key::is_in(text) {
        return Err("contains an API key");
    }
    Ok(text.to_owned())
}

pub(super) fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

pub(super) fn from_now(duration: Duration) -> Timestamp {
    Timestamp::now().saturating_add(signed(duration)).unwrap_or(Timestamp::MAX)
}
