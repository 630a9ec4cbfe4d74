//! `keys`: edits the key file. A new key is printed once, to standard output, alone on its line.

mod fleet;
mod list;
mod revoke;
mod scopes;
mod tokens;
pub(super) mod value_parsers;

use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{
    Failure,
    format::{Format, json_text, print, print_json, print_message, try_print},
};
use crate::{
    auth::{
        Workspace,
        key::Environment,
        key_file::{
            edit::{self, CreatedKey, NewKey},
            prune::{self, Pruned},
        },
    },
    settings::{Auth, AuthKeyFile, AuthMode, Issuer, LastUsed, Problems, Settings},
};

use scopes::ScopeWarnings;

#[derive(Debug, Args)]
pub(super) struct Keys {
    /// The key file [default: auth.key_file.path of the settings]
    #[arg(long, global = true, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A TOML file of settings, which names the key file and Redis
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The format of the result on standard output
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a key and print it, only this once
    #[command(
        after_help = "Examples:\n  hokusai-gateway keys create --user ada --expires-in 90d --note laptop\n  hokusai-gateway keys create --user acme --models 'acme-*' --experiments 'acme/*'"
    )]
    Create(Create),
    /// Show every key's id, user, state, last use, limit, workspace, fence, scopes and note
    #[command(after_help = "Example:\n  hokusai-gateway keys list")]
    List,
    /// End a key, or tokens of an issuer, at once
    ///
    /// With redis.url in the settings, every gateway that listens there receives the revocation: it forgets its verdict on the key,
    /// and ends the key in a key file of its own. Where an auth service verifies keys, this command does nothing more: the service
    /// itself must refuse the key.
    ///
    /// Tokens are revoked through Redis: by ISSUER|SUBJECT all that were issued until now, by its `jti` a single one. The issuer can
    /// give out new ones.
    #[command(
        after_help = "Examples:\n  hokusai-gateway keys revoke live_3Kd0cX9wQfTz\n  hokusai-gateway keys revoke 'https://gitlab.com|project_path:acme/churn:ref_type:branch:ref:main'"
    )]
    Revoke {
        /// Its id, as `keys list` or the auth service shows it; of tokens as the log has it, or a `jti`
        id: String,
    },
    /// Create a successor of a key, which itself ends after an overlap
    #[command(after_help = "Example:\n  hokusai-gateway keys rotate live_3Kd0cX9wQfTz --overlap 24h")]
    Rotate {
        /// Its id, as `keys list` shows it
        id: String,
        /// How long both keys work
        #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = value_parsers::duration)]
        overlap: Duration,
    },
    /// Remove keys that have expired or were revoked; without --apply only show them
    ///
    /// A removed key is unknown: the log no longer shows its owner when somebody still sends it. The last key of a file is never
    /// removed.
    #[command(after_help = "Example:\n  hokusai-gateway keys prune --older-than 90d --apply")]
    Prune {
        /// How long ago a key must have ended
        #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = value_parsers::duration)]
        older_than: Duration,
        /// Remove them
        #[arg(long)]
        apply: bool,
    },
}

#[derive(Debug, Args)]
struct Create {
    /// The owner of the key
    #[arg(long, value_parser = value_parsers::name)]
    user: String,
    /// How long it is valid, such as 90d [default: until it is revoked]
    #[arg(long, value_name = "DURATION", value_parser = value_parsers::lifetime)]
    expires_in: Option<Duration>,
    /// A scope of the key, such as mlflow:read; may be given more than once [default: policy.default_scopes]
    #[arg(long = "scope", value_name = "SCOPE", value_parser = value_parsers::name)]
    scopes: Vec<String>,
    /// The only workspace of MLflow that the key may use [default: any]
    #[arg(long, value_name = "NAME", value_parser = value_parsers::workspace)]
    workspace: Option<Workspace>,
    /// A pattern of the registered models that the key may change, such as 'acme-*'; may be given more than once; '' for none
    /// [default: any]
    #[arg(long, value_name = "PATTERN", value_parser = value_parsers::pattern)]
    models: Option<Vec<String>>,
    /// A pattern of the experiments that the key may change, such as 'acme/*', with everything in them; likewise [default: any]
    #[arg(long, value_name = "PATTERN", value_parser = value_parsers::pattern)]
    experiments: Option<Vec<String>>,
    /// Requests an hour [default: limits.per_hour]
    #[arg(long, value_name = "REQUESTS")]
    per_hour: Option<NonZeroU32>,
    /// Requests at once, and transfers of artifacts at once [default: limits.concurrent]
    #[arg(long, value_name = "REQUESTS")]
    concurrent: Option<NonZeroU32>,
    /// New experiments, runs and models an hour [default: limits.creates_per_hour]
    #[arg(long, value_name = "CREATES")]
    creates_per_hour: Option<NonZeroU32>,
    /// The purpose of the key, for `keys list`; 200 characters at most
    #[arg(long, value_name = "TEXT", value_parser = value_parsers::note)]
    note: Option<String>,
    /// A key for tests: hk_test_ instead of hk_live_
    #[arg(long)]
    test: bool,
}

