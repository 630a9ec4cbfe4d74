//! Open files, and what they are for: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::settings::{AuthMode, Server, Settings};

/// What is always open, or may be: sockets that listen, epoll, the log, the audit stream, keys and certificates that are read
/// again, probes.
const ALWAYS: usize = 64;
/// Connections of a worker on their way in or out, beside those that it may have. Behind them nobody is taken in.
const PASSING: usize = 64;
/// TLS handshakes that may be under way at a worker: on their way in, too, and for longer.
pub(crate) const HANDSHAKES: usize = 256;
/// Connections to the listener of the metrics: one Prometheus needs one.
pub(crate) const OF_METRICS: usize = 64;
/// More than that is to be asked for: each costs memory.
const MOST_BY_DEFAULT: usize = 10_000;
/// With less the gateway is of no use.
const FEWEST: usize = 16;

/// More connections than there are files for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("needs {needed} open files, and this process may have {limit} (the hard limit){}", self.why())]
pub(crate) struct TooFew {
    /// `None`: nobody asked for a number, and there are not even files for [`FEWEST`].
    pub(crate) asked_for: Option<usize>,
    pub(crate) needed: usize,
    workers: usize,
    limit: usize,
    /// How many connections there are files for.
    pub(crate) room: usize,
}

impl TooFew {
    fn why(&self) -> String {
        match self.asked_for {
            Some(_) => String::new(),
            None => {
                format!(": {} workers, {FEWEST} connections of clients and as many to MLflow", self.workers)
            }
        }
    }
}

/// Raises the soft limit to the hard one. How many files may be open.
pub(crate) fn raise_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    current.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

/// How many connections a worker takes beside those that it may have.
pub(crate) fn passing(server: &Server) -> usize {
    PASSING + if server.tls.is_some() { HANDSHAKES } else { 0 }
}

/// How many connections of clients there may be, with so many files.
///
/// # Errors
/// Fewer files than the settings, or any gateway, need.
pub(crate) fn max_connections(settings: &Settings, limit: usize) -> Result<usize, TooFew> {
    let (server, mlflow) = (&settings.server, &settings.mlflow);
    let workers = server.worker_count();
    let servers = mlflow.urls.len() + mlflow.artifacts_urls.len();
    // A client that is served needs another connection to MLflow.
    let to_mlflow = workers.saturating_mul(mlflow.max_connections.get()).saturating_mul(servers);
    let redis = settings.redis.as_ref().map_or(0, |redis| redis.pool_size.get());
    let auth = match &settings.auth.mode {
        AuthMode::Service(service) => service.max_in_flight.get(),
        AuthMode::KeyFile(_) => 0,
    };
    let metrics = settings.metrics.bind.map_or(0, |_| OF_METRICS);
    let others = ALWAYS + workers.saturating_mul(passing(server)) + metrics + redis + auth;
    let left = limit.saturating_sub(others);
    let room = if left >= to_mlflow.saturating_mul(2) { left - to_mlflow } else { left / 2 };
    let wanted = server.max_connections.map_or(room.clamp(FEWEST, MOST_BY_DEFAULT), usize::from);
    if wanted > room {
        let needed = others.saturating_add(wanted).saturating_add(wanted.min(to_mlflow));
        let asked_for = server.max_connections.map(usize::from);
        return Err(TooFew { asked_for, needed, workers, limit, room });
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

    /// Without metrics: what is always open, and what passes at two workers.
    const OTHERS: usize = 64 + 2 * 64;

    #[test]
    fn each_connection_may_need_another_to_mlflow_until_those_are_all_there() {
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
    fn what_is_asked_for_is_held_against_the_limit() {
        let settings = settings(&[("HOKUSAI__SERVER__MAX_CONNECTIONS", "20000")]);
        let needed = OTHERS + 512 + 20_000;
        assert_eq!(max_connections(&settings, needed), Ok(20_000));
        let refused = max_connections(&settings, needed - 1).unwrap_err();
        assert_eq!((refused.needed, refused.room), (needed, 19_999));
    }

    #[test]
    fn whatever_else_strangers_can_open_is_taken_off() {
        let room = |pairs: &[(&str, &str)]| max_connections(&settings(pairs), 5000).unwrap();
        let plain = room(&[]);
        let tls = [("HOKUSAI__SERVER__TLS__CERT", "cert"), ("HOKUSAI__SERVER__TLS__KEY", "key")];
        // Each of two workers has its handshakes.
        assert_eq!(plain - room(&tls), 2 * 256);
        assert_eq!(plain - room(&[("HOKUSAI__METRICS__BIND", "127.0.0.1:9464")]), 64);
    }
}
