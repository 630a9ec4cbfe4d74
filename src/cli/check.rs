//! `check`: every problem of the settings and of what they name; with `--probe`, of what they lead to.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{
    BAD_SETTINGS, Loaded, Refused, addresses,
    format::{Output, print, print_json, tell},
    key_from_environment,
};
use crate::{
    doctor::{
        Journal, describe_problem,
        probe::{self, Interrupted, Wanted},
        secrets,
    },
    settings::{Problem, Problems},
    tls::Ending,
};

/// A dependency does not answer as it should (sysexits.h: `EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;

#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    config: super::Config,
    /// Also reach MLflow, the auth service (with the key in HOKUSAI_API_KEY, if it is set), Redis and the collector
    #[arg(long)]
    probe: bool,
    /// Also write an artifact of 2 MiB at MLflow, read it back and delete it; a bucket with versions keeps it as an old one
    #[arg(long, requires = "probe")]
    write: bool,
    #[command(flatten)]
    output: Output,
}

impl Check {
    /// 0; 64 for settings that are wrong; 69 for a dependency that is. Where it is run is no matter of either.
    pub(super) fn run(self) -> ExitCode {
        let loaded = match super::load(self.config.config.as_deref()) {
            Ok(loaded) => loaded,
            Err(Refused { problems, warnings }) => return self.wrong(&problems, &warnings),
        };
        let Loaded { settings, resources, warnings } = &loaded;
        let warnings = [&warnings[..], &addresses::examine(settings)].concat();
        let config_hash = settings.fingerprint();
        if !self.output.is_json() {
            for warning in &warnings {
                print(&format!("warning: {warning}\n"));
            }
            print(&format!("the settings are good (config_hash {config_hash})\n"));
            let (connections, files) = (resources.max_connections, resources.file_limit);
            print(&format!("room for {connections} connections of clients: {files} files may be open\n"));
            for Ending { key, file, at, .. } in &resources.endings {
                print(&format!("{key} ({file}) is good until {at}\n"));
            }
        }
        let key = match key_from_environment::read() {
            Ok(key) => key,
            Err(error) => {
                tell(error);
                return ExitCode::from(BAD_SETTINGS);
            }
        };
        let secrets = key
            .iter()
            .flat_map(|key| secrets::forms("", key))
            .chain(secrets::of_mlflow(&settings.mlflow.auth));
        let mut journal = Journal::new((!self.output.is_json()).then_some(print), secrets.collect());
        let mut interrupted = Interrupted(false);
        if self.probe {
            let wanted = Wanted { key, write: self.write };
            interrupted =
                actix_rt::System::new().block_on(probe::run(settings, resources, wanted, &mut journal));
        }
        let is_good = journal.failures() == 0 && interrupted == Interrupted(false);
        if self.output.is_json() {
            print_json(&json!({
                "ok": is_good,
                "config_hash": config_hash,
                "max_connections": resources.max_connections,
                "file_limit": resources.file_limit,
                "certificates": resources.endings.iter().map(certificate).collect::<Vec<_>>(),
                "problems": [],
                "warnings": warnings.iter().map(describe_problem).collect::<Vec<_>>(),
                "checks": journal.checks(),
            }));
        } else if self.probe {
            print(&format!("{}\n", journal.summary()));
        }
        if is_good { ExitCode::SUCCESS } else { ExitCode::from(UNAVAILABLE) }
    }

    fn wrong(&self, problems: &Problems, warnings: &[Problem]) -> ExitCode {
        if !self.output.is_json() {
            for warning in warnings {
                tell(format_args!("warning: {warning}"));
            }
            return super::bad_settings(problems);
        }
        let problems: Vec<Value> = problems.iter().map(describe_problem).collect();
        let warnings: Vec<Value> = warnings.iter().map(describe_problem).collect();
        print_json(&json!({ "ok": false, "problems": problems, "warnings": warnings, "checks": [] }));
        ExitCode::from(BAD_SETTINGS)
    }
}

fn certificate(ending: &Ending) -> Value {
    let Ending { certificate, key, file, at, .. } = ending;
    json!({
        "certificate": certificate, "key": key, "file": file, "not_after": at.to_string(),
        "days_left": ending.days_left(),
    })
}