impl Keys {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let Self { format, command, file, config } = self;
        let config = config.as_deref();
        let Place { mode, issuers } = Place::of_keys(file, config)?;
        if let Command::Revoke { id } = &command
            && tokens::are_named_by(id, &mode, &issuers)?
        {
            return tokens::revoke(id, config, format);
        }
        let file = match mode {
            AuthMode::KeyFile(file) => file,
            AuthMode::Service(service) => {
                return revoke::at_auth_service(&command, &service.url, config, format);
            }
        };
        let path = file.path.as_path();
        let warnings = ScopeWarnings::load(config);
        Ok(match command {
            Command::Create(create) => show(&edit::create(path, &create.key(&warnings)?)?, format),
            Command::List => list::show(&edit::list(path)?, &file, &warnings, format),
            Command::Revoke { id } => revoke::revoke(path, &id, config, format)?,
            Command::Rotate { id, overlap } => {
                let shown = show(&edit::rotate(path, &id, value_parsers::signed(overlap))?, format);
                let announced =
                    if overlap.is_zero() { revoke::announce(&id, config) } else { ExitCode::SUCCESS };
                if shown == ExitCode::SUCCESS { announced } else { shown }
            }
            Command::Prune { older_than, apply } => {
                let before = Timestamp::now()
                    .saturating_sub(value_parsers::signed(older_than))
                    .unwrap_or(Timestamp::MIN);
                let prune = if apply { prune::prune } else { prune::preview_prune };
                show_pruned(&prune(path, before)?, apply, format)
            }
        })
    }
}

/// What verifies keys by the settings, and whose tokens are credentials.
struct Place {
    mode: AuthMode,
    issuers: Vec<Issuer>,
}

impl Place {
    /// A key file that is named counts, whatever the settings say.
    fn of_keys(named: Option<PathBuf>, config: Option<&Path>) -> Result<Self, Problems> {
        if let Some(path) = named {
            let mode = AuthMode::KeyFile(AuthKeyFile { path, last_used: LastUsed::Beside });
            return Ok(Self { mode, issuers: Vec::new() });
        }
        let Auth { mode, issuers, .. } = Settings::load_section(config, super::environment(), Auth::read)?;
        Ok(Self { mode, issuers })
    }
}

impl Create {
    fn key(self, warnings: &ScopeWarnings) -> Result<NewKey, Failure> {
        let Self { user, expires_in, scopes, workspace, models, experiments, note, test, .. } = self;
        let patterns = |option: &str, given| {
            value_parsers::patterns(given).map_err(|fault| Failure::new(format_args!("{option}: {fault}")))
        };
        let (models, experiments) = (patterns("--models", models)?, patterns("--experiments", experiments)?);
        for warning in scopes.iter().filter_map(|scope| warnings.on(scope)) {
            print_message(format_args!("note: {warning}"));
        }
        let environment = if test { Environment::Test } else { Environment::Live };
        Ok(NewKey {
            note,
            scopes: if scopes.is_empty() { None } else { Some(scopes) },
            workspace,
            models,
            experiments,
            rate_limit_per_hour: self.per_hour,
            concurrent: self.concurrent,
            creates_per_hour: self.creates_per_hour,
            expires_at: expires_in.map(value_parsers::from_now),
            ..NewKey::of(&user, environment)
        })
    }
}

fn show(CreatedKey { id, key }: &CreatedKey, format: Format) -> ExitCode {
    let key = key.expose_secret();
    let printed = match format {
        Format::Text => {
            print_message(format_args!("id: {id}\nThe key, which is shown only once:"));
            try_print(&format!("{key}\n"))
        }
        Format::Json => try_print(&json_text(&json!({ "id": id, "key": key }))),
    };
    let Err(error) = printed else { return ExitCode::SUCCESS };
    print_message(format_args!(
        "the key of {id} could not be printed, and nobody knows it: {error}; run `hokusai-gateway keys revoke {id}`, and create another"
    ));
    ExitCode::FAILURE
}

fn show_pruned(Pruned { removed, kept }: &Pruned, apply: bool, format: Format) -> ExitCode {
    if format == Format::Json {
        let ids: Vec<_> = removed.iter().map(|record| &record.id).collect();
        let kept = kept.as_ref().map(|record| &record.id);
        print_json(&json!({ "applied": apply, "removed": ids, "kept": kept }));
        return ExitCode::SUCCESS;
    }
    let verb = if apply { "removed" } else { "would remove" };
    let line = |record| format!("{verb} {}\n", list::brief(record));
    print(&removed.iter().map(line).collect::<String>());
    if let Some(record) = kept {
        print_message(format_args!(
            "{} stays: it is the last key, and a file without keys is taken for a mistake",
            list::brief(record)
        ));
    }
    match (removed.len(), apply) {
        (0, _) => print_message("no key ended so long ago"),
        (_, false) => print_message("nothing was changed: --apply removes them"),
        (_, true) => {}
    }
    ExitCode::SUCCESS
}
