//! `check`: validates the settings and the key file.

use std::{path::Path, process::ExitCode};

pub(super) fn run(config: Option<&Path>) -> ExitCode {
    match super::load(config) {
        Ok((settings, _)) => {
            println!("the settings are good (config_hash {})", settings.fingerprint());
            ExitCode::SUCCESS
        }
        Err(problems) => super::bad_settings(&problems),
    }
}
