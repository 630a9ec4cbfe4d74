//! `owners`: who owns the experiments and models that MLflow has already. What is made through the gateway while ownership is on has
//! an owner from the beginning; this is for everything before.

mod list;
mod plan;
mod remote;
mod report;
mod rows;
mod set;
mod walk;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Failure, address::Address, keys::value_parsers};
use crate::{
    auth::{Globs, Workspace},
    ownership::ThingKind,
};

#[derive(Debug, Args)]
pub(super) struct Owners {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the owner and the writers of every experiment and registered model
    ///
    /// Deleted experiments and prompts too. The key is read from HOKUSAI_API_KEY, or from the file that HOKUSAI_API_KEY_FILE
    /// names. Where MLflow has workspaces, the key needs mlflow:admin.
    #[command(
        after_help = "Example:\n  HOKUSAI_API_KEY=$(cat key) hokusai-gateway owners list --url https://mlflow.example.com --unowned"
    )]
    List(list::List),
    /// Set the owner of experiments and registered models; without --apply only show what would be set
    ///
    /// Give at least one of --models and --experiments. What belongs to another user, or has other writers, stays as it is
    /// without --replace. The key, with the scope mlflow:admin, is read from HOKUSAI_API_KEY, or from the file that
    /// HOKUSAI_API_KEY_FILE names. After an interruption or a failure run the same command again: it sets the rest.
    #[command(
        after_help = "Example:\n  HOKUSAI_API_KEY=$(cat key) hokusai-gateway owners set acme --url https://mlflow.example.com \
                      --models 'acme-*' --experiments 'acme/*'"
    )]
    Set(set::Set),
}

impl Owners {
    /// Exit status 0; 1 if MLflow did not answer all, or did not do all.
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            Command::List(list) => list.run(),
            Command::Set(set) => set.run(),
        }
    }
}

/// Which experiments and models a command is about.
#[derive(Debug, Args)]
struct Selection {
    #[command(flatten)]
    address: Address,
    /// Registered models and prompts by their names; may be given more than once. `*` stands for any text, slashes included
    #[arg(long, value_name = "PATTERN", value_parser = value_parsers::name)]
    models: Vec<String>,
    /// Experiments by their names, likewise
    #[arg(long, value_name = "PATTERN", value_parser = value_parsers::name)]
    experiments: Vec<String>,
    /// One workspace of MLflow [default: all of them]
    #[arg(long, value_name = "NAME", value_parser = value_parsers::workspace)]
    workspace: Option<Workspace>,
}

/// The names of each kind. `None`: nothing of it.
#[derive(Debug)]
struct Names {
    models: Option<Globs>,
    experiments: Option<Globs>,
}

impl Selection {
    fn is_of_everything(&self) -> bool {
        self.models.is_empty() && self.experiments.is_empty()
    }

    /// # Errors
    /// A pattern that cannot be read.
    fn names(&self) -> Result<Names, Failure> {
        if self.is_of_everything() {
            let every_name = Globs::try_from(vec!["*".to_owned()]).ok();
            return Ok(Names { models: every_name.clone(), experiments: every_name });
        }
        let names = |option: &str, patterns: &[String]| {
            let patterns = (!patterns.is_empty()).then(|| Globs::try_from(patterns.to_vec()));
            patterns.transpose().map_err(|fault| Failure::new(format_args!("{option}: {fault}")))
        };
        Ok(Names {
            models: names("--models", &self.models)?,
            experiments: names("--experiments", &self.experiments)?,
        })
    }
}

impl Names {
    fn of(&self, kind: ThingKind) -> Option<&Globs> {
        match kind {
            ThingKind::Experiment => self.experiments.as_ref(),
            ThingKind::Model => self.models.as_ref(),
        }
    }
}
