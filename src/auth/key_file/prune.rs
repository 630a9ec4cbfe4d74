//! Removes keys from the file that expired or were revoked.

use std::{collections::HashSet, path::Path};

use jiff::Timestamp;
use toml_edit::{Item, RawString, Table};

use super::{
    Record,
    edit::{EditError, HEADER, change, list},
};

/// The result of a pruning.
#[derive(Debug)]
pub struct Pruned {
    /// In the order of the file.
    pub removed: Vec<Record>,
    /// The key that ended last. It stays if no other does, because a file without keys counts as a mistake.
    pub kept: Option<Record>,
}

/// What [`prune`] would remove.
///
/// # Errors
/// A file that cannot be read.
pub fn preview_prune(path: &Path, before: Timestamp) -> Result<Pruned, EditError> {
    Ok(ended(&list(path)?, before).1)
}

/// Removes the keys that ended (expired, or were revoked) before `before`, with the comments above them.
///
/// # Errors
/// A file that cannot be read or written.
pub fn prune(path: &Path, before: Timestamp) -> Result<Pruned, EditError> {
    change(path, |document, records| {
        // Not by id: another key may have the same, by mistake, and be in force.
        let (gone, pruned) = ended(records, before);
        if let Some(tables) = document.get_mut("keys").and_then(Item::as_array_of_tables_mut) {
            let had_header = tables.get(0).is_some_and(|first| prefix(first).starts_with(HEADER));
            let mut at = 0..;
            tables.retain(|_| at.next().is_none_or(|at| !gone.contains(&at)));
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

/// Also returns the positions of the removed keys.
fn ended(records: &[Record], before: Timestamp) -> (HashSet<usize>, Pruned) {
    let ended_at = |record: &Record| record.ended_at(Timestamp::now()).filter(|at| *at <= before);
    let mut gone: Vec<usize> = (0..records.len()).filter(|at| ended_at(&records[*at]).is_some()).collect();
    let mut kept = None;
    if gone.len() == records.len() {
        let last = (0..gone.len()).max_by_key(|at| ended_at(&records[*at]));
        kept = last.map(|at| records[gone.remove(at)].clone());
    }
    let removed = gone.iter().map(|at| records[*at].clone()).collect();
    (gone.into_iter().collect(), Pruned { removed, kept })
}

/// The comments and empty lines above a key.
fn prefix(table: &Table) -> &str {
    table.decor().prefix().and_then(RawString::as_str).unwrap_or_default()
}
