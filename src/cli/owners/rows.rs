//! Results that are printed as they come: lines, or the items of one JSON array.

use serde_json::{Value, json};

use super::walk::Found;
use crate::{
    cli::format::{Output, print},
    doctor::progress,
};

pub(super) struct Rows {
    is_json: bool,
    count: usize,
}

impl Rows {
    /// `head`: the line before all others.
    pub(super) fn begin(output: Output, head: &str) -> Self {
        print(if output.is_json() { "[" } else { head });
        Self { is_json: output.is_json(), count: 0 }
    }

    /// A thing, as a line or with more fields.
    pub(super) fn push(&mut self, found: &Found, line: &str, more: &[(&str, &str)]) {
        progress("");
        if self.is_json {
            let before = if self.count == 0 { "" } else { "," };
            print(&format!("{before}\n  {}", describe(found, more)));
        } else {
            print(&format!("{line}\n"));
        }
        self.count += 1;
    }

    pub(super) fn end(self) {
        progress("");
        if self.is_json {
            print("\n]\n");
        }
    }
}

fn describe(found: &Found, more: &[(&str, &str)]) -> Value {
    let Found { listing, workspace, id, is_deleted, thing } = found;
    let mut item = json!({
        "kind": listing.word(), "id": id, "name": thing.name, "workspace": workspace.as_deref(), "deleted": is_deleted,
        "owner": thing.owner, "writers": thing.writers,
    });
    for (name, value) in more {
        item[*name] = (*value).into();
    }
    item
}
