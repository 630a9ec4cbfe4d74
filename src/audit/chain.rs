//! The hash chain: each line has a number, the hash of the line before it, and its own hash.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The hash before the first line.
pub(super) const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// The text before a line's own hash.
const HASH: &str = ",\"hash\":\"";

/// The end of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tip {
    pub(super) number: u64,
    pub(super) hash: String,
}

impl Default for Tip {
    fn default() -> Self {
        Self { number: 0, hash: NOTHING.to_owned() }
    }
}

/// The fields of a line that verification needs: its place in the chain, and those of events.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LineFields {
    pub(super) number: u64,
    pub(super) previous: String,
    pub(super) event: Option<String>,
    pub(super) lost: u64,
    pub(super) changes: u64,
    pub(super) more: u64,
    pub(super) digest: Option<String>,
    pub(super) begun: Option<u64>,
    pub(super) outcome: Option<String>,
}

impl Tip {
    /// The last whole line of `text`.
    pub(super) fn of(text: &str) -> Option<Self> {
        text.lines().rev().find_map(|line| read(line).ok()).map(|(_, tip)| tip)
    }

    /// The next line, with its line end.
    pub(super) fn seal(&mut self, entry: &impl Serialize) -> Result<String, serde_json::Error> {
        let entry = serde_json::to_string(entry)?;
        let number = self.number + 1;
        let open =
            format!("{{\"number\":{number},\"previous\":\"{}\",{}", self.hash, &entry[1..entry.len() - 1]);
        let hash = digest(open.as_bytes());
        let line = format!("{open}{HASH}{hash}\"}}\n");
        *self = Self { number, hash };
        Ok(line)
    }
}

/// Why a line cannot be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unsound {
    /// Its hash does not match. With the place in the chain that it claims.
    Changed(Option<Tip>),
    NotWhole,
}

/// Reads a line, and the end of the chain after it.
pub(super) fn read(line: &str) -> Result<(LineFields, Tip), Unsound> {
    let (open, end) = line.rsplit_once(HASH).ok_or(Unsound::NotWhole)?;
    let hash = end.strip_suffix("\"}").ok_or(Unsound::NotWhole)?.to_owned();
    let fields = serde_json::from_str::<LineFields>(&format!("{open}}}"));
    if digest(open.as_bytes()) != hash {
        return Err(Unsound::Changed(fields.ok().map(|fields| Tip { number: fields.number, hash })));
    }
    let fields = fields.map_err(|_| Unsound::NotWhole)?;
    let tip = Tip { number: fields.number, hash };
    Ok((fields, tip))
}

pub(super) fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_goes_on_behind_the_last_whole_one() {
        let mut tip = Tip::default();
        let text: String = (0..3).map(|at| tip.seal(&json!({ "at": at })).unwrap()).collect();
        assert_eq!(Tip::of(&text), Some(tip.clone()));
        assert_eq!(tip.number, 3);
        assert_eq!(Tip::of(&format!("{text}{{\"number\":4,\"prev")), Some(tip), "a line that broke off");
        assert_eq!(Tip::of("something else\n"), None);
    }
}
