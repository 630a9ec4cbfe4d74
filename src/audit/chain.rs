//! Lines that hold each other: each has a number, the hash of the one before it, and its own.

use std::fmt;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::Record;

/// The hash before the first line.
const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// What stands before a line's own hash.
const HASH: &str = ",\"hash\":\"";

/// The end of a chain, to which the next line is added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tip {
    number: u64,
    hash: String,
}

impl Default for Tip {
    fn default() -> Self {
        Self { number: 0, hash: NOTHING.to_owned() }
    }
}

#[derive(Deserialize)]
struct Link {
    number: u64,
    previous: String,
}

impl Tip {
    /// The end of what `text` holds: its last whole line.
    pub(super) fn of(text: &str) -> Option<Self> {
        text.lines()
            .rev()
            .find_map(|line| read(line).ok())
            .map(|(link, hash)| Self { number: link.number, hash })
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The next line, with its line end.
    pub(super) fn seal(&mut self, record: &Record) -> Result<String, serde_json::Error> {
        let record = serde_json::to_string(record)?;
        let number = self.number + 1;
        let open =
            format!("{{\"number\":{number},\"previous\":\"{}\",{}", self.hash, &record[1..record.len() - 1]);
        let hash = hex::encode(Sha256::digest(open.as_bytes()));
        let line = format!("{open}{HASH}{hash}\"}}\n");
        *self = Self { number, hash };
        Ok(line)
    }
}

/// Why a stream is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line in the file, from 1.
    pub line: usize,
    pub what: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// Looks at every line of a stream, and tells the numbers of the first and the last one; `None` if there is none. It is for
/// the reader to know whether the first should be 1.
///
/// # Errors
/// The first line that was changed, or before which one is missing or stands elsewhere. That lines are missing at the end
/// nothing in the file can tell.
pub fn verify(text: &str) -> Result<Option<(u64, u64)>, Fault> {
    let (mut tip, mut first): (Option<Tip>, _) = (None, None);
    for (at, line) in text.lines().enumerate() {
        let fault = |what| Fault { line: at + 1, what };
        let (link, hash) = read(line).map_err(fault)?;
        let follows = match &tip {
            Some(tip) => link.previous == tip.hash && link.number == tip.number + 1,
            None => link.number > 1 || link.previous == NOTHING,
        };
        if !follows {
            return Err(fault(
                "does not follow the line before it: one is missing, or they were put in another order",
            ));
        }
        first.get_or_insert(link.number);
        tip = Some(Tip { number: link.number, hash });
    }
    Ok(first.zip(tip.map(|tip| tip.number)))
}

fn read(line: &str) -> Result<(Link, String), &'static str> {
    let (open, end) = line.rsplit_once(HASH).ok_or("is not a whole line of an audit stream")?;
    let hash = end.strip_suffix("\"}").ok_or("is not a whole line of an audit stream")?;
    if hex::encode(Sha256::digest(open.as_bytes())) != hash {
        return Err("was changed: its hash is another one");
    }
    let link = serde_json::from_str(&format!("{open}}}")).map_err(|_| "is not a line of an audit stream")?;
    Ok((link, hash.to_owned()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::audit) fn record(path: &str) -> Record {
        Record {
            time: "2026-01-01T00:00:00Z".parse().unwrap(),
            request_id: "r-1".to_owned(),
            key_id: Some("k-1".to_owned()),
            user_id: None,
            workspace: None,
            client_ip: None,
            route: "delete",
            operation: None,
            method: "POST",
            path: path.to_owned(),
            subject: serde_json::Map::new(),
            outcome: "ok",
            status: 200,
            reason: None,
            key_state: None,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    fn stream(lines: usize) -> Vec<String> {
        let mut tip = Tip::default();
        (0..lines).map(|line| tip.seal(&record(&format!("/{line}"))).unwrap()).collect()
    }

    #[test]
    fn a_stream_as_it_was_written_is_whole_and_goes_on_behind_its_end() {
        let text = stream(3).concat();
        assert_eq!(verify(&text), Ok(Some((1, 3))));
        let next = Tip::of(&text).unwrap().seal(&record("/next")).unwrap();
        assert_eq!(verify(&format!("{text}{next}")), Ok(Some((1, 4))));
        assert_eq!(verify(&next), Ok(Some((4, 4))), "the first line of the file behind a rotation");
        assert_eq!(Tip::of(&format!("{text}{{\"number\":4,\"prev")), Tip::of(&text), "a line that broke off");
        assert_eq!(verify(""), Ok(None));
    }

    #[test]
    fn whatever_is_changed_missing_or_moved_is_found_where_it_is() {
        let lines = stream(4);
        for (name, text, line) in [
            ("a field", lines.concat().replace("\"/1\"", "\"/x\""), 2),
            ("the last line", lines.concat().replace("\"/3\"", "\"/x\""), 4),
            ("a line is missing", [&lines[0], &lines[2]].map(String::as_str).concat(), 2),
            ("two change places", [&lines[0], &lines[2], &lines[1]].map(String::as_str).concat(), 2),
            ("one is there twice", [&lines[0], &lines[0]].map(String::as_str).concat(), 2),
            ("one is added", [&lines[0][..], "{}\n", &lines[1]].concat(), 2),
            ("one is empty", [&lines[0][..], "\n", &lines[1]].concat(), 2),
            ("the last one broke off", lines.concat()[..lines.concat().len() - 5].to_owned(), 4),
        ] {
            assert_eq!(verify(&text).unwrap_err().line, line, "{name}");
        }
    }
}
