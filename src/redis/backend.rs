//! The three kinds of Redis behind one pool and one connection.

use std::{io, sync::Arc, time::Duration};

use deadpool_redis::{
    PoolConfig, PoolError, RedisConnectionInfo, Runtime, Timeouts, cluster,
    redis::{
        Client, Cmd, IntoConnectionInfo as _, Pipeline, RedisError, RedisFuture, Value,
        aio::{ConnectionLike, PubSub},
        sentinel::{self as redis_sentinel, SentinelClient},
    },
    sentinel::{self, SentinelNodeConnectionInfo, SentinelServerType, TlsMode},
};
use tokio::sync::Mutex;

use crate::settings::{RedisKind, RedisUrl};

/// A pool of connections, and a client for subscriptions.
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
#[derive(Clone)]
pub(super) enum Backend {
    Single {
        pool: deadpool_redis::Pool,
        client: Client,
    },
    Sentinel {
        pool: sentinel::Pool,
        client: Arc<Mutex<SentinelClient>>,
    },
    /// A message published at any node reaches all of them.
    Cluster {
        pool: cluster::Pool,
        nodes: Vec<Client>,
    },
}

/// A connection from the pool.
pub(crate) struct Connection(Box<dyn ConnectionLike + Send>);

impl Backend {
    /// # Errors
    /// A URL that the client does not understand.
    pub(super) fn new(url: &RedisUrl<'_>, pool_size: usize, deadline: Duration) -> Result<Self, String> {
        let timeouts = Timeouts { wait: Some(deadline), create: Some(deadline), recycle: Some(deadline) };
        let config = PoolConfig { max_size: pool_size, timeouts, ..PoolConfig::default() };
        let text = |error: RedisError| error.to_string();
        macro_rules! pool {
            ($pool:ty, $manager:expr) => {
                <$pool>::builder($manager.map_err(text)?)
                    .config(config)
                    .runtime(Runtime::Tokio1)
                    .build()
                    .map_err(|error| error.to_string())?
            };
        }
        match url.kind {
            RedisKind::Single => {
                let node = url.node(&url.nodes[0], true);
                let pool = pool!(deadpool_redis::Pool, deadpool_redis::Manager::new(node.as_str()));
                let client = Client::open(node).map_err(text)?;
                Ok(Self::Single { pool, client })
            }
            RedisKind::Sentinel(master) => {
                let sentinels: Vec<String> = url.nodes.iter().map(|node| url.node(node, false)).collect();
                // The credentials are for the servers that the Sentinels name.
                let servers = format!("redis://{}@server/{}", url.userinfo.unwrap_or_default(), url.database);
                let servers = servers.into_connection_info().map_err(text)?;
                let info = SentinelNodeConnectionInfo {
                    tls_mode: url.tls.then_some(TlsMode::Secure),
                    redis_connection_info: Some(RedisConnectionInfo::from(servers.redis_settings().clone())),
                };
                let manager = sentinel::Manager::new(
                    sentinels.clone(),
                    master.to_owned(),
                    Some(info.clone()),
                    SentinelServerType::Master,
                );
                let pool = pool!(sentinel::Pool, manager);
                let client = SentinelClient::build(
                    sentinels,
                    master,
                    Some(info.into()),
                    redis_sentinel::SentinelServerType::Master,
                );
                Ok(Self::Sentinel { pool, client: Arc::new(Mutex::new(client.map_err(text)?)) })
            }
            RedisKind::Cluster => {
                let nodes: Vec<String> = url.nodes.iter().map(|node| url.node(node, true)).collect();
                let pool = pool!(cluster::Pool, cluster::Manager::new(nodes.clone(), false));
                let nodes = nodes.into_iter().map(Client::open).collect::<Result<_, _>>().map_err(text)?;
                Ok(Self::Cluster { pool, nodes })
            }
        }
    }

    /// # Errors
    /// No connection that works.
    pub(super) async fn connection(&self) -> Result<Connection, RedisError> {
        Ok(Connection(match self {
            Self::Single { pool, .. } => Box::new(pool.get().await.map_err(of_pool)?),
            Self::Sentinel { pool, .. } => Box::new(pool.get().await.map_err(of_pool)?),
            Self::Cluster { pool, .. } => Box::new(pool.get().await.map_err(of_pool)?),
        }))
    }

    /// A new connection for subscriptions.
    ///
    /// # Errors
    /// No server that answers.
    pub(super) async fn pubsub(&self) -> Result<PubSub, RedisError> {
        match self {
            Self::Single { client, .. } => client.get_async_pubsub().await,
            Self::Sentinel { client, .. } => {
                let master = client.lock().await.async_get_client().await?;
                master.get_async_pubsub().await
            }
            Self::Cluster { nodes, .. } => {
                let mut outcome = Err(RedisError::from(std::io::Error::other("no node is named")));
                for node in nodes {
                    outcome = node.get_async_pubsub().await;
                    if outcome.is_ok() {
                        break;
                    }
                }
                outcome
            }
        }
    }
}

fn of_pool(error: PoolError) -> RedisError {
    match error {
        PoolError::Backend(error) => error,
        other => io::Error::other(other.to_string()).into(),
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        self.0.req_packed_command(command)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.0.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.0.get_db()
    }
}
