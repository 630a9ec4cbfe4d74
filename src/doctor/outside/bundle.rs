//! `--bundle`: a report on a deployment for its support: one JSON text, which the sender can read first.
//!
//! Only the checks use the key. At the end every secret is removed from the whole text.

use std::{
    env::consts::{ARCH, OS},
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use actix_web::http::header::SET_COOKIE;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Deployment;
use crate::{
    GIT_SHA, VERSION,
    doctor::{Endpoint, Party, Response, Scrubber, describe_problem, secrets},
    settings::{Examined, Settings},
    tls,
};

/// The paths that are asked for without a key.
const OPEN: [&str; 7] =
    ["/health", "/live", "/ready", "/version", "/health/mlflow", "/api/mlflow/health/mlflow", "/"];
/// The longest body of an answer, in characters.
const MAX_BODY: usize = 4096;

/// The file. It is created before the checks, readable by its owner alone, and never replaces another one.
#[derive(Debug)]
pub(crate) struct Bundle(File);

impl Bundle {
    /// # Errors
    /// The file exists, or cannot be created.
    pub(crate) fn create(path: &Path) -> Result<Self, String> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        file.map(Self).map_err(|error| format!("--bundle {}: {error}", path.display()))
    }

    /// Writes everything, without the secrets.
    ///
    /// # Errors
    /// A full disk.
    pub(crate) async fn write(
        mut self,
        deployment: &Deployment,
        examination: Value,
        settings: Option<Value>,
        secrets: &[String],
    ) -> io::Result<()> {
        let mut content = json!({
            "what": "hokusai-gateway doctor --bundle: no secrets are in here; read it before you send it",
            "made_at": Timestamp::now().to_string(),
            "doctor": { "version": VERSION, "git_sha": GIT_SHA, "os": OS, "arch": ARCH },
            "examination": examination,
            "tls": deployment.tls_chain().await,
            "open_routes": deployment.open_routes().await,
            "settings": settings,
        });
        Scrubber::new(secrets).scrub(&mut content);
        writeln!(self.0, "{content:#}")
    }
}

/// The settings as `serve` would read them. Their secrets are added to `secrets`.
pub(crate) fn settings(
    config: &Path,
    environment: impl Iterator<Item = (String, String)>,
    secrets: &mut Vec<String>,
) -> Value {
    let Examined { settings, problems, warnings, .. } = Settings::examine(Some(config), environment);
    secrets.extend(settings.iter().flat_map(secrets::of_settings));
    json!({
        "config_hash": settings.as_ref().map(Settings::fingerprint),
        "problems": problems.iter().map(describe_problem).collect::<Vec<_>>(),
        "warnings": warnings.iter().map(describe_problem).collect::<Vec<_>>(),
        // The Debug of a secret does not print it.
        "in_force": settings.map(|settings| format!("{settings:#?}").lines().map(str::to_owned).collect::<Vec<_>>()),
    })
}

impl Deployment {
    /// The answers of the open routes. Stops after two requests in a row without an answer.
    async fn open_routes(&self) -> Vec<Value> {
        let (mut answers, mut failures) = (Vec::new(), 0);
        let search = format!("{}/api/2.0/mlflow/experiments/search?max_results=1", self.mount);
        for target in OPEN.into_iter().chain([&*search]) {
            let answer = self.get(target).await;
            failures = if answer.is_ok() { 0 } else { failures + 1 };
            answers.push(match answer {
                Ok(answer) => head_and_body(target, &answer),
                Err(error) => json!({ "target": target, "error": error }),
            });
            if failures == 2 {
                break;
            }
        }
        answers
    }

    /// The server's certificate chain, trusted or not: nothing is sent over this connection.
    async fn tls_chain(&self) -> Value {
        let Ok(config) = tls::unverified_config() else { return Value::Null };
        let endpoint = Endpoint::of(Party::Gateway, &self.url, Some(&config), ["--url", "--ca"]);
        if endpoint.tls.is_none() {
            return Value::Null;
        }
        match endpoint.chain().await {
            Ok(chain) => json!({ "chain": chain }),
            Err(fault) => json!({ "error": fault.what }),
        }
    }
}

fn head_and_body(target: &str, answer: &Response) -> Value {
    let headers: Vec<Value> = answer
        .headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            // It could hold a session.
            let value = if *name == SET_COOKIE { "(left out)".into() } else { value };
            json!([name.as_str(), value])
        })
        .collect();
    let body = match answer.json() {
        Value::Null => answer.text().chars().take(MAX_BODY).collect::<String>().into(),
        json => json,
    };
    json!({
        "target": target,
        "status": answer.status.as_u16(),
        "headers": headers,
        "body": body,
        "ms": answer.took.as_millis() as u64,
    })
}
