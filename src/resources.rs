//! Opens the files and services that the settings name. All problems are found before a socket is bound.

use std::sync::Arc;

use url::Url;

use crate::{
    auth::{
        Issuers, KeyFile, KeyFileError, KeySource,
        issuers::{RuleFault, TrustedIssuer},
    },
    code::Code,
    files::{self, TooFewFiles},
    http_client::Tls,
    redis::{Redis, RedisUrlError},
    routing::{Routes, TableError},
    settings::{
        AuditOutput, Auth, AuthMode, ClientTls, Identity, Mlflow, Problem, Problems, Sections, Server,
        Settings,
    },
    telemetry::{Metrics, RequestLog},
    tls::{self, Expiry, ServerIdentity, TlsError},
    usage,
};

/// What is opened once, and shared by all workers.
#[derive(Debug, Clone)]
pub struct Resources {
    pub(crate) keys: KeySource,
    /// `None` where only keys count.
    pub(crate) issuers: Option<Arc<Issuers>>,
    /// One pool for verdicts, limits and revocations.
    pub(crate) redis: Option<Redis>,
    /// `None` where TLS is not used.
    pub(crate) mlflow_tls: Option<Tls>,
    pub(crate) auth_tls: Option<Tls>,
    pub(crate) otlp_tls: Option<Tls>,
    /// The certificate for clients, if they use TLS.
    pub(crate) identity: Option<Arc<ServerIdentity>>,
    pub(crate) expiries: Vec<Expiry>,
    pub(crate) routes: Arc<Routes>,
    /// The most client connections, and the limit on open files.
    pub(crate) max_connections: usize,
    pub(crate) file_limit: usize,
    pub(crate) metrics: Metrics,
    /// `None` in tests: the log is one of the process.
    pub(crate) log: Option<RequestLog>,
}

impl Resources {
    /// # Errors
    /// Everything that is missing or cannot be read, each as a problem of the setting that names it.
    pub fn open(settings: &Settings) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let metrics = Metrics::new().map_err(no_metrics)?;
        let redis = settings.redis.as_ref().map(|redis| Redis::new(redis, metrics.clone())).transpose();
        let redis = problems.note(redis.map_err(unusable_url));
        let Settings { mlflow, server, auth, .. } = settings;
        let mlflow_tls = problems.note(mlflow_tls(mlflow));
        let auth_tls = problems.note(auth_tls(auth));
        let collector = settings.telemetry.otlp_endpoint.as_ref().filter(|url| is_https(url));
        let otlp_tls = collector.map(|_| tls::client_config(&ClientTls::default())).transpose();
        let otlp_tls = problems.note(otlp_tls.map_err(|error| bad_pem("telemetry.otlp_endpoint", &error)));
        let identity = problems.note(identity(server));
        let keys = KeySource::open(&settings.auth, redis.clone().flatten(), &metrics);
        let keys = problems.note(keys.map_err(no_keys));
        let trusted = trusted_issuers(auth, &mut problems);
        let issuers = (!trusted.is_empty())
            .then(|| Arc::new(Issuers::new(trusted, redis.clone().flatten(), metrics.clone())));
        let routes = problems.note(Routes::open(mlflow).map_err(bad_routes));
        problems.extend(no_folder(&settings.audit.output));
        problems.extend(auth.service().and_then(usage::spool_problem));
        let file_limit = files::raise_limit();
        let max_connections = problems.note(files::max_connections(settings, file_limit).map_err(too_few));
        let opened = || {
            Some(Self {
                keys: keys?,
                issuers,
                redis: redis?,
                mlflow_tls: mlflow_tls?,
                auth_tls: auth_tls?,
                otlp_tls: otlp_tls?,
                identity: identity?,
                expiries: tls::expiries(settings),
                routes: Arc::new(routes?),
                max_connections: max_connections?,
                file_limit,
                metrics,
                log: None,
            })
        };
        let Some(resources) = opened() else { return Err(problems) };
        for Expiry { certificate, at, .. } in &resources.expiries {
            resources.metrics.set_certificate_expiry(certificate, at.as_second());
        }
        problems.into_result(resources)
    }
}

/// What is missing or cannot be read for these sections. Used where other sections are not valid.
pub(crate) fn missing(sections: &Sections) -> Problems {
    let Sections { server, mlflow, auth, redis, audit } = sections;
    let mut problems = Problems::default();
    if let Some(redis) = redis {
        problems.extend(Redis::check(redis).map_err(unusable_url).err());
    }
    if let Some(mlflow) = mlflow {
        problems.extend(mlflow_tls(mlflow).err());
        problems.extend(Routes::open(mlflow).map_err(bad_routes).err());
    }
    if let Some(auth) = auth {
        problems.extend(auth_tls(auth).err());
        trusted_issuers(auth, &mut problems);
        problems.extend(auth.service().and_then(usage::spool_problem));
        if let AuthMode::KeyFile(file) = &auth.mode {
            let keys = KeyFile::open_as(&file.path, !auth.issuers.is_empty());
            problems.extend(keys.map_err(no_keys).err());
        }
    }
    if let Some(server) = server {
        problems.extend(identity(server).err());
    }
    problems.extend(audit.as_ref().and_then(|audit| no_folder(&audit.output)));
    problems
}

