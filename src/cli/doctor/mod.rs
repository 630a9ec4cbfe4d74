//! `doctor`: a deployment from outside, as a third party would use it, and nothing left behind.
//!
//! Every check has one right answer, and what is not that answer is a failure with its likely cause and its fix.

mod access;
mod artifacts;
mod bundle;
mod client_address;
mod edge;
mod expectation;
mod front;
mod hidden_metrics;
mod latency;
mod made;
mod mounts;
mod registry;
mod tracking;
mod transfer;

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use serde_json::json;
use url::Url;

use super::{
    BAD_SETTINGS,
    diagnosis::{Journal, Site},
    format::{Output, print, print_json, tell},
    interruption::stopped,
    key,
};
use crate::{
    settings::ClientTls,
    tls::{self, ClientConfig},
};
use bundle::{Bundle, Evidence};
use made::Made;

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// The gateway as its users reach it: https://mlflow.example.com, with or without /api/mlflow
    #[arg(long, value_parser = address)]
    url: Url,
    /// MLflow itself, which must not be reached from here
    #[arg(long, value_name = "URL", value_parser = address)]
    direct: Option<Url>,
    /// The commit that must be running, as /version tells it; its first characters will do
    #[arg(long, value_name = "SHA", value_parser = sha)]
    expect_sha: Option<String>,
    /// The only authority that is believed, a PEM file [default: those of this machine]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The least that the 64 MB may come to, in MB a second; below it they are given up. 0 waits for as long as it takes
    #[arg(long, value_name = "MB/S", default_value_t = 1.0, value_parser = rate)]
    min_rate: f64,
    /// Also write what a maintainer needs to this new file: JSON, without secrets, to be read before it is sent
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// The gateway's settings file: what is in force by it and the environment goes into the bundle, without secrets
    #[arg(long, value_name = "FILE", requires = "bundle")]
    config: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// What all checks use.
struct Patient {
    url: Url,
    /// The path of the mount that clients are given as `MLFLOW_TRACKING_URI`.
    mount: String,
    site: Site,
    tls: Option<ClientConfig>,
    authorization: String,
    as_password: String,
    /// Bytes a second.
    min_rate: f64,
}

impl Doctor {
    /// 0 only if nothing failed.
    pub(super) fn run(self) -> ExitCode {
        // Not by clap, which would print what it refuses.
        if [Some(&self.url), self.direct.as_ref()].into_iter().flatten().any(may_have_credentials) {
            let what = "an address has credentials, a query or a fragment; the key is read from";
            return usage(&format!("{what} {}", key::VARIABLE));
        }
        let mount = match self.url.path().trim_end_matches('/') {
            "" => "/api/mlflow",
            mount @ ("/api/mlflow" | "/mlflow") => mount,
            _ => {
                return usage(
                    "--url has another path than /api/mlflow or /mlflow, where the gateway serves MLflow",
                );
            }
        };
        let key = match key::from_environment() {
            Ok(Some(key)) => key,
            Ok(None) => return usage(&format!("no key: set {}, or {}_FILE", key::VARIABLE, key::VARIABLE)),
            Err(error) => return usage(&error),
        };
        let tls = match tls::client_config(&ClientTls { ca: self.ca.clone(), identity: None }) {
            Ok(config) => Some(config),
            Err(error) if self.ca.is_some() || self.url.scheme() == "https" => {
                return usage(&error.to_string());
            }
            Err(_) => None,
        };
        let bundle = match self.bundle.as_deref().map(Bundle::create).transpose() {
            Ok(bundle) => bundle,
            Err(error) => return usage(&error),
        };
        let mut journal = Journal::new(self.output.format, key::forms(access::USER, &key));
        let mut made = Made::default();
        let patient = Patient {
            mount: mount.to_owned(),
            site: Site::new(&self.url, tls.as_ref()),
            url: self.url.clone(),
            tls,
            min_rate: self.min_rate * 1e6,
            as_password: key::basic(access::USER, &key),
            authorization: format!("Bearer {key}"),
        };
        let system = actix_rt::System::new();
        let interrupted = system.block_on(async {
            let interrupted = tokio::select! {
                () = patient.examine(&self, &mut journal, &mut made) => false,
                () = stopped() => true,
            };
            // A second signal ends that, too.
            tokio::select! {
                () = patient.clean_up(&mut journal, &made) => {}
                () = stopped() => journal.skip("clean-up", &format!("interrupted: {} may be left", made.name())),
            }
            interrupted
        });
        let is_well = journal.failures() == 0 && !interrupted;
        let examination = json!({
            "ok": is_well,
            "url": self.url.as_str(),
            "interrupted": interrupted,
            "checks": journal.checks(),
        });
        if let Some(bundle) = bundle {
            let evidence = Evidence::of_settings(self.config.as_deref(), key::forms(access::USER, &key));
            let content = system.block_on(evidence.gather(&patient, examination.clone()));
            if let Err(error) = bundle.write(content, &evidence.secrets) {
                tell(format_args!("--bundle: {error}"));
                return ExitCode::FAILURE;
            }
        }
        if self.output.is_json() {
            print_json(&examination);
        } else {
            let end = if interrupted { ", interrupted" } else { "" };
            print(&format!("{}{end}\n", journal.summary()));
        }
        if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

impl Patient {
    /// Every check, in an order in which the first failure is the one to mend first.
    async fn examine(&self, wanted: &Doctor, journal: &mut Journal, made: &mut Made) {
        if self.edge(journal).await.is_none() {
            journal.skip("health", "the gateway cannot be reached");
            return;
        }
        if self.front(journal, wanted.expect_sha.as_deref()).await.is_none() {
            journal.skip("mount /api/mlflow", "nothing answers");
            return;
        }
        self.mounts(journal).await;
        self.hidden_metrics(journal).await;
        if let Some(direct) = &wanted.direct {
            self.direct(journal, direct).await;
        }
        if self.access(journal, made).await.is_none() {
            journal.skip("experiment", "the key does not work for all of it");
            return;
        }
        if let Some(run) = self.tracking(journal, made).await {
            if self.artifacts(journal, &run).await.is_some() {
                self.registry(journal, made, &run).await;
            }
            self.large(journal, &run).await;
        }
        self.latency(journal).await;
    }
}

fn usage(what: &str) -> ExitCode {
    tell(what);
    ExitCode::from(BAD_SETTINGS)
}

fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text)
        .map_err(|error| format!("{error}: an address such as https://mlflow.example.com"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("is not http:// or https:// and a host".to_owned());
    }
    Ok(url)
}

fn may_have_credentials(url: &Url) -> bool {
    !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
}

fn rate(text: &str) -> Result<f64, &'static str> {
    let rate = text.parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate >= 0.0);
    rate.ok_or("is not a number of MB a second, such as 0.5")
}

fn sha(text: &str) -> Result<String, String> {
    let is_sha = (7..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_sha { Ok(text.to_lowercase()) } else { Err("is not 7 to 40 hexadecimal digits".to_owned()) }
}
