//! What the bounds allow is opened, all of it at once, and weighed: docs/OPERATING.md has the table.

mod bodies;
mod connections;
mod heads;
mod logins;

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use crate::support::{ask, client::Connection, gateway::create_key, process::Process};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// What a connection takes by itself, and what is read ahead on it.
const CONNECTION: usize = 16 * KIB;

/// What the allocator keeps, and the gateway needs for other things meanwhile.
const SLACK: usize = 8 * MIB;

const TARGET: &str = "/api/mlflow/api/2.0/mlflow/experiments/search";

/// As many files as this process may have.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}

struct Stage {
    gateway: Process,
    key: String,
    _folder: TempDir,
}

impl Stage {
    fn set(settings: &[(&str, &str)]) -> Self {
        raise_file_limit();
        let folder = tempfile::tempdir().unwrap();
        let created = create_key(&folder.path().join("keys.toml"), "ada", None);
        let always = [
            ("MLFLOW_SERVER_URL", "http://127.0.0.1:9"),
            ("HOKUSAI__SERVER__HEAD_TIMEOUT", "60s"),
            // All that many keys could have, from one.
            ("HOKUSAI__LIMITS__CONCURRENT", "1000000"),
        ];
        let gateway = Process::serve(folder.path(), &[&always, settings].concat());
        let key = created.key.expose_secret().to_owned();
        Self { gateway, key, _folder: folder }
    }

    /// So many connections, on which these bytes are sent. What the gateway does not read stays with its kernel.
    async fn open(&self, count: usize, bytes: &[u8]) -> Vec<Connection> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            let mut connection = Connection::open(self.gateway.address).await;
            connection.offer(bytes);
            connections.push(connection);
        }
        connections
    }

    /// Waits until it has grown no more for a while, and tells by how much since `before`.
    async fn grown(&self, before: usize) -> usize {
        let mut last = 0;
        loop {
            actix_rt::time::sleep(Duration::from_millis(300)).await;
            let peak = self.gateway.peak_memory();
            if peak == last {
                return peak - before;
            }
            last = peak;
        }
    }

    async fn lives(&self) {
        assert_eq!(ask(self.gateway.address, "GET /live HTTP/1.1\r\nhost: a\r\n\r\n").await.status, 200);
    }
}
