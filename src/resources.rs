//! What the settings name outside themselves, opened: all that can be wrong before a socket is bound.

use std::sync::Arc;

use url::Url;

use crate::{
    auth::{KeyFileError, KeySource},
    http_client::Tls,
    redis::{Redis, RedisUrlError},
    routing::{Routes, TableError},
    settings::{AuditOutput, AuthMode, ClientTls, Problem, Problems, Settings},
    telemetry::Metrics,
    tls::{self, ServerIdentity},
};

/// What is made once and used by all.
#[derive(Debug, Clone)]
pub struct Resources {
    pub(crate) keys: KeySource,
    /// One pool for verdicts, limits and revocations.
    pub(crate) redis: Option<Redis>,
    /// Only where they are spoken to over TLS.
    pub(crate) mlflow_tls: Option<Tls>,
    pub(crate) auth_tls: Option<Tls>,
    pub(crate) otlp_tls: Option<Tls>,
    /// Only where clients speak TLS to us.
    pub(crate) identity: Option<Arc<ServerIdentity>>,
    pub(crate) routes: Arc<Routes>,
    pub(crate) metrics: Metrics,
}

impl Resources {
    /// # Errors
    /// Everything that is missing or unreadable, each as a problem of the setting that names it.
    pub fn open(settings: &Settings) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let metrics =
            Metrics::new().map_err(|error| problem("metrics", error, "nothing: this is a defect"))?;
        let redis = settings.redis.as_ref().map(|redis| Redis::new(redis, metrics.clone())).transpose();
        let redis = problems.note(redis.map_err(unusable_url));
        let Settings { mlflow, server, auth, .. } = settings;
        let is_https = |url: &Url| url.scheme() == "https";
        let mlflow_https = mlflow.urls.iter().chain(&mlflow.artifacts_urls).any(is_https);
        let mlflow_tls = problems.note(client_tls("mlflow.tls", mlflow_https.then_some(&mlflow.tls)));
        let service = match &auth.mode {
            AuthMode::Service(service) if is_https(&service.url) => Some(&service.tls),
            _ => None,
        };
        let auth_tls = problems.note(client_tls("auth.service.tls", service));
        let collector = settings.telemetry.otlp_endpoint.as_ref().filter(|url| is_https(url));
        let of_this_machine = ClientTls::default();
        let otlp_tls = client_tls("telemetry.otlp_endpoint", collector.map(|_| &of_this_machine));
        let otlp_tls = problems.note(otlp_tls);
        let identity = server.tls.as_ref().map(ServerIdentity::open).transpose();
        let identity = problems.note(
            identity.map_err(|error| problem("server.tls.cert", error, "a certificate and its key, PEM")),
        );
        let keys = KeySource::open(&settings.auth, redis.clone().flatten(), &metrics);
        let keys = problems.note(keys.map_err(no_keys));
        let routes = problems.note(Routes::open(mlflow).map_err(bad_routes));
        problems.extend(no_folder(&settings.audit.output));
        match (keys, redis, mlflow_tls, auth_tls, otlp_tls, identity, routes) {
            (
                Some(keys),
                Some(redis),
                Some(mlflow_tls),
                Some(auth_tls),
                Some(otlp_tls),
                Some(identity),
                Some(routes),
            ) => {
                let routes = Arc::new(routes);
                problems.into_result(Self {
                    keys,
                    redis,
                    mlflow_tls,
                    auth_tls,
                    otlp_tls,
                    identity,
                    routes,
                    metrics,
                })
            }
            _ => Err(problems),
        }
    }
}

/// The problem of a key file that cannot be used.
pub(crate) fn no_keys(error: KeyFileError) -> Problem {
    Problem {
        key: "auth.key_file.path".to_owned(),
        found: Some(error.path.display().to_string()),
        what: error.problems.join("\n    "),
        fix: "a file with keys: `hokusai-gateway keys create --user NAME` makes it".to_owned(),
    }
}

/// The problem of an audit file that cannot be made.
fn no_folder(output: &AuditOutput) -> Option<Problem> {
    let AuditOutput::File(path) = output else { return None };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty())?;
    (!folder.is_dir()).then(|| Problem {
        key: "audit.output".to_owned(),
        found: Some(path.display().to_string()),
        what: format!("is in the folder {}, which is not there", folder.display()),
        fix: "a path in a folder that is there".to_owned(),
    })
}

fn client_tls(section: &str, settings: Option<&ClientTls>) -> Result<Option<Tls>, Problem> {
    let fix = "PEM files that can be read, or for the machine's own authorities the package ca-certificates";
    settings.map(tls::client_config).transpose().map_err(|error| problem(section, error, fix))
}

/// The problem of a file of routes that cannot be used.
pub(crate) fn bad_routes(error: TableError) -> Problem {
    problem(
        "mlflow.routes_file",
        error,
        "a file like src/routing/mlflow.routes: [class], and below it METHOD /path",
    )
}

fn unusable_url(error: RedisUrlError) -> Problem {
    problem("redis.url", error, "a URL that the Redis client understands")
}

fn problem(key: &str, error: impl std::fmt::Display, fix: &str) -> Problem {
    Problem { key: key.to_owned(), found: None, what: error.to_string(), fix: fix.to_owned() }
}
