//! The command line: one file a subcommand. Only here is anything printed.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the command line")]

mod audit;
mod check;
mod diagnosis;
mod doctor;
mod explain;
mod format;
mod healthcheck;
mod key;
mod keys;
mod probe;
mod routes;
mod serve;

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

use crate::{
    auth::KeyFile,
    resources::{self, Resources},
    settings::{Auth, AuthMode, Examined, Problem, Problems, Settings},
};

/// The API-key gateway in front of MLflow
#[derive(Debug, Parser)]
#[command(name = "hokusai-gateway", version = VERSION, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    #[command(after_help = "Example:\n  MLFLOW_SERVER_URL=http://127.0.0.1:5000 hokusai-gateway serve")]
    Serve(Config),
    /// Validate the settings and the key file: every problem, and what to write instead
    #[command(after_help = "Example:\n  hokusai-gateway check --config gateway.toml")]
    Check(check::Check),
    /// Examine a deployment from outside, up to a model that is registered, read back and removed.
    /// The key, with mlflow:read, mlflow:write and mlflow:delete, is read from HOKUSAI_API_KEY
    #[command(
        after_help = "Example:\n  HOKUSAI_API_KEY=$(cat key) hokusai-gateway doctor --url https://mlflow.example.com"
    )]
    Doctor(doctor::Doctor),
    /// Manage the key file
    Keys(keys::Keys),
    /// Tell what would become of a request, and why: its route, the scopes that it wants and the key has, the verdict.
    /// The key is read from HOKUSAI_API_KEY, if it is set
    #[command(
        after_help = "Example:\n  hokusai-gateway explain --method POST --path /api/mlflow/api/2.0/mlflow/runs/delete"
    )]
    Explain(explain::Explain),
    /// Print every route of MLflow that is forwarded, with its class and the scopes that allow it
    #[command(after_help = "Example:\n  hokusai-gateway routes | grep runs/delete")]
    Routes(routes::Routes),
    /// Look after the audit stream
    Audit(audit::Audit),
    /// Ask the local gateway's /live; for containers
    #[command(after_help = "Example:\n  HEALTHCHECK CMD [\"hokusai-gateway\", \"healthcheck\"]")]
    Healthcheck(Config),
}

/// Where the settings come from, besides the environment.
#[derive(Debug, Args)]
struct Config {
    /// A TOML file of settings; HOKUSAI__SECTION__KEY in the environment comes after it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Bad settings (sysexits.h: EX_USAGE).
const BAD_SETTINGS: u8 = 64;

impl Cli {
    /// Runs the command; 0, 1, or 64 for bad settings.
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Serve(config) => serve::run(config.config.as_deref()),
            Command::Check(check) => check.run(),
            Command::Doctor(doctor) => doctor.run(),
            Command::Keys(keys) => keys.run(),
            Command::Explain(explain) => explain.run(),
            Command::Audit(audit) => audit.run(),
            Command::Routes(routes) => routes.run(),
            Command::Healthcheck(config) => healthcheck::run(config.config.as_deref()),
        }
    }
}

/// What `--version` prints.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("GATEWAY_GIT_SHA"), ")");

/// The settings and what they name.
struct Loaded {
    settings: Settings,
    resources: Resources,
    warnings: Vec<Problem>,
}

/// # Errors
/// All that is wrong, with the settings and with what they name.
fn load(config: Option<&Path>) -> Result<Loaded, Problems> {
    let Examined { settings, mut problems, warnings } = Settings::examine(config, environment());
    match settings {
        Some(settings) => match Resources::open(&settings) {
            Ok(resources) => problems.into_result(Loaded { settings, resources, warnings }),
            Err(more) => {
                problems.extend(more);
                Err(problems)
            }
        },
        None => {
            // The key file is looked at even if other settings are wrong, so that all problems are told at once.
            if let Ok(Auth { mode: AuthMode::KeyFile(path), .. }) = Settings::load_auth(config, environment())
            {
                problems.extend(KeyFile::open(&path).err().map(resources::no_keys));
            }
            Err(problems)
        }
    }
}

/// The environment, but for variables that are no text, which cannot be ours.
fn environment() -> impl Iterator<Item = (String, String)> {
    env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn bad_settings(problems: &Problems) -> ExitCode {
    eprintln!("{problems}");
    ExitCode::from(BAD_SETTINGS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
