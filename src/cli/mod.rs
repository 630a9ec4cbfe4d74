//! The command line: one file a subcommand. Only here is anything printed, and only by `format`: `println!` and `eprintln!` panic
//! when their reader is gone.

mod arguments;
mod audit;
mod check;
mod doctor;
mod explain;
mod format;
mod healthcheck;
mod key_from_environment;
mod keys;
mod manual;
mod routes;
mod serve;

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

pub use arguments::read;
use clap::{Args, Parser, Subcommand};

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
    /// What they name is looked at too: keys, certificates, files. With --probe everything that they lead to is reached,
    /// from its name to an answer that makes sense. Exit status: 0; 64 for settings that are wrong; 69 for a
    /// dependency that is.
    #[command(
        after_help = "Examples:\n  hokusai-gateway check --config gateway.toml\n  HOKUSAI_API_KEY=$(cat key) \
                            hokusai-gateway check --probe"
    )]
    Check(check::Check),
    /// Examine a deployment from outside, as its users see it
    ///
    /// Up to a model that is registered, read back and removed; everything that is made is cleaned up, whatever happens.
    /// The key, with the scopes mlflow:read, mlflow:write and mlflow:delete, is read from HOKUSAI_API_KEY, or from the file
    /// that HOKUSAI_API_KEY_FILE names. Exit status: 0 only if every check passes.
    #[command(
        after_help = "Example:\n  HOKUSAI_API_KEY=$(cat key) hokusai-gateway doctor --url https://mlflow.example.com"
    )]
    Doctor(doctor::Doctor),
    /// Manage the key file
    #[command(after_help = "Example:\n  hokusai-gateway keys create --user ada")]
    Keys(keys::Keys),
    /// Tell what would become of a request, and why
    ///
    /// Its route, the scopes that it wants and the key has, the verdict, the limits. Nothing is sent to MLflow. The key is
    /// read from HOKUSAI_API_KEY, if it is set. Exit status: 0 if it is allowed, 1 if not.
    #[command(
        after_help = "Example:\n  hokusai-gateway explain --method POST --path /api/mlflow/api/2.0/mlflow/runs/delete"
    )]
    Explain(explain::Explain),
    /// Print every route of MLflow that is forwarded
    ///
    /// With its class and the scopes that allow it.
    #[command(after_help = "Example:\n  hokusai-gateway routes | grep runs/delete")]
    Routes(routes::Routes),
    /// Look after the audit stream
    #[command(after_help = "Example:\n  hokusai-gateway audit verify /var/log/hokusai/audit.jsonl")]
    Audit(audit::Audit),
    /// Ask the local gateway's /live; for containers
    #[command(after_help = "Example:\n  HEALTHCHECK CMD [\"hokusai-gateway\", \"healthcheck\"]")]
    Healthcheck(healthcheck::Healthcheck),
    /// Print a script that completes this command line in a shell
    #[command(
        after_help = "Example:\n  hokusai-gateway completions bash > /etc/bash_completion.d/hokusai-gateway"
    )]
    Completions(manual::Completions),
    /// Print the manual page, or write one for each command
    #[command(after_help = "Example:\n  hokusai-gateway man --into /usr/local/share/man/man1")]
    Man(manual::ManPage),
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
    /// Runs the command; 0, 1, 64 for bad settings, or 69 for a dependency that does not answer.
    pub fn run(self) -> ExitCode {
        let code = match self.command {
            Command::Serve(config) => serve::run(config.config.as_deref()),
            Command::Check(check) => check.run(),
            Command::Doctor(doctor) => doctor.run(),
            Command::Keys(keys) => keys.run(),
            Command::Explain(explain) => explain.run(),
            Command::Audit(audit) => audit.run(),
            Command::Routes(routes) => routes.run(),
            Command::Healthcheck(healthcheck) => healthcheck.run(),
            Command::Completions(completions) => completions.run(),
            Command::Man(page) => page.run(),
        };
        format::exit(code)
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

/// Why they cannot be used.
struct Refused {
    problems: Problems,
    warnings: Vec<Problem>,
}

/// # Errors
/// All that is wrong, with the settings and with what they name.
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

/// The environment, but for variables that are no text, which cannot be ours.
fn environment() -> impl Iterator<Item = (String, String)> {
    env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn bad_settings(problems: &Problems) -> ExitCode {
    format::print_message(problems);
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
