//! `check`: every problem of the settings and of the files that they name; with `--probe`, of the servers too.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use serde_json::{Value, json};

use super::{
    Failure, Loaded, Refused,
    failure::BAD_SETTINGS,
    format::{Output, print, print_json},
    key_from_environment,
};
use crate::{
    auth::KeySource,
    doctor::{
        Journal, bind_addresses, describe_problem,
        probe::{self, Given},
        secrets,
    },
    tls::Expiry,
    trusted_file,
};

/// Exit status if a dependency does not work (sysexits.h: `EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;

#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    config: super::Config,
    /// Also reach MLflow, the auth service (with the key in HOKUSAI_API_KEY, if it is set), the issuers, Redis and the collector
    #[arg(long)]
    probe: bool,
    /// Also write an artifact of 2 MiB at MLflow, read it back and delete it; a versioned bucket keeps an old version
    #[arg(long, requires = "probe")]
    write: bool,
    /// Also tell what auth.issuers makes of the token in this file; it is never printed
    #[arg(long, requires = "probe", value_name = "FILE")]
    token: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

impl Check {
    /// Exit status 0; 64 for wrong settings; 69 for a dependency that does not work. Problems of this machine are warnings.
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let loaded = match super::load(self.config.config.as_deref()) {
            Ok(loaded) => loaded,
            Err(refused) => return self.print_problems(refused),
        };
        let Loaded { settings, resources, warnings } = &loaded;
        let system = actix_rt::System::new();
        let warnings = [&warnings[..], &system.block_on(bind_addresses::problems(settings))].concat();
        let config_hash = settings.fingerprint();
        let without_keys = match &resources.keys {
            KeySource::File(keys) if keys.is_empty() => Some(keys.path().display()),
            KeySource::File(_) | KeySource::Service(_) => None,
        };
        if !self.output.is_json() {
            for warning in &warnings {
                print(&format!("warning: {warning}\n"));
            }
            print(&format!("the settings are good (config_hash {config_hash})\n"));
            let (connections, files) = (resources.max_connections, resources.file_limit);
            print(&format!("room for {connections} connections of clients: {files} files may be open\n"));
            if let Some(path) = &without_keys {
                let what = "has no keys: only tokens of auth.issuers are credentials";
                print(&format!("auth.key_file.path ({path}) {what}\n"));
            }
            for Expiry { key, file, at, .. } in &resources.expiries {
                print(&format!("{key} ({}) is good until {at}\n", file.display()));
            }
        }
        let key = key_from_environment::read().map_err(Failure::bad_settings)?;
        let token = self.token.as_deref().map(example).transpose()?;
        let secrets = key
            .iter()
            .chain(&token)
            .flat_map(|key| secrets::forms("", key))
            .chain(secrets::of_mlflow(&settings.mlflow.auth));
        let mut journal = Journal::new((!self.output.is_json()).then_some(print), secrets.collect());
        let mut interrupted = false;
        if self.probe {
            let given = Given { key, token, write: self.write };
            let probe = probe::run(settings, resources, given, &mut journal);
            interrupted = system.block_on(probe).is_err();
        }
        let is_good = journal.failures() == 0 && !interrupted;
        if self.output.is_json() {
            print_json(&json!({
                "ok": is_good,
                "config_hash": config_hash,
                "max_connections": resources.max_connections,
                "file_limit": resources.file_limit,
                "tokens_only": without_keys.is_some(),
                "certificates": resources.expiries.iter().map(certificate).collect::<Vec<_>>(),
                "problems": [],
                "warnings": warnings.iter().map(describe_problem).collect::<Vec<_>>(),
                "checks": journal.checks(),
            }));
        } else if self.probe {
            print(&format!("{}\n", journal.summary()));
        }
        Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::from(UNAVAILABLE) })
    }

    fn print_problems(&self, refused: Refused) -> Result<ExitCode, Failure> {
        if !self.output.is_json() {
            return Err(refused.into());
        }
        let Refused { problems, warnings } = refused;
        let problems: Vec<Value> = problems.iter().map(describe_problem).collect();
        let warnings: Vec<Value> = warnings.iter().map(describe_problem).collect();
        print_json(&json!({ "ok": false, "problems": problems, "warnings": warnings, "checks": [] }));
        Ok(ExitCode::from(BAD_SETTINGS))
    }
}

/// The token in a file, as it is or as a header has it.
fn example(path: &Path) -> Result<String, Failure> {
    let read = trusted_file::read_text(path);
    let text =
        read.map_err(|error| Failure::bad_settings(format_args!("--token {}: {error}", path.display())))?;
    let token = text.trim();
    Ok(token.strip_prefix("Bearer ").unwrap_or(token).to_owned())
}

fn certificate(expiry: &Expiry) -> Value {
    let Expiry { certificate, key, file, at, .. } = expiry;
    json!({
        "certificate": certificate, "key": key, "file": file.display().to_string(), "not_after": at.to_string(),
        "days_left": expiry.days_left(),
    })
}
