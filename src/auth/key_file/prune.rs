//! What has ended leaves the key file.

use std::{collections::HashSet, path::Path};

use jiff::Timestamp;
use toml_edit::{Item, RawString, Table};

use super::{
    Record,
    edit::{EditError, HEADER, change, list},
};

/// What a pruning takes away.
#[derive(Debug)]
pub struct Pruned {
    /// In the order of the file.
    pub removed: Vec<Record>,
    /// The key that ended last, which stays where no other would: a file without keys is taken for a mistake.
    pub kept: Option<Record>,
}

/// What [`prune`] would remove.
///
/// # Errors
/// A file that cannot be read.
pub fn would_prune(path: &Path, before: Timestamp) -> Result<Pruned, EditError> {
    Ok(ended(&list(path)?, before))
}

/// Removes the keys that ended (expired, or were revoked) before `before`, with the comments above them.
///
/// # Errors
/// A file that cannot be read or written.
pub fn prune(path: &Path, before: Timestamp) -> Result<Pruned, EditError> {
    change(path, |document, records| {
        let pruned = ended(records, before);
        let ids: HashSet<&str> = pruned.removed.iter().map(|record| &*record.id).collect();
        if let Some(tables) = document.get_mut("keys").and_then(Item::as_array_of_tables_mut) {
            let is_gone =
                |table: &Table| table.get("id").and_then(Item::as_str).is_some_and(|id| ids.contains(id));
            let had_header = tables.get(0).is_some_and(|first| prefix(first).starts_with(HEADER));
            tables.retain(|table| !is_gone(table));
            if let Some(first) =
                tables.get_mut(0).filter(|first| had_header && !prefix(first).starts_with(HEADER))
            {
                let below = format!("{HEADER}{}", prefix(first));
                first.decor_mut().set_prefix(below);
            }
        }
        Ok(pruned)
    })
}

fn ended(records: &[Record], before: Timestamp) -> Pruned {
    let ended_at = |record: &Record| record.ended_at(Timestamp::now()).filter(|at| *at <= before);
    let mut removed: Vec<Record> =
        records.iter().filter(|record| ended_at(record).is_some()).cloned().collect();
    let mut kept = None;
    if removed.len() == records.len() {
        let last = removed.iter().enumerate().max_by_key(|(_, record)| ended_at(record)).map(|(at, _)| at);
        kept = last.map(|at| removed.remove(at));
    }
    Pruned { removed, kept }
}

/// The comments and empty lines above a key.
fn prefix(table: &Table) -> &str {
    table.decor().prefix().and_then(RawString::as_str).unwrap_or_default()
}
