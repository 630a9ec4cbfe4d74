//! `healthcheck`: asks the local gateway for `/live`, over TLS if it speaks TLS.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use serde_json::json;

use super::{
    Failure,
    format::{Output, print_json, print_message},
};
use crate::{doctor::local, settings::Settings};

const TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(super) struct Healthcheck {
    #[command(flatten)]
    config: super::Config,
    #[command(flatten)]
    output: Output,
}

impl Healthcheck {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let settings = Settings::load(self.config.config.as_deref(), super::environment())?;
        let (bind, over_tls) = (settings.server.bind, settings.server.tls.is_some());
        let answer = actix_rt::System::new().block_on(local::get(bind, over_tls, "/live", TIMEOUT));
        let address = local::reachable(bind);
        let fault = match answer {
            Ok(answer) if answer.status.as_u16() == 200 => None,
            Ok(answer) => Some(format!("{address}/live answered {}", answer.status)),
            Err(error) => Some(format!("{address}/live: {error}")),
        };
        if self.output.is_json() {
            print_json(&json!({ "ok": fault.is_none(), "what": fault }));
        } else if let Some(fault) = &fault {
            print_message(fault);
        }
        Ok(if fault.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
