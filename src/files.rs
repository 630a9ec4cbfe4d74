//! Open files, and what they are for: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::settings::{AuthMode, Settings};

/// What is always open, or may be: sockets that listen, epoll, the log, the audit stream, keys and certificates that are read
/// again, probes.
const ALWAYS: usize = 64;
/// For each worker beside that: connections on their way in or out.
const OF_A_WORKER: usize = 32;
/// More than that is to be asked for: each costs memory.
const MOST_BY_DEFAULT: usize = 10_000;
/// With less the gateway is of no use.
const FEWEST: usize = 16;

/// More connections than there are files for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("needs {needed} open files, and this process may have {limit} (the hard limit)")]
pub(crate) struct TooFew {
    pub(crate) connections: usize,
    needed: usize,
    limit: usize,
    /// How many connections there are files for.
    pub(crate) room: usize,
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
    let others = ALWAYS + workers * OF_A_WORKER + redis + auth;
    let left = limit.saturating_sub(others);
    let room = if left >= to_mlflow.saturating_mul(2) { left - to_mlflow } else { left / 2 };
    let wanted = server.max_connections.map_or(room.clamp(FEWEST, MOST_BY_DEFAULT), usize::from);
    if wanted > room {
        let needed = others.saturating_add(wanted).saturating_add(wanted.min(to_mlflow));
        return Err(TooFew { connections: wanted, needed, limit, room });
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let always = [("MLFLOW_SERVER_URL", "http://mlflow"), ("HOKUSAI__SERVER__WORKERS", "2")];
        let pairs = always.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::load(None, pairs).unwrap()
    }

    #[test]
    fn each_connection_may_need_another_to_mlflow_until_those_are_all_there() {
        let settings = settings(&[("HOKUSAI__MLFLOW__MAX_CONNECTIONS", "100")]);
        for (limit, connections) in
            [(128 + 32, 16), (128 + 200, 100), (128 + 400, 200), (128 + 1000, 800), (1_000_000, 10_000)]
        {
            assert_eq!(max_connections(&settings, limit), Ok(connections), "{limit}");
        }
        let refused = max_connections(&settings, 64).unwrap_err().to_string();
        assert_eq!(refused, "needs 160 open files, and this process may have 64 (the hard limit)");
    }

    #[test]
    fn what_is_asked_for_is_held_against_the_limit() {
        let settings = settings(&[("HOKUSAI__SERVER__MAX_CONNECTIONS", "20000")]);
        assert_eq!(max_connections(&settings, 128 + 512 + 20_000), Ok(20_000));
        let refused = max_connections(&settings, 127 + 512 + 20_000).unwrap_err();
        assert_eq!((refused.needed, refused.room), (128 + 512 + 20_000, 19_999));
    }
}
