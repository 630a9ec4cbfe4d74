//! `healthcheck`: asks the local gateway's `/live`, over TLS where that is what it speaks.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use serde_json::json;

use super::{
    format::{Output, print_json, tell},
    neighbour,
};
use crate::settings::Settings;

const TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(super) struct Healthcheck {
    #[command(flatten)]
    config: super::Config,
    #[command(flatten)]
    output: Output,
}

impl Healthcheck {
    pub(super) fn run(self) -> ExitCode {
        let settings = match Settings::load(self.config.config.as_deref(), super::environment()) {
            Ok(settings) => settings,
            Err(problems) => return super::bad_settings(&problems),
        };
        let (address, over_tls) = (neighbour::local(settings.server.bind), settings.server.tls.is_some());
        let answer = neighbour::get(address, over_tls, "/live", 256, TIMEOUT);
        let status = answer.map(|answer| answer.lines().next().unwrap_or_default().trim_end().to_owned());
        let what = match status {
            Ok(status) if status == "HTTP/1.1 200 OK" => None,
            Ok(status) => Some(format!("{address}/live answered {status:?}")),
            Err(error) => Some(format!("{address}/live: {error}")),
        };
        if self.output.is_json() {
            print_json(&json!({ "ok": what.is_none(), "what": what }));
        } else if let Some(what) = &what {
            tell(what);
        }
        if what.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
