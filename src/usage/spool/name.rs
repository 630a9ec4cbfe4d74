//! The names of files in the spool: whose they are, and what is in them.

use std::fmt;

use uuid::Uuid;

/// The file of one process. The first part is the process's own id, by which its files are told from those of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileName {
    pub(super) owner: Uuid,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Locked for as long as its process lives.
    Lock,
    /// The batch that is added to.
    Open(Uuid),
    /// One that is complete, with the milliseconds since 1970 at which it begins, and how many requests it tells of.
    Sealed { from: i64, id: Uuid, requests: u64 },
    /// What is being written.
    Temporary,
}

impl FileName {
    /// `None` for files that are no process's of ours.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let parts: Vec<&str> = name.split('.').collect();
        let (owner, kind) = parts.split_first()?;
        let kind = match *kind {
            ["lock"] => Kind::Lock,
            ["temporary"] => Kind::Temporary,
            [id, "open"] => Kind::Open(Uuid::try_parse(id).ok()?),
            [from, id, requests, "batch"] => Kind::Sealed {
                from: from.parse().ok()?,
                id: Uuid::try_parse(id).ok()?,
                // What is counted by a name that somebody made up is not beyond belief.
                requests: requests.parse::<u32>().ok()?.into(),
            },
            _ => return None,
        };
        let parsed = Self { owner: Uuid::try_parse(owner).ok()?, kind };
        // There is one way to write it, and no other is ours.
        (parsed.to_string() == name).then_some(parsed)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.", self.owner)?;
        match self.kind {
            Kind::Lock => f.write_str("lock"),
            Kind::Temporary => f.write_str("temporary"),
            Kind::Open(id) => write!(f, "{id}.open"),
            // As wide as the years to come, so that a listing is in the order of time.
            Kind::Sealed { from, id, requests } => write!(f, "{from:013}.{id}.{requests}.batch"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written_and_others_are_not_ours() {
        let owner = Uuid::new_v4();
        let id = Uuid::new_v4();
        let sealed = Kind::Sealed { from: 1_796_000_000_000, id, requests: 12 };
        for kind in [Kind::Lock, Kind::Temporary, Kind::Open(id), sealed] {
            let name = FileName { owner, kind };
            assert_eq!(FileName::parse(&name.to_string()), Some(name));
        }
        let ours = FileName { owner, kind: sealed }.to_string();
        for name in [
            "",
            "lock",
            "notes.txt",
            "..lock",
            &ours.to_uppercase(),
            &ours.replace(".12.", ".+12."),
            &ours.replace(".12.", ".99999999999."),
            &ours.replace(".1796", ".01796"),
            &format!("{ours}.gz"),
            &format!("{}.lock", owner.simple()),
        ] {
            assert_eq!(FileName::parse(name), None, "{name}");
        }
    }
}
