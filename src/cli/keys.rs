//! `keys`: the key file. A key is shown once, when it is made, on standard output and alone on its line.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::format::{Format, print_json};
use crate::{
    auth::{
        NotAWorkspace, Workspace,
        key::Environment,
        key_file::{
            Record,
            edit::{self, CreatedKey, EditError, NewKey},
        },
    },
    settings::{AuthMode, Policy, Scope, Settings},
};

#[derive(Debug, Args)]
pub(super) struct Keys {
    /// The key file [default: auth.key_file.path of the settings]
    #[arg(long, global = true, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A TOML file of settings, for where the key file is
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How the result is written to standard output
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key and print it, this once
    #[command(after_help = "Example:\n  hokusai-gateway keys create --user ada --expires-in 90d")]
    Create {
        /// Whom the key belongs to
        #[arg(long)]
        user: String,
        /// How long it is valid, such as 90d [default: until it is revoked]
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        expires_in: Option<Duration>,
        /// A scope that it carries, such as mlflow:read; may be given more than once [default: policy.default_scopes]
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// The only workspace of MLflow that it may see [default: any]
        #[arg(long, value_name = "NAME", value_parser = workspace)]
        workspace: Option<Workspace>,
        /// A key for tests: hk_test_ instead of hk_live_
        #[arg(long)]
        test: bool,
    },
    /// Show every key's id, user, state, workspace and scopes
    #[command(after_help = "Example:\n  hokusai-gateway keys list")]
    List,
    /// End a key at once
    #[command(after_help = "Example:\n  hokusai-gateway keys revoke live_3Kd0cX9wQfTz")]
    Revoke {
        /// Its id, as `keys list` shows it
        id: String,
    },
    /// Make a successor of a key, which itself ends after an overlap
    #[command(after_help = "Example:\n  hokusai-gateway keys rotate live_3Kd0cX9wQfTz --overlap 24h")]
    Rotate {
        /// Its id, as `keys list` shows it
        id: String,
        /// How long both work
        #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration)]
        overlap: Duration,
    },
}

impl Keys {
    pub(super) fn run(self) -> ExitCode {
        let path = match self.path() {
            Ok(path) => path,
            Err(exit) => return exit,
        };
        let format = self.format;
        let notes = Notes(Settings::load_policy(self.config.as_deref(), super::environment()).ok());
        let done = match self.command {
            Command::Create { user, expires_in, scopes, workspace, test } => {
                scopes.iter().filter_map(|scope| notes.on(scope)).for_each(|note| eprintln!("note: {note}"));
                let environment = if test { Environment::Test } else { Environment::Live };
                let new = NewKey {
                    scopes: if scopes.is_empty() { None } else { Some(scopes) },
                    workspace,
                    expires_at: expires_in.map(from_now),
                    ..NewKey::of(&user, environment)
                };
                edit::create(&path, &new).map(|created| show(created, format))
            }
            Command::List => edit::list(&path).map(|records| match format {
                Format::Text => list(&records, &notes),
                Format::Json => print_json(&records.iter().map(|record| describe(record, &notes)).collect()),
            }),
            Command::Revoke { id } => edit::revoke(&path, &id).map(|()| match format {
                Format::Text => eprintln!("{id} is revoked"),
                Format::Json => print_json(&json!({ "id": id, "revoked": true })),
            }),
            Command::Rotate { id, overlap } => {
                edit::rotate(&path, &id, signed(overlap)).map(|created| show(created, format))
            }
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        }
    }

    fn path(&self) -> Result<PathBuf, ExitCode> {
        if let Some(path) = &self.file {
            return Ok(path.clone());
        }
        match Settings::load_auth(self.config.as_deref(), super::environment()).map(|auth| auth.mode) {
            Ok(AuthMode::KeyFile(path)) => Ok(path),
            Ok(AuthMode::Service(service)) => {
                eprintln!(
                    "keys are verified by the auth service at {}; to edit a key file, name it with --file",
                    service.url
                );
                Err(ExitCode::FAILURE)
            }
            Err(problems) => Err(super::bad_settings(&problems)),
        }
    }
}

fn show(created: CreatedKey, format: Format) {
    let key = created.key.expose_secret();
    match format {
        Format::Text => {
            eprintln!("id: {}\nThe key, which is shown this once:", created.id);
            println!("{key}");
        }
        Format::Json => print_json(&json!({ "id": created.id, "key": key })),
    }
}

fn describe(record: &Record, notes: &Notes) -> Value {
    json!({
        "id": record.id,
        "user": record.user,
        "state": state(record).0,
        "created_at": record.created_at.to_string(),
        "expires_at": record.expires_at.map(|at| at.to_string()),
        "revoked_at": record.revoked_at.map(|at| at.to_string()),
        "workspace": record.workspace.as_ref().map(Workspace::as_str),
        "scopes": record.scopes,
        "notes": notes.of(record),
    })
}

/// What is said of scopes, where the policy of the settings can be read: words that it knows need no note.
struct Notes(Option<Policy>);

impl Notes {
    fn of(&self, record: &Record) -> Vec<String> {
        record.scopes.iter().flatten().filter_map(|scope| self.on(scope)).collect()
    }

    fn on(&self, scope: &str) -> Option<String> {
        let is_known =
            self.0.as_ref().map_or_else(|| Scope::from_word(scope).is_some(), |policy| policy.knows(scope));
        let near = Scope::like(scope).map_or_else(String::new, |near| format!(" ({} is)", near.word()));
        (!is_known).then(|| {
            format!("{scope} is no scope of the gateway's own{near}: it allows nothing unless policy.aliases says what")
        })
    }
}

fn list(records: &[Record], notes: &Notes) {
    println!("{:<20} {:<24} {:<32} {:<21} {:<16} scopes", "id", "user", "state", "created", "workspace");
    for record in records {
        let scopes = record.scopes.as_ref().map_or_else(|| "-".to_owned(), |scopes| scopes.join(","));
        let created = record.created_at.to_string();
        let workspace = record.workspace.as_ref().map_or("-", Workspace::as_str);
        let (id, user, state) = (&record.id, &record.user, words(state(record)));
        println!("{id:<20} {user:<24} {state:<32} {created:<21} {workspace:<16} {scopes}");
    }
    for record in records {
        notes.of(record).iter().for_each(|note| eprintln!("note: {}: {note}", record.id));
    }
}

/// Whether it works, and since when it does not or until when it does.
fn state(record: &Record) -> (&'static str, Option<Timestamp>) {
    match (record.revoked_at, record.expires_at) {
        (Some(at), _) => ("revoked", Some(at)),
        (None, Some(at)) if at <= Timestamp::now() => ("expired", Some(at)),
        (None, until) => ("active", until),
    }
}

fn words((state, at): (&str, Option<Timestamp>)) -> String {
    match (state, at) {
        ("active", Some(at)) => format!("until {at}"),
        (state, Some(at)) => format!("{state} {at}"),
        (state, None) => state.to_owned(),
    }
}

fn fail(error: &EditError) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    humantime::parse_duration(text).map_err(|_| "is not a duration such as 90d or 24h")
}

fn workspace(name: &str) -> Result<Workspace, NotAWorkspace> {
    Workspace::try_from(name.to_owned())
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

fn from_now(duration: Duration) -> Timestamp {
    Timestamp::now().saturating_add(signed(duration)).unwrap_or(Timestamp::MAX)
}
