//! `check`: every problem of the settings and of what they name; with `--probe`, of what they lead to.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{
    BAD_SETTINGS, Loaded,
    diagnosis::Journal,
    format::{Output, print, print_json},
    key, probe,
};
use crate::{
    auth::KeySource,
    settings::{Problem, Problems},
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
    #[command(flatten)]
    output: Output,
}

impl Check {
    /// 0; 64 for settings that are wrong; 69 for a dependency that is.
    pub(super) fn run(self) -> ExitCode {
        let loaded = match super::load(self.config.config.as_deref()) {
            Ok(loaded) => loaded,
            Err(problems) => return self.wrong(&problems),
        };
        let Loaded { settings, resources, warnings } = &loaded;
        let mut warnings = warnings.clone();
        warnings.extend(no_key_in_force(&resources.keys));
        let config_hash = settings.fingerprint();
        if !self.output.is_json() {
            for warning in &warnings {
                print(&format!("warning: {warning}\n"));
            }
            print(&format!("the settings are good (config_hash {config_hash})\n"));
        }
        let secrets = key::from_environment().ok().flatten();
        let mut journal = Journal::new(self.output.format, secrets.into_iter().collect());
        if self.probe {
            actix_rt::System::new().block_on(probe::run(&loaded, &mut journal));
        }
        let is_good = journal.failures() == 0;
        if self.output.is_json() {
            print_json(&json!({
                "ok": is_good,
                "config_hash": config_hash,
                "problems": [],
                "warnings": warnings.iter().map(describe).collect::<Vec<_>>(),
                "checks": journal.checks(),
            }));
        } else if self.probe {
            print(&format!("{}\n", journal.summary()));
        }
        if is_good { ExitCode::SUCCESS } else { ExitCode::from(UNAVAILABLE) }
    }

    fn wrong(&self, problems: &Problems) -> ExitCode {
        if !self.output.is_json() {
            return super::bad_settings(problems);
        }
        let problems: Vec<Value> = problems.iter().map(describe).collect();
        print_json(&json!({ "ok": false, "problems": problems, "warnings": [], "checks": [] }));
        ExitCode::from(BAD_SETTINGS)
    }
}

fn describe(problem: &Problem) -> Value {
    let Problem { key, found, what, fix } = problem;
    let variables = problem.variables();
    let variables: Vec<&str> = variables.split(" or ").collect();
    json!({ "key": key, "variables": variables, "found": found, "what": what, "write": fix })
}

fn no_key_in_force(keys: &KeySource) -> Option<Problem> {
    let KeySource::File(keys) = keys else { return None };
    (keys.in_force() == 0).then(|| Problem {
        key: "auth.key_file.path".to_owned(),
        found: Some("only keys that are expired or revoked".to_owned()),
        what: "lets nobody in".to_owned(),
        fix: "a key that is good: `hokusai-gateway keys create --user NAME`".to_owned(),
    })
}
