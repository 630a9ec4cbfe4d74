//! What the tests share: a gateway in this process, raw servers that do as they are told, and a raw client.

use std::time::Duration;

pub mod certificates;
pub mod client;
pub mod commands;
pub mod gateway;
pub mod openssl_server;
pub mod process;
pub mod redis;
pub mod server;
pub mod stream;
pub mod tls;

/// Waits until `done` says so. What has not come about by then has failed.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut done: impl FnMut() -> F) {
    let waiting = async {
        while !done().await {
            actix_rt::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Far longer than anything here takes, and far shorter than what is remembered lives.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub use client::{Response, ask, metric, metric_at, metrics, metrics_at};
pub use gateway::{Gateway, GatewayBuilder};
pub use server::Server;