/// The problem of a key file that cannot be used.
fn no_keys(error: KeyFileError) -> Problem {
    Problem::new(error.code(), "auth.key_file.path", error.fault.to_string(), error.fix())
        .with_found(error.path.display())
}

/// The issuers whose settings can be used.
fn trusted_issuers(auth: &Auth, problems: &mut Problems) -> Vec<TrustedIssuer> {
    let trusted = auth.issuers.iter().filter_map(|issuer| {
        let at = |key: &str| format!("auth.issuers[{}].{key}", issuer.issuer);
        let tls = tls::client_config(&issuer.tls).map_err(|error| bad_pem(&at("tls.ca"), &error));
        let tls = problems.note(tls);
        match TrustedIssuer::new(issuer.clone(), tls.clone()) {
            Ok(trusted) => tls.map(|_| trusted),
            Err(faults) => {
                let problem = |RuleFault { key, what }| {
                    Problem::new(Code::InvalidValue, &at(&key), what, "as docs/ISSUERS.md has it")
                };
                problems.extend(faults.into_iter().map(problem));
                None
            }
        }
    });
    trusted.collect()
}

/// The problem of a limit on open files that is too low. It names a setting only if the number of connections is set.
fn too_few(error: TooFewFiles) -> Problem {
    let higher = format!("ulimit -n {0}, LimitNOFILE={0}, --ulimit nofile={0}, or more", error.needed);
    match error.configured {
        None => {
            let fix = format!("{higher}; fewer server.workers need less");
            Problem::new(Code::OpenFileLimit, "", format!("the gateway {error}"), fix)
        }
        Some(connections) => {
            let fix =
                if error.allowed == 0 { higher } else { format!("{} or less; or {higher}", error.allowed) };
            Problem::new(Code::OpenFileLimit, "server.max_connections", error.to_string(), fix)
                .with_found(connections)
        }
    }
}

/// The problem of an audit file in a folder that does not exist.
fn no_folder(output: &AuditOutput) -> Option<Problem> {
    let AuditOutput::File(path) = output else { return None };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty())?;
    (!folder.is_dir()).then(|| {
        let what = format!("is in the folder {}, which does not exist", folder.display());
        let fix = "a path in a folder that exists";
        Problem::new(Code::MissingDirectory, "audit.output", what, fix).with_found(path.display())
    })
}

fn is_https(url: &Url) -> bool {
    url.scheme() == "https"
}

fn mlflow_tls(mlflow: &Mlflow) -> Result<Option<Tls>, Problem> {
    let speaks_tls = mlflow.urls.iter().chain(&mlflow.artifacts_urls).any(is_https);
    client_tls("mlflow.tls", speaks_tls.then_some(&mlflow.tls))
}

fn auth_tls(auth: &Auth) -> Result<Option<Tls>, Problem> {
    let service = auth.service().filter(|service| is_https(&service.url));
    client_tls("auth.service.tls", service.map(|service| &service.tls))
}

fn client_tls(section: &str, settings: Option<&ClientTls>) -> Result<Option<Tls>, Problem> {
    settings.map(tls::client_config).transpose().map_err(|error| {
        let identity = settings.and_then(|settings| settings.identity.as_ref());
        let name = match (error.path(), identity) {
            (Some(path), Some(Identity { key, .. })) if path == key => "key",
            (Some(path), Some(Identity { cert, .. })) if path == cert => "cert",
            _ => "ca",
        };
        bad_pem(&format!("{section}.{name}"), &error)
    })
}

fn bad_identity(files: &Identity, error: &TlsError) -> Problem {
    let is_key = error.path() == Some(files.key.as_path());
    bad_pem(if is_key { "server.tls.key" } else { "server.tls.cert" }, error)
}

fn bad_pem(key: &str, error: &TlsError) -> Problem {
    let found = error.path().map(|path| path.display().to_string());
    let fix = "the path of a PEM file that can be read; for the machine's own authorities the package ca-certificates";
    let fix = error.fix().unwrap_or_else(|| fix.to_owned());
    Problem { found, ..Problem::new(error.code(), key, error.to_string(), fix) }
}

/// The problem of a file of routes that cannot be used.
pub(crate) fn bad_routes(error: TableError) -> Problem {
    let (code, fix) = match &error {
        TableError::Unreadable { file, source } => (source.code(), source.fix(file)),
        _ => (Code::InvalidRoutesFile, None),
    };
    let form = "a file like src/routing/mlflow.routes: [class], and below it METHOD /path";
    Problem::new(code, "mlflow.routes_file", error.to_string(), fix.unwrap_or_else(|| form.to_owned()))
}

fn identity(server: &Server) -> Result<Option<Arc<ServerIdentity>>, Problem> {
    let Some(files) = &server.tls else { return Ok(None) };
    ServerIdentity::open(files).map(Some).map_err(|error| bad_identity(files, &error))
}

pub(crate) fn unusable_url(error: RedisUrlError) -> Problem {
    let fix =
        "a URL that the Redis client understands; in a password %23 for #, %2F for /, %3F for ?, %40 for @";
    Problem::new(Code::InvalidValue, "redis.url", error.to_string(), fix).with_found("(hidden)")
}

pub(crate) fn no_metrics(error: prometheus::Error) -> Problem {
    Problem::new(Code::Defect, "metrics", error.to_string(), "nothing: this is a defect")
}
