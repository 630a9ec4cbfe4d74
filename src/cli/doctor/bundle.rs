//! `--bundle`: what a maintainer needs of a deployment, in one JSON text, which its sender can read before it is sent.
//!
//! Nothing in it was asked with the key but the checks, and of those and everything else secrets are taken out at the end.

use std::{
    env::consts::{ARCH, OS},
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use actix_web::http::header::SET_COOKIE;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::Patient;
use crate::{
    GIT_SHA, VERSION,
    cli::{
        check,
        diagnosis::{Answer, Party, Place, Scrubber},
        environment,
    },
    settings::{Examined, RedisUrl, Settings},
    tls,
};

/// What is asked of the deployment without a key.
const OPEN: [&str; 7] =
    ["/health", "/live", "/ready", "/version", "/health/mlflow", "/api/mlflow/health/mlflow", "/"];
/// The most that is kept of an answer's body, in bytes.
const MAX_BODY: usize = 4096;

/// The file, made before anything is asked: it is the sender's alone, and takes no other's place.
#[derive(Debug)]
pub(super) struct Bundle(File);

impl Bundle {
    /// # Errors
    /// A file that is there, or cannot be made.
    pub(super) fn create(path: &Path) -> Result<Self, String> {
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        made.map(Self).map_err(|error| format!("--bundle {}: {error}", path.display()))
    }

    /// # Errors
    /// A disk that is full.
    pub(super) fn write(mut self, mut content: Value, secrets: &[String]) -> io::Result<()> {
        Scrubber::new(secrets).scrub(&mut content);
        writeln!(self.0, "{content:#}")
    }
}

/// All of it, but for what the checks said.
pub(super) struct Evidence {
    settings: Option<Value>,
    /// Of the settings and of this command.
    pub(super) secrets: Vec<String>,
}

impl Evidence {
    /// The settings as `serve` would read them, if their file is named.
    pub(super) fn of_settings(config: Option<&Path>, secrets: Vec<String>) -> Self {
        let Some(config) = config else { return Self { settings: None, secrets } };
        let Examined { settings, problems, warnings, .. } = Settings::examine(Some(config), environment());
        let mut of_all = secrets;
        of_all.extend(settings.iter().flat_map(secrets_of));
        let described = json!({
            "config_hash": settings.as_ref().map(Settings::fingerprint),
            "problems": problems.iter().map(check::describe).collect::<Vec<_>>(),
            "warnings": warnings.iter().map(check::describe).collect::<Vec<_>>(),
            // A secret's type does not print it.
            "in_force": settings.map(|settings| format!("{settings:#?}").lines().map(str::to_owned).collect::<Vec<_>>()),
        });
        Self { settings: Some(described), secrets: of_all }
    }

    pub(super) async fn gather(&self, patient: &Patient, examination: Value) -> Value {
        json!({
            "what": "hokusai-gateway doctor --bundle: no secrets are in here; read it before you send it",
            "made_at": Timestamp::now().to_string(),
            "doctor": { "version": VERSION, "git_sha": GIT_SHA, "os": OS, "arch": ARCH },
            "examination": examination,
            "tls": patient.shown_over_tls().await,
            "open_routes": patient.open_routes().await,
            "settings": self.settings,
        })
    }
}

/// Every secret that there is in the settings, in the parts that it has.
fn secrets_of(settings: &Settings) -> Vec<String> {
    let mut secrets = check::of_mlflow(&settings.mlflow.auth);
    secrets.extend(settings.auth.pepper.iter().map(|pepper| pepper.expose_secret().to_owned()));
    let redis = settings.redis.as_ref().map(|redis| redis.url.expose_secret());
    if let Some(userinfo) = redis.and_then(RedisUrl::parse).and_then(|url| url.userinfo) {
        let password = userinfo.split_once(':').map_or(userinfo, |(_, password)| password);
        let decoded = percent_encoding::percent_decode_str(password).decode_utf8_lossy().into_owned();
        secrets.extend([password.to_owned(), decoded]);
    }
    secrets
}

impl Patient {
    /// Until two in a row are not answered.
    async fn open_routes(&self) -> Vec<Value> {
        let (mut told, mut silent) = (Vec::new(), 0);
        let search = format!("{}/api/2.0/mlflow/experiments/search?max_results=1", self.mount);
        for target in OPEN.into_iter().chain([&*search]) {
            let answer = self.get(target).await;
            silent = if answer.is_ok() { 0 } else { silent + 1 };
            told.push(match answer {
                Ok(answer) => head_and_body(target, &answer),
                Err(error) => json!({ "target": target, "error": error }),
            });
            if silent == 2 {
                break;
            }
        }
        told
    }

    /// The chain that is shown, whether it is believed or not: nothing is sent over this connection.
    async fn shown_over_tls(&self) -> Value {
        let Ok(config) = tls::trusting_config() else { return Value::Null };
        let place = Place::of(Party::Gateway, &self.url, Some(&config), ["--url", "--ca"]);
        if place.tls.is_none() {
            return Value::Null;
        }
        match place.chain().await {
            Ok(chain) => json!({ "chain": chain }),
            Err(fault) => json!({ "error": fault.what }),
        }
    }
}

fn head_and_body(target: &str, answer: &Answer) -> Value {
    let headers: Vec<Value> = answer
        .headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            // A load balancer's, which would stick to its server.
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
