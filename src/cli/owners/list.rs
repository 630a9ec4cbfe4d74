//! `owners list`: the table of owners.

use std::process::ExitCode;

use clap::Args;

use super::{
    Names, Selection,
    remote::Remote,
    rows::Rows,
    walk::{Found, Walk},
};
use crate::{
    cli::{
        Failure,
        format::{Output, print_message},
    },
    doctor::progress,
};

/// An empty column.
const NONE: &str = "-";

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    selection: Selection,
    /// Only what has no owner
    #[arg(long)]
    unowned: bool,
    #[command(flatten)]
    output: Output,
}

impl List {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let (names, remote) =
            (self.selection.names()?, Remote::new(&self.selection.address).map_err(Failure::new)?);
        let listing = actix_rt::System::new().block_on(self.print(&remote, &names));
        progress("");
        let (listed, unowned) = listing?;
        print_message(format_args!("{listed} experiments and models, {unowned} of them without an owner"));
        Ok(ExitCode::SUCCESS)
    }

    /// How many there are, and how many of them have no owner.
    async fn print(&self, remote: &Remote, names: &Names) -> Result<(usize, usize), Failure> {
        let stopped = |error| Failure::new(format_args!("the list is not complete: {error}"));
        let workspace = self.selection.workspace.as_ref();
        let mut walk = Walk::begin(remote, names, workspace).await.map_err(stopped)?;
        let mut rows = Rows::begin(
            self.output,
            &format!("{}\n", line(["kind", "id", "owner", "writers", "workspace", "name"])),
        );
        let (mut listed, mut unowned) = (0, 0);
        while let Some(found) = walk.next().await.map_err(stopped)? {
            let is_unowned = found.thing.owner.is_none();
            listed += 1;
            unowned += usize::from(is_unowned);
            if is_unowned || !self.unowned {
                rows.push(&found, &row(&found), &[]);
            }
            progress(&format!("… {listed}"));
        }
        rows.end();
        Ok((listed, unowned))
    }
}

/// Whoever names a thing does not write on this terminal.
fn row(Found { listing, workspace, id, is_deleted, thing }: &Found) -> String {
    let shown = |text: &str| text.escape_debug().to_string();
    let or_none =
        |text: Option<&str>| text.filter(|text| !text.is_empty()).map_or_else(|| NONE.to_owned(), shown);
    line([
        &*format!("{}{}", if *is_deleted { "deleted " } else { "" }, listing.word()),
        &*or_none(id.as_deref()),
        &*or_none(thing.owner.as_deref()),
        &*or_none(Some(&thing.writers.join(","))),
        &*or_none(workspace.as_deref()),
        &*format!("{:?}", thing.name),
    ])
}

fn line([kind, id, owner, writers, workspace, name]: [&str; 6]) -> String {
    format!("{kind:<18} {id:<20} {owner:<24} {writers:<24} {workspace:<16} {name}")
}
