//! MLflow, the upstream.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use actix_web::http::header::HeaderValue;
use secrecy::SecretString;
use url::Url;

use super::{
    reader::{Noted, Reader},
    tls::ClientTls,
    value::{FromText, section, words},
};
use crate::code::Code;

/// `[mlflow]`
#[derive(Debug, Clone)]
pub struct Mlflow {
    /// MLflow's servers, with the same database.
    pub urls: Vec<Url>,
    /// The servers of artifacts, if they are separate.
    pub artifacts_urls: Vec<Url>,
    /// The `Host` header for MLflow.
    pub host_header: HostHeader,
    /// The prefix of the REST API at MLflow.
    pub rest: RestPrefix,
    /// MLflow's `--static-prefix`: empty, or `/` and a path without a slash at its end.
    pub static_prefix: String,
    /// Whether clients may transfer artifacts past the gateway.
    pub direct_artifacts: DirectArtifacts,
    /// The operator's file of routes.
    pub routes_file: Option<PathBuf>,
    /// The gateway's credentials for MLflow.
    pub auth: UpstreamAuth,
    /// For https addresses.
    pub tls: ClientTls,
    /// Time for DNS, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Time for the response's head, from the end of the upload.
    pub response_timeout: Duration,
    /// Time for the next piece of a body, either way.
    pub idle_timeout: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// Connections to each server, for each worker.
    pub max_connections: NonZeroUsize,
    /// Requests that may wait for a connection, for each worker.
    pub max_waiting: NonZeroUsize,
    /// Whether cookies pass, either way.
    pub cookies: Passing,
    /// Whether MLflow's `Server` header passes to clients.
    pub server_header: Passing,
    /// Time that a request may wait for a connection.
    pub queue_timeout: Duration,
    /// Time between two health checks, and the deadline of each.
    pub probe_interval: Duration,
}

/// The `Host` header for MLflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostHeader {
    /// The host and port of `mlflow.url`.
    Upstream,
    /// As the client sent it.
    Client,
    /// A value of the operator's own, for an MLflow started with `--allowed-hosts`.
    Fixed(HeaderValue),
}

words! {
    /// Whether a header passes.
    pub enum Passing {
        Pass = "pass",
        Drop = "drop",
    }
}

words! {
    /// Whether clients may transfer artifacts to and from the store itself.
    pub enum DirectArtifacts {
        Deny = "deny",
        Allow = "allow",
    }
}

words! {
    /// The prefix under which MLflow answers REST calls.
    pub enum RestPrefix {
        Api = "api",
        AjaxApi = "ajax-api",
    }
}

/// The gateway's credentials for MLflow, which never gets the client's.
#[derive(Debug, Clone)]
pub enum UpstreamAuth {
    None,
    Bearer(SecretString),
    Basic { username: String, password: SecretString },
}

words! {
    enum AuthKind {
        None = "none",
        Bearer = "bearer",
        Basic = "basic",
    }
}

impl FromText for HostHeader {
    const FORM: &'static str = "upstream, client, or a host such as mlflow.internal:5000";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        match text {
            "upstream" => Ok(Self::Upstream),
            "client" => Ok(Self::Client),
            host if host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-[]".contains(&byte)) => {
                HeaderValue::from_str(host).map(Self::Fixed).map_err(|_| "is not a host")
            }
            _ => Err("is not a host"),
        }
    }
}

/// A path prefix: a slash at the beginning, none at the end.
#[derive(Default)]
struct Prefix(String);

impl FromText for Prefix {
    const FORM: &'static str = "a path such as /mlflow";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        let path = text.trim_end_matches('/');
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
        if !path.starts_with('/') || path.contains("//") || !path.bytes().all(plain) {
            return Err("is not a plain path that begins with a slash");
        }
        Ok(Self(path.to_owned()))
    }
}

impl Mlflow {
    pub(super) fn read(reader: &mut Reader) -> Result<Self, Noted> {
        section!(Self {
            urls: reader.required_list("mlflow.url"),
            artifacts_urls: reader.list("mlflow.artifacts_url"),
            host_header: reader.value("mlflow.host_header"),
            rest: reader.value("mlflow.rest"),
            static_prefix: reader
                .optional::<Prefix>("mlflow.static_prefix")
                .map(|prefix| prefix.unwrap_or_default().0),
            direct_artifacts: reader.value("mlflow.direct_artifacts"),
            routes_file: Self::read_routes_file(reader),
            auth: UpstreamAuth::read(reader),
            tls: ClientTls::read(reader, ["mlflow.tls.ca", "mlflow.tls.cert", "mlflow.tls.key"]),
            connect_timeout: reader.value("mlflow.connect_timeout"),
            response_timeout: reader.value("mlflow.response_timeout"),
            idle_timeout: reader.value("mlflow.idle_timeout"),
            keep_alive: reader.value("mlflow.keep_alive"),
            max_connections: reader.value("mlflow.max_connections"),
            max_waiting: reader.value("mlflow.max_waiting"),
            cookies: reader.value("mlflow.cookies"),
            server_header: reader.value("mlflow.server_header"),
            queue_timeout: reader.value("mlflow.queue_timeout"),
            probe_interval: reader.value("mlflow.probe_interval"),
        })
    }

    /// The command `routes` needs no other setting.
    pub(crate) fn read_routes_file(reader: &mut Reader) -> Result<Option<PathBuf>, Noted> {
        reader.optional("mlflow.routes_file")
    }
}

impl UpstreamAuth {
    fn read(reader: &mut Reader) -> Result<Self, Noted> {
        let kind = reader.value("mlflow.auth");
        let token = reader.secret("mlflow.token", "mlflow.token_file");
        let username = reader.optional::<String>("mlflow.username");
        let password = reader.secret("mlflow.password", "mlflow.password_file");
        match (kind?, token?, username?, password?) {
            (AuthKind::None, None, None, None) => Ok(Self::None),
            (AuthKind::Bearer, Some(token), None, None) => Ok(Self::Bearer(token)),
            (AuthKind::Basic, None, Some(username), Some(password)) => Ok(Self::Basic { username, password }),
            _ => {
                let what = "does not fit the credentials that are set for MLflow";
                let fix = "bearer with mlflow.token only, basic with mlflow.username and mlflow.password only, \
                           or none with none of them";
                Err(reader.problem(Code::ConflictingSettings, "mlflow.auth", what, fix))
            }
        }
    }
}
