//! `doctor`: examines a deployment from outside.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use serde_json::json;
use url::Url;

use super::{
    Failure,
    address::{Address, http_url, refuse_credentials},
    environment,
    format::{Output, print, print_json, print_message},
    key_from_environment,
};
use crate::doctor::{
    Journal,
    outside::{
        Deployment, Examination,
        bundle::{self, Bundle},
    },
};

#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    address: Address,
    /// MLflow itself, which must not be reachable from here
    #[arg(long, value_name = "URL", value_parser = http_url)]
    direct: Option<Url>,
    /// The commit that must be running, as /version shows it; its first seven characters are enough
    #[arg(long, value_name = "SHA", value_parser = sha)]
    expect_sha: Option<String>,
    /// The lowest rate for the transfer of 64 MB, in MB a second; a slower one is given up. 0: no limit
    #[arg(long, value_name = "MB/S", default_value_t = 1.0, value_parser = rate)]
    min_rate: f64,
    /// Also write a report for support to this new file: JSON, without secrets; read it before you send it
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// The gateway's settings file: its settings, with those of the environment, go into the bundle, without secrets
    #[arg(long, value_name = "FILE", requires = "bundle")]
    config: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

impl Doctor {
    /// 0 only if no check failed.
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        self.examine().map_err(Failure::bad_settings)
    }

    /// # Errors
    /// A mistake on the command line, or in what it names.
    fn examine(self) -> Result<ExitCode, String> {
        self.direct.as_ref().map_or(Ok(()), refuse_credentials)?;
        let address = &self.address;
        let mount = address.mount()?;
        let key = key_from_environment::required()?;
        let tls = address.tls()?;
        let bundle = self.bundle.as_deref().map(Bundle::create).transpose()?;
        let deployment = Deployment::new(address.url.clone(), mount, tls, &key, self.min_rate * 1e6);
        let mut secrets = Deployment::secrets(&key);
        let mut journal = Journal::new((!self.output.is_json()).then_some(print), secrets.clone());
        let system = actix_rt::System::new();
        let wanted = Examination { direct: self.direct, expected_sha: self.expect_sha };
        let interrupted = system.block_on(deployment.examine(&wanted, &mut journal));
        let is_well = journal.failures() == 0 && !interrupted;
        let examination = json!({
            "ok": is_well,
            "url": address.url.as_str(),
            "interrupted": interrupted,
            "checks": journal.checks(),
        });
        if let Some(bundle) = bundle {
            let config = self.config.as_deref();
            let settings = config.map(|config| bundle::settings(config, environment(), &mut secrets));
            let written = bundle.write(&deployment, examination.clone(), settings, &secrets);
            if let Err(error) = system.block_on(written) {
                print_message(format_args!("--bundle: {error}"));
                return Ok(ExitCode::FAILURE);
            }
        }
        if self.output.is_json() {
            print_json(&examination);
        } else {
            let end = if interrupted { ", interrupted" } else { "" };
            print(&format!("{}{end}\n", journal.summary()));
        }
        Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn rate(text: &str) -> Result<f64, &'static str> {
    let rate = text.parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate >= 0.0);
    rate.ok_or("is not a number of MB a second, such as 0.5")
}

fn sha(text: &str) -> Result<String, String> {
    let is_sha = (7..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_sha { Ok(text.to_lowercase()) } else { Err("is not 7 to 40 hexadecimal digits".to_owned()) }
}
