//! The command line: one file a subcommand. Everything is printed by `format`: `println!` and `eprintln!` panic when their reader
//! is gone.

mod address;
mod arguments;
mod audit;
mod check;
mod doctor;
mod explain;
mod failure;
mod format;
mod healthcheck;
mod key_from_environment;
mod keys;
mod manual;
mod owners;
mod routes;
mod serve;

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

pub use arguments::read;
use clap::{Args, Parser, Subcommand};
use failure::Failure;

use crate::{
    resource_risks,
    resources::{self, Resources},
    settings::{Examined, Problem, Problems, Settings},
};

/// The API-key gateway in front of MLflow
#[derive(Debug, Parser)]
#[command(
    name = "hokusai-gateway",
    version = VERSION,
    arg_required_else_help = true,
    after_help = "Examples:\n  hokusai-gateway keys create --user ada\n  MLFLOW_SERVER_URL=http://127.0.0.1:5000 \
                  hokusai-gateway check --probe\n  MLFLOW_SERVER_URL=http://127.0.0.1:5000 hokusai-gateway serve"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    #[command(after_help = "Example:\n  MLFLOW_SERVER_URL=http://127.0.0.1:5000 hokusai-gateway serve")]
    Serve(Config),
    /// Validate the settings: every problem, and what to write instead
    ///
    /// The keys, certificates and files that they name are checked too. With --probe also every server: its name, the
    /// connection, TLS, and an answer that makes sense. Exit status: 0; 64 for wrong settings; 69 for a dependency that does not
    /// work.
    #[command(
        after_help = "Examples:\n  hokusai-gateway check --config gateway.toml\n  HOKUSAI_API_KEY=$(cat key) \
                            hokusai-gateway check --probe"
    )]
    Check(check::Check),
    /// Examine a deployment from outside, as its users see it
    ///
    /// Logs a run, registers a model, reads both back, and in any case removes everything that it made. The key, with the
    /// scopes mlflow:read, mlflow:write and mlflow:delete, is read from HOKUSAI_API_KEY, or from the file that
    /// HOKUSAI_API_KEY_FILE names. Exit status: 0 only if every check passes.
    #[command(
        after_help = "Example:\n  HOKUSAI_API_KEY=$(cat key) hokusai-gateway doctor --url https://mlflow.example.com"
    )]
    Doctor(doctor::Doctor),
    /// Manage the key file
    #[command(after_help = "Example:\n  hokusai-gateway keys create --user ada")]
    Keys(keys::Keys),
    /// Show and set the owners of what MLflow has already
    #[command(
        after_help = "Example:\n  hokusai-gateway owners list --url https://mlflow.example.com --unowned"
    )]
    Owners(owners::Owners),
    /// Show whether a request would be allowed, and why
    ///
    /// Shows its route, the scopes that it needs and that the key has, the verdict and the limits. Sends nothing to MLflow. The
    /// key is read from HOKUSAI_API_KEY, if it is set. Exit status: 0 if the request is allowed, 1 if not.
    #[command(
        after_help = "Example:\n  hokusai-gateway explain --method POST --path /api/mlflow/api/2.0/mlflow/runs/delete"
    )]
    Explain(explain::Explain),
    /// Print every route of MLflow that is forwarded
    ///
    /// Each with its class and the scopes that allow it.
    #[command(after_help = "Example:\n  hokusai-gateway routes | grep runs/delete")]
    Routes(routes::Routes),
    /// Verify the audit stream
    #[command(after_help = "Example:\n  hokusai-gateway audit verify /var/log/hokusai/audit.jsonl")]
    Audit(audit::Audit),
    /// Ask the local gateway for /live; for containers
    #[command(after_help = "Example:\n  HEALTHCHECK CMD [\"hokusai-gateway\", \"healthcheck\"]")]
    Healthcheck(healthcheck::Healthcheck),
    /// Print a script for the completion of this command line in a shell
    #[command(
        after_help = "Example:\n  hokusai-gateway completions bash > /etc/bash_completion.d/hokusai-gateway"
    )]
    Completions(manual::Completions),
    /// Print the manual page, or write one for each command
    #[command(after_help = "Example:\n  hokusai-gateway man --into /usr/local/share/man/man1")]
    Man(manual::ManPage),
}

/// The source of the settings, beside the environment.
#[derive(Debug, Args)]
struct Config {
    /// A TOML file of settings; variables HOKUSAI__SECTION__KEY override it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Cli {
    /// Runs the command. Exit status 0, 1, 64 for bad settings, or 69 for a dependency that does not work.
    pub fn run(self) -> ExitCode {
        let outcome = match self.command {
            Command::Serve(config) => serve::run(config.config.as_deref()),
            Command::Check(check) => check.run(),
            Command::Doctor(doctor) => doctor.run(),
            Command::Keys(keys) => keys.run(),
            Command::Owners(owners) => owners.run(),
            Command::Explain(explain) => explain.run(),
            Command::Audit(audit) => audit.run(),
            Command::Routes(routes) => routes.run(),
            Command::Healthcheck(healthcheck) => healthcheck.run(),
            Command::Completions(completions) => completions.run(),
            Command::Man(page) => page.run(),
        };
        format::exit(outcome.unwrap_or_else(Failure::print))
    }
}

/// What `--version` prints.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("GATEWAY_GIT_SHA"), ")");

/// The settings, and the resources that they name.
struct Loaded {
    settings: Settings,
    resources: Resources,
    warnings: Vec<Problem>,
}

/// Why the settings cannot be used.
struct Refused {
    problems: Problems,
    warnings: Vec<Problem>,
}

/// # Errors
/// Every problem of the settings, and of the resources that they name.
fn load(config: Option<&Path>) -> Result<Loaded, Refused> {
    let Examined { settings, sections, mut problems, mut warnings } =
        Settings::examine(config, environment());
    let Some(settings) = settings.filter(|_| problems.is_empty()) else {
        problems.extend(resources::missing(&sections));
        return Err(Refused { problems, warnings });
    };
    match Resources::open(&settings) {
        Ok(resources) => {
            warnings.extend(resource_risks::of(&settings, &resources));
            Ok(Loaded { settings, resources, warnings })
        }
        Err(problems) => Err(Refused { problems, warnings }),
    }
}

/// The variables of the environment that are valid text.
fn environment() -> impl Iterator<Item = (String, String)> {
    env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
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
