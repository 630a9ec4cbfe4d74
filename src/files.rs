//! The limit on open files, and how many connections it allows: each connection is one file.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::settings::{AuthMode, Server, Settings};

/// Listening sockets, epoll, the log, the audit stream, keys and certificates that are reloaded, probes.
const RESERVED: usize = 64;
/// Connections of a worker that are being accepted or closed, beyond its limit. At this number it stops accepting.
const ACCEPT_MARGIN: usize = 64;
/// TLS handshakes in progress at a worker.
pub(crate) const MAX_HANDSHAKES: usize = 256;
/// Connections to the metrics listener. One Prometheus needs one.
pub(crate) const METRICS_CONNECTIONS: usize = 64;
/// More must be set explicitly, because each costs memory.
const DEFAULT_MAX_CONNECTIONS: usize = 10_000;
/// With fewer the gateway does not start.
const MIN_CONNECTIONS: usize = 16;

/// Too few open files for the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("needs {needed} open files, and this process may have {limit} (the hard limit){}", self.why())]
pub(crate) struct TooFewFiles {
    /// `server.max_connections`; `None` if it is not set, and the files are too few for [`MIN_CONNECTIONS`].
    pub(crate) configured: Option<usize>,
    pub(crate) needed: usize,
    workers: usize,
    limit: usize,
    /// How many connections the files allow.
    pub(crate) allowed: usize,
}

impl TooFewFiles {
    fn why(&self) -> String {
        match self.configured {
            Some(_) => String::new(),
            None => {
                format!(
                    ": {} workers, {MIN_CONNECTIONS} connections of clients and as many to MLflow",
                    self.workers
                )
            }
        }
    }
}

/// Raises the soft limit to the hard one, and returns it.
pub(crate) fn raise_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    current.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

/// How many connections a worker accepts beyond its limit.
pub(crate) fn accept_margin(server: &Server) -> usize {
    ACCEPT_MARGIN + if server.tls.is_some() { MAX_HANDSHAKES } else { 0 }
}

/// How many client connections this many open files allow.
///
/// # Errors
/// Too few files for the settings, or for any gateway.
pub(crate) fn max_connections(settings: &Settings, limit: usize) -> Result<usize, TooFewFiles> {
    let (server, mlflow) = (&settings.server, &settings.mlflow);
    let workers = server.worker_count();
    let servers = mlflow.urls.len() + mlflow.artifacts_urls.len();
    // Each request in flight needs a connection to MLflow.
    let to_mlflow = workers.saturating_mul(mlflow.max_connections.get()).saturating_mul(servers);
    let redis = settings.redis.as_ref().map_or(0, |redis| redis.pool_size.get());
    let auth = match &settings.auth.mode {
        AuthMode::Service(service) => service.max_in_flight.get(),
        AuthMode::KeyFile(_) => 0,
    };
    let metrics = settings.metrics.bind.map_or(0, |_| METRICS_CONNECTIONS);
    let others = RESERVED + workers.saturating_mul(accept_margin(server)) + metrics + redis + auth;
    let left = limit.saturating_sub(others);
    let allowed = if left >= to_mlflow.saturating_mul(2) { left - to_mlflow } else { left / 2 };
    let wanted =
        server.max_connections.map_or(allowed.clamp(MIN_CONNECTIONS, DEFAULT_MAX_CONNECTIONS), usize::from);
    if wanted > allowed {
        let needed = others.saturating_add(wanted).saturating_add(wanted.min(to_mlflow));
        let configured = server.max_connections.map(usize::from);
        return Err(TooFewFiles { configured, needed, workers, limit, allowed });
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let always = [
            ("MLFLOW_SERVER_URL", "http://mlflow"),
            ("HOKUSAI__SERVER__WORKERS", "2"),
            ("HOKUSAI__METRICS__BIND", "off"),
        ];
        let pairs = always.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::load(None, pairs).unwrap()
    }

    /// Without metrics, at two workers.
    const OTHERS: usize = 64 + 2 * 64;

    #[test]
    fn each_connection_may_need_another_to_mlflow_up_to_their_limit() {
        let settings = settings(&[("HOKUSAI__MLFLOW__MAX_CONNECTIONS", "100")]);
        for (left, connections) in [(32, 16), (200, 100), (400, 200), (1000, 800), (1_000_000, 10_000)] {
            assert_eq!(max_connections(&settings, OTHERS + left), Ok(connections), "{left}");
        }
        let refused = max_connections(&settings, 64).unwrap_err().to_string();
        assert_eq!(
            refused,
            "needs 224 open files, and this process may have 64 (the hard limit): 2 workers, 16 connections of clients and as \
             many to MLflow"
        );
    }

    #[test]
    fn what_is_configured_is_held_against_the_limit() {
        let settings = settings(&[("HOKUSAI__SERVER__MAX_CONNECTIONS", "20000")]);
        let needed = OTHERS + 512 + 20_000;
        assert_eq!(max_connections(&settings, needed), Ok(20_000));
        let refused = max_connections(&settings, needed - 1).unwrap_err();
        assert_eq!((refused.needed, refused.allowed), (needed, 19_999));
    }

    #[test]
    fn handshakes_and_the_metrics_listener_reduce_the_number() {
        let room = |pairs: &[(&str, &str)]| max_connections(&settings(pairs), 5000).unwrap();
        let plain = room(&[]);
        let tls = [("HOKUSAI__SERVER__TLS__CERT", "cert"), ("HOKUSAI__SERVER__TLS__KEY", "key")];
        assert_eq!(plain - room(&tls), 2 * 256);
        assert_eq!(plain - room(&[("HOKUSAI__METRICS__BIND", "127.0.0.1:9464")]), 64);
    }
}
