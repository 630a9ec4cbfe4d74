//! `owners set`: an owner for what fits some patterns.

use std::process::ExitCode;

use clap::Args;

use super::{
    Names, Selection,
    plan::{Plan, Wanted},
    remote::{CallError, Remote},
    report::{Outcome, Report},
    rows::Rows,
    walk::{Found, Walk},
};
use crate::{
    auth::{Workspace, key},
    cli::{
        Failure,
        format::{Output, print_message},
        keys::value_parsers,
    },
    doctor::interrupted,
    ownership,
};

#[derive(Debug, Args)]
pub(super) struct Set {
    /// The user id of the owner, as keys have it
    #[arg(value_name = "USER", value_parser = user)]
    user: String,
    #[command(flatten)]
    selection: Selection,
    /// User ids with commas between: others who may change what is in them; empty for nobody [default: leave them]
    #[arg(long, value_name = "USERS", value_parser = writers)]
    writers: Option<Writers>,
    /// Also what belongs to another user, or has other writers
    #[arg(long)]
    replace: bool,
    /// Set them
    #[arg(long)]
    apply: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Clone)]
struct Writers(Vec<String>);

impl Set {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let Self { user, selection, writers, replace, apply, output } = self;
        if selection.is_of_everything() {
            return Err(Failure::new(
                "nothing is selected: give --models or --experiments; '*' is every name",
            ));
        }
        let (names, remote) = (selection.names()?, Remote::new(&selection.address).map_err(Failure::new)?);
        let writers = writers.map(|Writers(writers)| writers);
        if [&user].into_iter().chain(writers.iter().flatten()).any(|user| remote.has_key(user)) {
            return Err(Failure::new("an API key was given in place of a user id"));
        }
        if user.contains(',') {
            print_message("note: USER is one user id, with a comma in it; --writers is for other users");
        }
        let wanted = Wanted { owner: user, writers, replace };
        let work = Work { remote, names, wanted, apply };
        let mut report = Report::new(Rows::begin(output, ""));
        let ended = actix_rt::System::new().block_on(async {
            tokio::select! {
                ended = work.walk(selection.workspace.as_ref(), &mut report) => ended,
                () = interrupted() => Err("interrupted".to_owned()),
            }
        });
        Ok(report.end(ended, apply))
    }
}

struct Work {
    remote: Remote,
    names: Names,
    wanted: Wanted,
    apply: bool,
}

impl Work {
    /// # Errors
    /// A failure that the next thing would meet too.
    async fn walk(&self, workspace: Option<&Workspace>, report: &mut Report) -> Result<(), String> {
        let walk = Walk::begin(&self.remote, &self.names, workspace).await;
        let mut walk = walk.map_err(|error| error.to_string())?;
        while let Some(found) = walk.next().await.map_err(|error| error.to_string())? {
            report.look_at_next();
            let plan = self.wanted.plan(&found);
            if let Some(kept) = plan.kept {
                report.push(&found, Outcome::Kept, &format!("it {}", self.wanted.explain(kept, &found)));
            }
            if plan.owner || plan.writers {
                self.set(&found, &plan, report).await?;
            }
        }
        Ok(())
    }

    async fn set(&self, found: &Found, plan: &Plan, report: &mut Report) -> Result<(), String> {
        let change = self.wanted.describe(plan, found);
        if !self.apply {
            report.push(found, Outcome::WouldSet, &change);
            return Ok(());
        }
        for (tag, value) in self.wanted.tags(plan) {
            match self.remote.set_tag(found, tag, &value).await {
                Ok(()) => {}
                Err(CallError::ThisThing(error)) => {
                    report.push(found, Outcome::NotSet, &error);
                    return Ok(());
                }
                Err(CallError::Every(error)) => return Err(format!("{found}: {error}")),
            }
        }
        report.push(found, Outcome::Set, &change);
        Ok(())
    }
}

/// A user id. No message quotes it: it may be a key in the wrong place.
fn user(text: &str) -> Result<String, &'static str> {
    if key::has_jwt(text) {
        return Err("contains an API key");
    }
    value_parsers::name(text)
}

fn writers(list: &str) -> Result<Writers, &'static str> {
    ownership::writers(list).iter().map(|writer| user(writer)).collect::<Result<_, _>>().map(Writers)
}
